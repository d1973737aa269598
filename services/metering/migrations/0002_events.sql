-- migrate:up

-- The ids of the events that the ledger has, so that one that is sent again counts nothing.
create table metering.events (
    id text collate "C" constraint events_pkey primary key,
    received_at timestamptz not null default now()
);
create index events_by_age on metering.events (received_at);

-- Accounts whose counters in Redis lack what the ledger was told; a row goes once Redis has forgotten them.
create table metering.dirty_accounts (
    account_id text collate "C" constraint dirty_accounts_pkey primary key,
    marked_at timestamptz not null default now()
);

-- migrate:down
drop table metering.dirty_accounts;
drop table metering.events;
