-- migrate:up

-- When its owner last changed it; null for an account that is as the operator made it.
alter table api.accounts add column updated_at timestamptz;

-- Null where the document says nothing, so that its client or the account decides.
alter table api.documents
add column locale text,
add column page_size text;

-- Every logo that an account has had: a document that was sent keeps the one of its moment.
create table api.logos (
    account_id text collate "C" not null,
    sha256 text collate "C" not null,
    png bytea not null,
    width integer not null,
    height integer not null,
    created_at timestamptz not null,
    constraint logos_pkey primary key (account_id, sha256)
);

-- A key that could do everything still can.
update api.keys set scopes = scopes || '{account:read,account:write}'::text []
where scopes @> '{documents:read,documents:write,clients:read,clients:write,usage:read}'::text [];

-- migrate:down
update api.keys set scopes = array_remove(array_remove(scopes, 'account:read'), 'account:write')
where scopes && '{account:read,account:write}'::text [];
drop table api.logos;
-- squawk-ignore ban-drop-column
alter table api.documents drop column page_size;
-- squawk-ignore ban-drop-column
alter table api.documents drop column locale;
-- squawk-ignore ban-drop-column
alter table api.accounts drop column updated_at;
