-- What the gateway's tables hold of accounts, keys, clients and documents, in the peer's tables.
insert into peer.accounts (id, name, currency, template, burst_per_min, calls_per_month, documents_per_month)
select id, name, currency, template, 1000000000, 1000000000, 1000000000 from api.accounts;

insert into peer.api_keys (id, account_id, hash, revoked_at)
select id, account_id, hash, revoked_at from api.keys;

insert into peer.clients (id, account_id, name, email, company, country, address_line1, city, created_at)
select
    id, account_id, profile ->> 'name', profile ->> 'email', profile ->> 'company', profile ->> 'country',
    profile ->> 'address_line1', profile ->> 'city', created_at
from api.clients;

insert into peer.documents (
    id, account_id, type, number, status, client_id, client_snapshot, currency, issued_date, due_date, subtotal,
    tax_rate, tax_amount, total, notes, template, locale, page_size, external_id, metadata, created_at,
    updated_at
)
select
    id, account_id, type, number, status, client_id, case when status <> 'draft' then client end, currency,
    issued_date, due_date, subtotal, tax_rate, tax_amount, total, notes, template, locale, page_size,
    external_id, coalesce(metadata, '{}')::jsonb, date_trunc('second', created_at), date_trunc('second', updated_at)
from api.documents;

insert into peer.items (document_id, position, title, description, quantity, rate, amount)
select
    d.id, i.position, i.item ->> 'title', coalesce(i.item ->> 'description', ''), (i.item ->> 'quantity')::numeric,
    (i.item ->> 'rate')::numeric, (i.item ->> 'amount')::numeric
from api.documents d cross join json_array_elements(d.items) with ordinality as i (item, position)
order by d.id, i.position;

insert into peer.number_sequences (account_id, type, year, last)
select account_id, type, year, last from api.number_sequences;

analyze;
