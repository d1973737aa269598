-- migrate:up

-- `document_ids` are in the order of the file. `served_at` is when a part was last taken up: whose is longest ago is next.
-- `cleaned_at` is when the objects of one that has no file (any more) were deleted for good.
create table api.exports (
    account_id text collate "C" not null,
    id text collate "C" not null,
    state text not null,
    format text not null,
    ordered text not null,
    document_ids text [] not null,
    total integer not null,
    done integer not null default 0,
    failed integer not null default 0,
    message text,
    size_bytes bigint,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    served_at timestamptz not null,
    expires_at timestamptz,
    cleaned_at timestamptz,
    constraint exports_pkey primary key (account_id, id),
    constraint exports_state check (state in ('queued', 'running', 'ready', 'failed', 'cancelled', 'expired'))
);
create index exports_unfinished on api.exports (account_id, id) where state in ('queued', 'running');
create index exports_by_turn on api.exports (served_at) where state in ('queued', 'running');
create index exports_ready on api.exports (expires_at) where state = 'ready';
create index exports_by_age on api.exports (updated_at) where state in ('failed', 'cancelled', 'expired');

-- `count` documents from `first` on, counted from 0; none is the joining of all the others into the file.
-- A gateway sees to a part for as long as it holds the lease.
create table api.export_parts (
    account_id text collate "C" not null,
    export_id text collate "C" not null,
    first integer not null,
    count integer not null,
    state text not null default 'waiting',
    attempts integer not null default 0,
    holder text,
    leased_until timestamptz,
    failed integer not null default 0,
    faults json,
    constraint export_parts_pkey primary key (account_id, export_id, first),
    constraint export_parts_export_fkey foreign key (account_id, export_id)
    references api.exports (account_id, id) on delete cascade,
    constraint export_parts_state check (state in ('waiting', 'done'))
);
create index export_parts_held on api.export_parts (holder) where holder is not null;

-- migrate:down
drop table api.export_parts;
drop table api.exports;
