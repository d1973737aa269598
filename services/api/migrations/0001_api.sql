-- migrate:up
create schema if not exists api;

-- `generation` grows with every revoked key and changed setting, so that a cached key is known to be stale.
-- `profile` is the seller as printed on documents.
create table api.accounts (
    id text collate "C" constraint accounts_pkey primary key,
    name text not null,
    currency text not null,
    template text not null,
    time_zone text not null,
    profile json not null,
    generation bigint not null default 0,
    created_at timestamptz not null default now()
);

-- Only the hash of a key is kept.
create table api.keys (
    id text collate "C" constraint keys_pkey primary key,
    account_id text collate "C" not null constraint keys_account_fkey references api.accounts (id),
    hash bytea not null constraint keys_hash_unique unique,
    scopes text [] not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
create index keys_by_account on api.keys (account_id);

-- `profile` is the client as answered and as frozen into documents.
create table api.clients (
    account_id text collate "C" not null,
    id text collate "C" not null,
    profile json not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint clients_pkey primary key (account_id, id)
);

-- `client` is the profile at creation until the document leaves draft, then the snapshot for good;
-- `seller` is set when it leaves draft. There is no foreign key to clients: a document outlives its client.
create table api.documents (
    account_id text collate "C" not null,
    id text collate "C" not null,
    type text not null,
    number text,
    status text not null,
    client_id text collate "C" not null,
    client json not null,
    seller json,
    currency text not null,
    issued_date date not null,
    due_date date,
    items json not null,
    subtotal numeric not null,
    tax_rate numeric not null,
    tax_amount numeric not null,
    total numeric not null,
    notes text not null,
    template text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint documents_pkey primary key (account_id, id),
    constraint documents_number_unique unique (account_id, number),
    constraint documents_status_stored check (status in ('draft', 'sent', 'paid', 'cancelled')),
    constraint documents_numbered check (status not in ('sent', 'paid') or number is not null)
);
create index documents_by_type on api.documents (account_id, type, id desc);
create index documents_by_status on api.documents (account_id, status, id desc);
create index drafts_by_client on api.documents (account_id, client_id) where status = 'draft';

-- One row per gapless sequence, locked until the document that took its number commits.
create table api.number_sequences (
    account_id text collate "C" not null,
    type text not null,
    year integer not null,
    last bigint not null,
    constraint number_sequences_pkey primary key (account_id, type, year)
);

-- What an auditor asks for: which numbers are missing because their documents were deleted.
create table api.deleted_numbers (
    account_id text collate "C" not null,
    number text not null,
    type text not null,
    document_id text not null,
    deleted_at timestamptz not null,
    constraint deleted_numbers_pkey primary key (account_id, number)
);

create table api.idempotency (
    account_id text collate "C" not null,
    key text collate "C" not null,
    fingerprint bytea not null,
    status integer not null,
    body bytea not null,
    created_at timestamptz not null,
    constraint idempotency_pkey primary key (account_id, key)
);
create index idempotency_by_age on api.idempotency (created_at);

-- migrate:down
drop schema api cascade;
