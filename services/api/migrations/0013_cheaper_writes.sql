-- migrate:up

-- A client's drafts are found among its documents (`documents_by_client`).
-- squawk-ignore require-concurrent-index-deletion
drop index api.drafts_by_client;

-- It keeps numbers apart and finds them, of what has one; a draft is not in it. Made under the lock that goes with the
-- constraint, some seconds for a million documents.
-- squawk-ignore ban-drop-constraint
alter table api.documents drop constraint documents_number_unique;
-- squawk-ignore require-concurrent-index-creation
create unique index documents_number_unique on api.documents (account_id, number) where number is not null;

-- Finds the words that it found before. Most texts are letters and digits with spaces or what counts as such between
-- them; these need no parser, which takes longer than all the rest. What it may take for a number with an exponent is
-- left to it.
create or replace function api.search_words(account text, given text) returns tsvector
language plpgsql immutable strict parallel safe as $$
declare
    mark text := right(account, 8);
    plain text := replace(replace(replace(replace(replace(replace(replace(replace(replace(
        replace(replace(replace(replace(replace(replace(replace(replace(lower(given),
            '-', ' '), '.', ' '), '/', ' '), '@', ' '), '_', ' '), '<', ' '), '&', ' '), '+', ' '),
            ',', ' '), ':', ' '), '''', ' '), '!', ' '), '#', ' '), '%', ' '), '(', ' '), ')', ' '), E'\n', ' ');
begin
    if plain !~ '[^a-z0-9 ]|[0-9]e[0-9]' and octet_length(plain) <= 1500 then
        return array_to_tsvector(
            array_remove(string_to_array(mark || replace(plain, ' ', ' ' || mark), ' '), mark)
        );
    end if;
    return array_to_tsvector(string_to_array(
        mark || array_to_string(tsvector_to_array(to_tsvector('pg_catalog.simple', api.folded(given))), ' ' || mark), ' '
    ));
end
$$;

-- migrate:down
create or replace function api.search_words(account text, given text) returns tsvector
language plpgsql immutable strict parallel safe as $$
declare
    mark text := right(account, 8);
begin
    return array_to_tsvector(string_to_array(
        mark || array_to_string(tsvector_to_array(to_tsvector('pg_catalog.simple', api.folded(given))), ' ' || mark), ' '
    ));
end
$$;
-- squawk-ignore require-concurrent-index-deletion
drop index api.documents_number_unique;
-- squawk-ignore require-concurrent-index-creation
create unique index documents_number_unique on api.documents (account_id, number);
alter table api.documents add constraint documents_number_unique unique using index documents_number_unique;
-- squawk-ignore require-concurrent-index-creation
create index drafts_by_client on api.documents (account_id, client_id) where status = 'draft';
