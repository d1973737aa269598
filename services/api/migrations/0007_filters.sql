-- migrate:up

-- Words as a search compares them: small, without accents, and parted where a word of a language may be.
create function api.folded(given text) returns text language plpgsql immutable strict parallel safe as $$
begin
    if octet_length(given) > char_length(given) then
        -- What the database's own locale may not know to make small.
        given := translate(
            regexp_replace(normalize(given, nfkd), '[\u0300-\u036f]+', '', 'g'),
            'ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩςАБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЂЃЄЅІЈЉЊЋЏҐØøŁłĐđ–—·・、。',
            'αβγδεζηθικλμνξοπρστυφχψωσабвгдежзиклмнопрстуфхцчшщъыьэюяђѓєѕіјљњћџґoolldd      '
        );
    end if;
    given := lower(given);
    -- What the parser would take for one word, as an address, or leave out, as a tag.
    given := replace(replace(replace(replace(given, '-', ' '), '.', ' '), '/', ' '), '@', ' ');
    given := replace(replace(replace(replace(given, '_', ' '), '<', ' '), '&', ' '), '+', ' ');
    if octet_length(given) > 1500 then
        -- No word longer than an index can hold.
        given := regexp_replace(given, '(\S{100})\S+', '\1', 'g');
    end if;
    return given;
end
$$;

-- What a document is found by. Each word begins with the end of its account's id, so that a search reads no other
-- account's postings; the statement that searches asks for the account as well.
create function api.search_words(account text, given text) returns tsvector
language plpgsql immutable strict parallel safe as $$
declare
    mark text := right(account, 8);
begin
    return array_to_tsvector(string_to_array(
        mark || array_to_string(tsvector_to_array(to_tsvector('pg_catalog.simple', api.folded(given))), ' ' || mark), ' '
    ));
end
$$;

-- Every word as the beginning of one.
create function api.search_query(account text, given text) returns tsquery
language plpgsql immutable strict parallel safe as $$
declare
    mark text := right(account, 8);
    words text[] := tsvector_to_array(to_tsvector('pg_catalog.simple', api.folded(given)));
begin
    if words = '{}' then
        return ('''' || mark || ' ''')::tsquery; -- what nothing is found by
    end if;
    return ('''' || mark || array_to_string(words, ''':* & ''' || mark) || ''':*')::tsquery;
end
$$;

-- A draft's client is the live one: its search follows when the client's name changes.
create function api.rename_drafts() returns trigger language plpgsql as $$
begin
    update api.documents d set client = new.profile
    where d.account_id = new.account_id and d.client_id = new.id and d.status = 'draft';
    return null;
end
$$;
create trigger clients_renamed after update of profile on api.clients
for each row when (old.profile ->> 'name' is distinct from new.profile ->> 'name')
execute function api.rename_drafts();
update api.documents d set client = c.profile from api.clients c
where d.status = 'draft' and c.account_id = d.account_id and c.id = d.client_id
and c.profile ->> 'name' is distinct from d.client ->> 'name';

-- The table is written anew once, under the lock that the column takes; what it is indexed by is made under it.
-- squawk-ignore adding-field-with-default
alter table api.documents add column search tsvector generated always as (
    api.search_words(account_id, coalesce(number, '') || ' ' || coalesce(replace(number, '-', ''), '') || ' '
        || coalesce(client ->> 'name', '') || ' ' || notes)
) stored;
-- squawk-ignore require-concurrent-index-creation
create index documents_by_words on api.documents using gin (search) with (fastupdate = off);
-- squawk-ignore require-concurrent-index-creation
create index documents_by_client on api.documents (account_id, client_id, id desc);
-- squawk-ignore require-concurrent-index-creation
create index documents_by_currency on api.documents (account_id, currency, id desc);
-- squawk-ignore require-concurrent-index-creation
create index documents_by_issued_date on api.documents (account_id, issued_date, id);
-- squawk-ignore require-concurrent-index-creation
create index documents_by_due_date on api.documents (account_id, due_date, id);
-- squawk-ignore require-concurrent-index-creation
create index documents_by_total on api.documents (account_id, total, id);
-- squawk-ignore require-concurrent-index-creation
create index documents_by_update on api.documents (account_id, updated_at, id);
-- squawk-ignore require-concurrent-index-creation
create index documents_unnumbered on api.documents (account_id, id) where number is null;
-- squawk-ignore require-concurrent-index-creation
create index documents_sent_by_due_date on api.documents (account_id, due_date, id) include (type) where status = 'sent';

-- migrate:down
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_sent_by_due_date;
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_unnumbered;
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_update;
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_total;
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_due_date;
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_issued_date;
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_currency;
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_by_client;
-- squawk-ignore ban-drop-column
alter table api.documents drop column search;
drop trigger clients_renamed on api.clients;
drop function api.rename_drafts();
drop function api.search_query(text, text);
drop function api.search_words(text, text);
drop function api.folded(text);
