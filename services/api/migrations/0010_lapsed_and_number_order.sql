-- migrate:up

-- A number as it is ordered, with digits enough in front: `INV-2026-1000000` stands behind `INV-2026-999999`.
create function api.number_order(given text) returns text language sql immutable strict parallel safe
return rtrim(given, '0123456789') || lpad(substr(given, length(rtrim(given, '0123456789')) + 1), 12, '0');

-- Sent, and due so long ago that it is overdue wherever its account is. Folding marks it (services/api/folding.py), and
-- what was due since then and is not marked yet is looked for beside it: a list of either kind walks no other's entries.
alter table api.documents add column lapsed boolean not null default false;
create function api.forget_lapsed() returns trigger language plpgsql as $$
begin
    new.lapsed := false;
    return new;
end
$$;
create trigger documents_lapsed_stale before update of status, due_date on api.documents
for each row when (old.lapsed and (new.status <> 'sent' or new.due_date is distinct from old.due_date))
execute function api.forget_lapsed();

-- So that the first folding finds the accounts that have some: it goes by days that are not added up yet.
insert into api.due_counts (account_id, type, due_date, backend, amount)
select account_id, type, '1900-01-01', 0, 0 from api.due_counts where due_date = '-infinity' and backend = 0
on conflict on constraint due_counts_pkey do nothing;

-- Made under the lock that the column takes, some seconds for a million documents.
-- squawk-ignore require-concurrent-index-creation
create index documents_by_number on api.documents (account_id, (api.number_order(number) collate "C"))
include (id, number) where number is not null;
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_status;
-- squawk-ignore require-concurrent-index-creation
create index documents_by_status on api.documents (account_id, status, lapsed, id desc) include (due_date);
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_type_and_status;
-- squawk-ignore require-concurrent-index-creation
create index documents_by_type_and_status on api.documents (account_id, type, status, lapsed, id desc)
include (due_date);
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_sent_by_due_date;
-- squawk-ignore require-concurrent-index-creation
create index documents_sent_by_due_date on api.documents (account_id, due_date, id) include (type)
where status = 'sent' and not lapsed;
-- squawk-ignore require-concurrent-index-creation
create index documents_lapsed_by_due_date on api.documents (account_id, due_date, id) include (type)
where status = 'sent' and lapsed;

-- migrate:down
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_lapsed_by_due_date;
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_sent_by_due_date;
-- squawk-ignore require-concurrent-index-creation
create index documents_sent_by_due_date on api.documents (account_id, due_date, id) include (type)
where status = 'sent';
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_type_and_status;
-- squawk-ignore require-concurrent-index-creation
create index documents_by_type_and_status on api.documents (account_id, type, status, id desc) include (due_date);
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_status;
-- squawk-ignore require-concurrent-index-creation
create index documents_by_status on api.documents (account_id, status, id desc) include (due_date);
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_number;
drop trigger documents_lapsed_stale on api.documents;
drop function api.forget_lapsed();
-- squawk-ignore ban-drop-column
alter table api.documents drop column lapsed;
drop function api.number_order(text);
