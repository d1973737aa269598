-- migrate:up

-- What services show to metering beside the token of its environment; only the hash of a token is kept.
create table metering.service_tokens (
    id text collate "C" constraint service_tokens_pkey primary key,
    name text collate "C" not null,
    hash bytea not null constraint service_tokens_hash_unique unique,
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);
create unique index service_tokens_live_name_unique on metering.service_tokens (name) where revoked_at is null;

-- migrate:down
drop table metering.service_tokens;
