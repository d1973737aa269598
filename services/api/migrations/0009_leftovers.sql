-- migrate:up

-- Documents whose PDFs are to be deleted once more, when no job can write one any longer.
create table api.pdf_deletions (
    account_id text collate "C" not null,
    document_id text collate "C" not null,
    deleted_at timestamptz not null,
    constraint pdf_deletions_pkey primary key (account_id, document_id)
);
create index pdf_deletions_by_age on api.pdf_deletions (deleted_at);

-- By the database itself, so that gateways of the release before record what they delete, too.
create or replace function api.record_deleted_document() returns trigger language plpgsql as $$
begin
    insert into api.deleted_documents (account_id, document_id, created_at, deleted_at)
    values (old.account_id, old.id, old.created_at, now())
    on conflict on constraint deleted_documents_pkey do nothing;
    insert into api.pdf_deletions (account_id, document_id, deleted_at)
    values (old.account_id, old.id, now())
    on conflict on constraint pdf_deletions_pkey do update set deleted_at = excluded.deleted_at;
    return null;
end
$$;

-- When the account took another logo, or none, until it is known whether a sent document shows this one.
alter table api.logos add column replaced_at timestamptz;
update api.logos l set replaced_at = now() from api.accounts a
where a.id = l.account_id and a.profile ->> 'logo' is distinct from l.sha256;
-- An account has few, and each row is small beside its picture, which lies elsewhere.
-- squawk-ignore require-concurrent-index-creation
create index logos_replaced on api.logos (replaced_at) where replaced_at is not null;

-- migrate:down
-- squawk-ignore require-concurrent-index-deletion
drop index api.logos_replaced;
-- squawk-ignore ban-drop-column
alter table api.logos drop column replaced_at;
create or replace function api.record_deleted_document() returns trigger language plpgsql as $$
begin
    insert into api.deleted_documents (account_id, document_id, created_at, deleted_at)
    values (old.account_id, old.id, old.created_at, now())
    on conflict on constraint deleted_documents_pkey do nothing;
    return null;
end
$$;
drop table api.pdf_deletions;
