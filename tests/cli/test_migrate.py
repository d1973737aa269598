from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from cli import migrate as migrations
from cli.migrate import MigrationError, migrate, with_sslmode
from deploy.local.store import free_port
from deploy.local.stores import StoreUrls

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def empty_database(stores: StoreUrls) -> AsyncIterator[str]:
    connection = await asyncpg.connect(stores.database)
    await connection.execute("create database unmigrated")
    yield urlunsplit(urlsplit(stores.database)._replace(path="/unmigrated"))
    await connection.execute("drop database unmigrated with (force)")
    await connection.close()


async def test_two_who_migrate_at_once_apply_each_file_once_and_a_third_nothing(empty_database: str) -> None:
    with ThreadPoolExecutor(2) as both:
        list(both.map(migrate, [empty_database] * 2))
    migrate(empty_database)
    connection = await asyncpg.connect(empty_database)
    for service in migrations.SERVICES:
        applied = await connection.fetchval(f"select count(*) from {service}.schema_migrations")  # noqa: S608
        assert applied == len(list((ROOT / "services" / service / "migrations").glob("*.sql")))
    await connection.close()


def test_a_migration_that_fails_is_explained_and_leaves_nothing(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "services" / "api" / "migrations"
    folder.mkdir(parents=True)
    (folder / "0001_bad.sql").write_text(
        "-- migrate:up\ncreate schema kept;\nselect nonsense;\n-- migrate:down\n"
    )
    monkeypatch.setattr(migrations, "ROOT", tmp_path)
    with pytest.raises(
        MigrationError, match=r'migrations of api failed: .*column "nonsense" does not exist'
    ) as raised:
        migrate(empty_database)
    assert str(urlsplit(empty_database).password) not in str(raised.value)


def test_a_lock_that_is_not_to_be_had_ends_the_migration(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "services" / "api" / "migrations"
    folder.mkdir(parents=True)
    shown = "do $$ begin raise exception 'lock_timeout is %', current_setting('lock_timeout'); end $$;"
    (folder / "0001_shown.sql").write_text(f"-- migrate:up\n{shown}\n-- migrate:down\n")
    monkeypatch.setattr(migrations, "ROOT", tmp_path)
    with pytest.raises(MigrationError, match="lock_timeout is 5s"):
        migrate(empty_database)


def test_a_database_that_is_not_there_is_waited_for_no_longer_than_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(migrations, "WAIT_S", 1)
    with pytest.raises(MigrationError, match="refused"):
        migrate(f"postgresql://u:p@127.0.0.1:{free_port()}/x")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("postgresql://u:p@127.0.0.1:1/x", "postgresql://u:p@127.0.0.1:1/x?sslmode=disable"),
        ("postgresql://u:p@localhost/x?a=1", "postgresql://u:p@localhost/x?a=1&sslmode=disable"),
        ("postgresql://u:p@localhost/x?sslmode=require", "postgresql://u:p@localhost/x?sslmode=require"),
        ("postgresql://u:p@db.example.com/x", "postgresql://u:p@db.example.com/x"),
    ],
)
def test_tls_is_left_out_only_where_nothing_is_said_and_the_server_is_here(given: str, wanted: str) -> None:
    assert with_sslmode(given) == wanted
