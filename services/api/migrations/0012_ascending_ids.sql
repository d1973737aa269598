-- migrate:up

-- Newer ids are greater, and a list of the newest reads an index backwards as fast as forwards. Entries that come in
-- ascending order leave full pages behind them, those that come in descending order half-full ones.
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_type;
-- squawk-ignore require-concurrent-index-creation
create index documents_by_type on api.documents (account_id, type, id);
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_status;
-- squawk-ignore require-concurrent-index-creation
create index documents_by_status on api.documents (account_id, status, lapsed, id) include (due_date);
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_type_and_status;
-- squawk-ignore require-concurrent-index-creation
create index documents_by_type_and_status on api.documents (account_id, type, status, lapsed, id)
include (due_date);
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_client;
-- squawk-ignore require-concurrent-index-creation
create index documents_by_client on api.documents (account_id, client_id, id);
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_currency;
-- squawk-ignore require-concurrent-index-creation
create index documents_by_currency on api.documents (account_id, currency, id);

-- migrate:down
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_currency;
-- squawk-ignore require-concurrent-index-creation
create index documents_by_currency on api.documents (account_id, currency, id desc);
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_client;
-- squawk-ignore require-concurrent-index-creation
create index documents_by_client on api.documents (account_id, client_id, id desc);
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_type_and_status;
-- squawk-ignore require-concurrent-index-creation
create index documents_by_type_and_status on api.documents (account_id, type, status, lapsed, id desc)
include (due_date);
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_status;
-- squawk-ignore require-concurrent-index-creation
create index documents_by_status on api.documents (account_id, status, lapsed, id desc) include (due_date);
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_type;
-- squawk-ignore require-concurrent-index-creation
create index documents_by_type on api.documents (account_id, type, id desc);
