"""What deletions leave behind is cleared, also when the store was away, and when a job wrote after the deletion."""

import asyncio
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx2
import obstore
import pytest
from account import Account
from gateways import Gateways
from images import encoded, picture
from obstore.exceptions import BaseError
from obstore.store import ObjectStore
from product import Product

from services.api import leftovers
from services.api.leftovers import pdfs_written_within, sweep_logos, sweep_pdfs
from services.api.pdf import document_folder
from services.api.store.pdf_deletions import select_due
from shared.objects import open_store
from shared.postgres import Pool, open_pool

LOGO = "/v1/account/logo"
AFTER = timedelta(hours=1)
AWAY = {
    "OBJECT_STORE_URL": "s3://nowhere", "AWS_ENDPOINT": "http://127.0.0.1:1", "AWS_ALLOW_HTTP": "true",
    "AWS_REGION": "none", "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none",
}  # fmt: skip


def objects_of(product: Product) -> Path:
    return Path(unquote(urlsplit(product.urls.objects).path))


def pdfs_of(account: Account, document_id: str) -> set[str]:
    folder = objects_of(account.product) / document_folder(account.id, document_id)
    return {path.name for path in folder.glob("*")}


def with_pdf(account: Account) -> str:
    document_id = account.document()["id"]
    assert account.http.get(f"/v1/documents/{document_id}/pdf").status_code == 200
    assert pdfs_of(account, document_id)
    return document_id


def pass_time(account: Account) -> None:
    account.sql("update api.pdf_deletions set deleted_at = deleted_at - interval '2 hours'")
    account.sql("update api.logos set replaced_at = replaced_at - interval '2 hours'")


def swept(product: Product) -> None:
    asyncio.run(_swept(product, open_store(product.urls.objects)))


async def _swept(product: Product, store: ObjectStore) -> None:
    async with await open_pool(product.urls.database, size_max=1, statement_timeout_s=5) as pool:
        await sweep_pdfs(pool, store, after=AFTER)
        await sweep_logos(pool, store, after=AFTER)


def test_pdfs_leave_with_their_document_though_the_store_was_away(
    account: Account, product: Product, tmp_path: Path
) -> None:
    document_id = with_pdf(account)
    with Gateways(product, tmp_path) as gateways:
        url = f"{gateways.on('storeless', AWAY)}/v1/documents/{document_id}"
        assert httpx2.delete(url, headers=account.http.headers, timeout=30).status_code == 200
    assert pdfs_of(account, document_id)
    pass_time(account)
    swept(product)
    assert not pdfs_of(account, document_id)


def test_a_pdf_that_was_written_after_its_document_had_gone_leaves_when_no_other_can_follow(
    account: Account, product: Product
) -> None:
    document_id = with_pdf(account)
    account.http.delete(f"/v1/documents/{document_id}")
    path = f"{document_folder(account.id, document_id)}/late.pdf"
    obstore.put(open_store(product.urls.objects), path, b"%PDF-late")
    swept(product)
    assert pdfs_of(account, document_id) == {"late.pdf"}
    pass_time(account)
    swept(product)
    assert not pdfs_of(account, document_id)
    assert not account.sql("select 1 from api.pdf_deletions where account_id = $1", account.id)


def test_time_enough_is_left_for_a_job_that_is_asked_for_at_the_last_moment() -> None:
    assert pdfs_written_within(40) > timedelta(seconds=40 + 300 + 20)


async def test_all_that_is_due_is_swept_a_batch_at_a_time_and_none_while_the_store_is_away(
    database_url: str, object_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "BATCH", 2)
    store = open_store(object_url)
    for number in range(1, 6):
        await obstore.put_async(store, f"{document_folder('acct_1', f'doc_{number}')}/a.pdf", b"%PDF")
    async with await open_pool(database_url, size_max=1, statement_timeout_s=5) as pool:
        await pool.execute(
            """
            insert into api.pdf_deletions (account_id, document_id, deleted_at)
            select 'acct_1', 'doc_' || n, now() - n * interval '20 minutes' from generate_series(1, 5) n
            """
        )
        for name, value in AWAY.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(BaseError):
            await sweep_pdfs(pool, open_store(AWAY["OBJECT_STORE_URL"]), after=AFTER)
        assert len(await _due(pool)) == 5
        await sweep_pdfs(pool, store, after=timedelta(minutes=50))
        assert await _due(pool) == [("acct_1", "doc_2"), ("acct_1", "doc_1")]
    left = [entry["path"] for batch in obstore.list(store) for entry in batch]
    assert sorted(left) == [f"{document_folder('acct_1', f'doc_{number}')}/a.pdf" for number in (1, 2)]


async def _due(pool: Pool) -> list[tuple[str, str]]:
    async with pool.acquire() as connection:
        return await select_due(connection, after=timedelta(0), limit=10)


def give_logo(account: Account, colour: str) -> str:
    answer = account.http.put(
        LOGO, content=encoded(picture(colour=colour)), headers={"content-type": "image/png"}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["sha256"]


def logos_of(account: Account) -> set[str]:
    return {row[0] for row in account.sql("select sha256 from api.logos where account_id = $1", account.id)}


def placed_logos(account: Account) -> set[str]:
    return {path.stem for path in (objects_of(account.product) / "logo" / account.id).glob("*.png")}


def test_a_replaced_logo_leaves_unless_something_was_sent_under_it(
    account: Account, product: Product
) -> None:
    with_pdf(account)
    seen = give_logo(account, "red")
    with_pdf(account)
    shown = give_logo(account, "green")
    sent = account.document(status="sent")["id"]
    now = give_logo(account, "blue")
    assert (logos_of(account), placed_logos(account)) == ({seen, shown, now}, {seen})
    swept(product)
    assert logos_of(account) == {seen, shown, now}
    pass_time(account)
    swept(product)
    assert (logos_of(account), placed_logos(account)) == ({shown, now}, set())
    assert account.http.get(f"/v1/documents/{sent}/pdf").status_code == 200
    assert account.http.get(LOGO).status_code == 200


def test_a_deleted_logo_leaves_and_one_that_was_given_again_stays(account: Account, product: Product) -> None:
    gone = give_logo(account, "red")
    account.http.delete(LOGO)
    again = give_logo(account, "green")
    account.http.delete(LOGO)
    assert give_logo(account, "green") == again
    pass_time(account)
    swept(product)
    assert gone != again
    assert logos_of(account) == {again}


def test_a_logo_stays_without_a_look_when_more_was_changed_under_it_than_can_be_looked_at(
    account: Account, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "LOOKED_AT_MAX", 2)
    busy = give_logo(account, "red")
    for _ in range(2):
        account.document()
    now = give_logo(account, "blue")
    pass_time(account)
    swept(product)
    assert logos_of(account) == {busy, now}
    assert not account.sql(
        "select 1 from api.logos where account_id = $1 and replaced_at notnull", account.id
    )


async def test_a_logo_is_not_taken_from_an_export_that_is_under_way(
    database_url: str, object_url: str
) -> None:
    async with await open_pool(database_url, size_max=1, statement_timeout_s=5) as pool:
        await pool.execute(
            """
            insert into api.logos (account_id, sha256, png, width, height, created_at, replaced_at)
            select 'acct_' || n, 'x', '', 1, 1, now() - interval '3 hours', now() - interval '2 hours'
            from generate_series(1, 2) n
            """
        )
        await pool.execute(
            """
            insert into api.exports (
                account_id, id, state, format, ordered, document_ids, total, created_at, updated_at, served_at
            ) values ('acct_1', 'exp_1', 'running', 'zip', '', '{doc_1}', 1, now(), now(), now())
            """
        )
        await sweep_logos(pool, open_store(object_url), after=AFTER)
        assert [row[0] for row in await pool.fetch("select account_id from api.logos")] == ["acct_1"]
