-- migrate:up

-- Every document that once was, so that its reservation in the meter is settled and not given back.
create table api.deleted_documents (
    account_id text collate "C" not null,
    document_id text collate "C" not null,
    created_at timestamptz not null,
    deleted_at timestamptz not null,
    constraint deleted_documents_pkey primary key (account_id, document_id)
);

-- Documents that never were and never will be: their reservation was given back.
create table api.void_documents (
    account_id text collate "C" not null,
    document_id text collate "C" not null,
    voided_at timestamptz not null default now(),
    constraint void_documents_pkey primary key (account_id, document_id)
);

-- By the database itself, so that gateways of the release before record what they delete, too.
create function api.record_deleted_document() returns trigger language plpgsql as $$
begin
    insert into api.deleted_documents (account_id, document_id, created_at, deleted_at)
    values (old.account_id, old.id, old.created_at, now())
    on conflict on constraint deleted_documents_pkey do nothing;
    return null;
end
$$;
create trigger documents_deleted after delete on api.documents
for each row execute function api.record_deleted_document();

-- Called by the statement that creates a document: until its transaction ends, nobody can void the document. A
-- statement within a function sees what was committed before it, also what its caller came too early to see.
create function api.claim_document(account text, document text) returns boolean language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(hashtextextended('document ' || account || ' ' || document, 0));
    if exists (select from api.void_documents v where v.account_id = account and v.document_id = document) then
        raise exception 'the document % was given up', document using errcode = 'serialization_failure';
    end if;
    return true;
end
$$;

-- What became of a reservation: 'created', 'busy' while its creation is under way, or 'void' from now on.
create function api.resolve_document(account text, document text) returns text language plpgsql as $$
begin
    if not pg_try_advisory_xact_lock(hashtextextended('document ' || account || ' ' || document, 0)) then
        return 'busy';
    end if;
    if exists (select from api.documents d where d.account_id = account and d.id = document)
        or exists (select from api.deleted_documents d where d.account_id = account and d.document_id = document)
    then
        return 'created';
    end if;
    insert into api.void_documents (account_id, document_id) values (account, document)
    on conflict on constraint void_documents_pkey do nothing;
    return 'void';
end
$$;

-- migrate:down
drop trigger documents_deleted on api.documents;
drop function api.resolve_document(text, text);
drop function api.claim_document(text, text);
drop function api.record_deleted_document();
drop table api.void_documents;
drop table api.deleted_documents;
