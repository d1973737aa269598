-- migrate:up

-- `external_id` is the caller's own name for it, `metadata` an object of texts, both null where there is none. What the
-- PDF shows was last changed at `content_updated_at`; null where that is `updated_at`.
alter table api.documents
add column external_id text collate "C",
add column metadata json,
add column content_updated_at timestamptz;
alter table api.clients
add column external_id text collate "C",
add column metadata json;

-- The new columns are empty, so that one look at each row is all that it takes.
-- squawk-ignore require-concurrent-index-creation
create unique index documents_external_id_unique on api.documents (account_id, external_id)
where external_id is not null;
-- squawk-ignore require-concurrent-index-creation
create unique index clients_external_id_unique on api.clients (account_id, external_id)
where external_id is not null;

-- What was written before knows of neither; gateways of the last release have written none.
update api.documents set body = null where body is not null;

drop trigger documents_body_stale on api.documents;
create trigger documents_body_stale before update of
type, number, status, client_id, currency, issued_date, due_date, items, subtotal, tax_rate, tax_amount, total, notes,
template, locale, page_size, external_id, metadata, created_at, updated_at on api.documents
for each row when (new.body is not distinct from old.body)
execute function api.forget_body();

-- migrate:down
drop trigger documents_body_stale on api.documents;
update api.documents set body = null where body is not null;
create trigger documents_body_stale before update of
type, number, status, client_id, currency, issued_date, due_date, items, subtotal, tax_rate, tax_amount, total, notes,
template, locale, page_size, created_at, updated_at on api.documents
for each row when (new.body is not distinct from old.body)
execute function api.forget_body();
-- squawk-ignore require-concurrent-index-deletion
drop index api.clients_external_id_unique;
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_external_id_unique;
-- squawk-ignore ban-drop-column
alter table api.clients drop column metadata, drop column external_id;
-- squawk-ignore ban-drop-column
alter table api.documents drop column content_updated_at, drop column metadata, drop column external_id;
