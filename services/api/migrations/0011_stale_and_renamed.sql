-- migrate:up

-- A sent document's body holds its client; a draft's holds none, whose column follows the client by itself.
create trigger documents_client_stale before update of client on api.documents
for each row when (
    new.status <> 'draft' and new.client::text is distinct from old.client::text
    and new.body is not distinct from old.body
)
execute function api.forget_body();

-- Clients whose drafts are yet to be found by their new name, those behind a document of theirs, and whose turn it is
-- next (services/api/renaming.py).
create table api.renamed_clients (
    account_id text collate "C" not null,
    client_id text collate "C" not null,
    after_id text collate "C" not null default '',
    turn_at timestamptz not null default now(),
    constraint renamed_clients_pkey primary key (account_id, client_id)
);
create index renamed_clients_by_turn on api.renamed_clients (turn_at);

-- A few drafts follow at once; so many that it would take a while are left for later.
create or replace function api.rename_drafts() returns trigger language plpgsql as $$
begin
    if exists (
        select from api.documents d where d.account_id = new.account_id and d.client_id = new.id
        order by d.id desc offset 100 limit 1
    ) then
        insert into api.renamed_clients as r (account_id, client_id) values (new.account_id, new.id)
        on conflict on constraint renamed_clients_pkey do update set after_id = '';
    else
        update api.documents d set client = new.profile
        where d.account_id = new.account_id and d.client_id = new.id and d.status = 'draft';
    end if;
    return null;
end
$$;

-- migrate:down
create or replace function api.rename_drafts() returns trigger language plpgsql as $$
begin
    update api.documents d set client = new.profile
    where d.account_id = new.account_id and d.client_id = new.id and d.status = 'draft';
    return null;
end
$$;
update api.documents d set client = c.profile from api.clients c, api.renamed_clients r
where d.status = 'draft' and c.account_id = r.account_id and c.id = r.client_id
and d.account_id = c.account_id and d.client_id = c.id;
drop table api.renamed_clients;
drop trigger documents_client_stale on api.documents;
