"""Every SQL statement of the store: it prepares against the migrated schema, and it stays within its account."""

import re

import asyncpg
import pytest
from store_statements import Statement, statements, touched

# Asked before the account is known, or on behalf of all: by a key's hash, a key's own id, and age.
ACROSS_ACCOUNTS = {
    "keys.select_principal": "k.hash = $1",
    "keys.revoke_key": "id = $1",
    "idempotency.delete_expired": "created_at < $1",
    "export_parts.claim_part": "for update of e skip locked",
    "export_parts.renew_leases": "p.holder = $1",
    "export_parts.release_all": "holder = $1",
    "exports.expire_exports": "expires_at < $1",
    "exports.give_up_exports": "created_at < $1",
    "exports.select_uncleaned": "updated_at < $1",
    "exports.delete_old_exports": "updated_at < $1",
    "drafts.select_renamed": "order by r.turn_at",
    "pdf_deletions.select_due": "deleted_at < now()",
    "logos.select_replaced": "l.replaced_at < now()",
    "counts.fold_document_counts": "c.backend <> 0",
    "counts.mark_lapsed": "d.account_id = o.account_id",
    "counts.fold_due_counts": "c.backend <> 0",
    "counts.fold_client_counts": "c.backend <> 0",
}
# A function of the schema, asked on behalf of the account that is its first argument.
CALLED = re.compile(r"select api\.\w+\(\$1, \$2\)")
OF_ACCOUNTS_THEMSELVES = "accounts"  # the table whose own id is the account's


STATEMENTS = list(statements())


def test_the_walk_finds_the_statements() -> None:
    found = {statement.function for statement in STATEMENTS}
    assert {"documents.select_shown", "clients.insert_client", "numbers.take_number"} <= found


def test_a_function_holds_one_statement() -> None:
    functions = [statement.function for statement in STATEMENTS]
    assert len(functions) == len(set(functions))


@pytest.mark.parametrize("statement", STATEMENTS, ids=str)
async def test_a_statement_prepares_against_the_migrated_schema(
    database_url: str, statement: Statement
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.prepare(statement.sql)
    finally:
        await connection.close()


@pytest.mark.parametrize("statement", STATEMENTS, ids=str)
def test_a_statement_lists_its_columns(statement: Statement) -> None:
    assert "*" not in statement.sql.replace("count(*)", "")


@pytest.mark.parametrize(
    "statement", [found for found in STATEMENTS if touched(found.sql) - {OF_ACCOUNTS_THEMSELVES}], ids=str
)
def test_a_statement_on_what_accounts_own_names_the_account(statement: Statement) -> None:
    sql = statement.sql
    if statement.function in ACROSS_ACCOUNTS:
        assert ACROSS_ACCOUNTS[statement.function] in sql
        return
    if CALLED.fullmatch(sql):
        return
    if sql.startswith("insert") and "select" not in sql:
        assert re.match(r"insert into api\.\w+ (as \w+ )?\((\w+, )?account_id\b", sql)
        return
    if " from unnest(" in sql:
        assert re.match(r"insert into api\.\w+ (as \w+ )?\( ?account_id, [^()]+\) select \$1, ", sql)
        assert touched(sql.partition(" select ")[2]) <= {"accounts"}
        return
    account = r"\ba\.id = \$1" if " from api.accounts a left join " in sql else r"\baccount_id = \$1"
    assert re.search(account, sql.rpartition(" where ")[2])


@pytest.mark.parametrize("statement", [found for found in STATEMENTS if " join " in found.sql], ids=str)
def test_a_join_stays_within_the_account(statement: Statement) -> None:
    for joined in re.findall(r"join api\.\w+ \w+ on (.*?)(?: where | left join |$)", statement.sql):
        assert re.search(r"account_id = \w+\.(account_id|id)|\w+\.id = \w+\.account_id", joined)


async def test_every_table_that_accounts_own_is_keyed_by_them(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            """
            select t.tablename from pg_tables t where t.schemaname = 'api'
                and not exists (
                    select from information_schema.columns c where c.table_schema = 'api'
                        and c.table_name = t.tablename and c.column_name = 'account_id' and c.is_nullable = 'NO'
                )
            """
        )
    finally:
        await connection.close()
    assert {row[0] for row in rows} == {"accounts", "schema_migrations"}
