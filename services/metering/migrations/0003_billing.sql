-- migrate:up

-- From `since` on, the account's periods begin on `anchor_day` at midnight of `time_zone`; before the first row, and
-- without any, they are the calendar months of UTC. `since` is the end of the period in which the change was made.
create table metering.billing (
    account_id text collate "C" not null,
    since timestamptz not null,
    anchor_day integer not null,
    time_zone text not null,
    constraint billing_pkey primary key (account_id, since),
    constraint billing_anchor_day_bounds check (anchor_day between 1 and 28)
);

-- migrate:down
drop table metering.billing;
