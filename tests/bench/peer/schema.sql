-- The peer's own tables, as its team would have laid them out.
create schema peer;

create table peer.accounts (
    id text primary key,
    name text not null,
    currency text not null,
    template text not null,
    burst_per_min bigint not null,
    calls_per_month bigint not null,
    documents_per_month bigint not null
);

create table peer.api_keys (
    id text primary key,
    account_id text not null references peer.accounts (id),
    hash bytea not null unique,
    revoked_at timestamptz
);

create table peer.clients (
    id text primary key,
    account_id text not null references peer.accounts (id),
    name text not null,
    email text,
    company text,
    country text,
    address_line1 text,
    city text,
    created_at timestamptz not null
);
create index clients_by_account on peer.clients (account_id, id);

create table peer.documents (
    id text primary key,
    account_id text not null references peer.accounts (id),
    type text not null,
    number text,
    status text not null,
    client_id text not null references peer.clients (id),
    client_snapshot jsonb,
    currency text not null,
    issued_date date not null,
    due_date date,
    subtotal numeric not null,
    tax_rate numeric not null,
    tax_amount numeric not null,
    total numeric not null,
    notes text not null,
    template text not null,
    locale text,
    page_size text,
    external_id text,
    metadata jsonb not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint documents_number_unique unique (account_id, number),
    constraint documents_external_id_unique unique (account_id, external_id)
);
create index documents_by_account on peer.documents (account_id, id desc);
create index documents_by_status on peer.documents (account_id, status, id desc);
create index documents_by_type on peer.documents (account_id, type, id desc);

create table peer.items (
    id bigint generated always as identity primary key,
    document_id text not null references peer.documents (id) on delete cascade,
    position integer not null,
    title text not null,
    description text not null,
    quantity numeric not null,
    rate numeric not null,
    amount numeric not null
);
create index items_by_document on peer.items (document_id, position);

create table peer.number_sequences (
    account_id text not null references peer.accounts (id),
    type text not null,
    year integer not null,
    last bigint not null,
    primary key (account_id, type, year)
);
