-- migrate:up
create schema if not exists metering;

-- An account without a row is on the free plan. `overrides` names limits that differ from the plan's, null for
-- unlimited; `version` grows with every change, so that Redis never takes an older one.
create table metering.accounts (
    account_id text collate "C" constraint accounts_pkey primary key,
    plan text not null,
    overrides jsonb not null default '{}',
    version bigint not null default 1,
    updated_at timestamptz not null default now(),
    constraint accounts_overrides_is_object check (jsonb_typeof(overrides) = 'object')
);

-- What was admitted. `hour` starts with the UTC hour, or with the period where that is later. An amount may be below
-- zero where documents were given back later than they were reserved.
create table metering.usage (
    account_id text collate "C" not null,
    metric text collate "C" not null,
    hour timestamptz not null,
    amount bigint not null,
    constraint usage_pkey primary key (account_id, metric, hour)
) with (fillfactor = 80);

-- The last call of each producer that the ledger holds: what a crash makes arrive twice is known by it.
create table metering.fences (
    producer text collate "C" not null,
    shard integer not null,
    seq bigint not null,
    updated_at timestamptz not null default now(),
    constraint fences_pkey primary key (producer, shard)
) with (fillfactor = 80);

-- migrate:down
drop schema metering cascade;
