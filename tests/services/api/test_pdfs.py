"""PDFs over HTTP: one file per state of a document, told apart by its ETag, and an error is never one."""

import asyncio
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Event
from urllib.parse import unquote, urlsplit

import httpx2
import msgspec
import pytest
from account import Account, refused
from gateways import Gateways
from product import Product
from redis import Redis

from services.api.domain.lifecycle import STATUSES
from services.api.store.ids import new_id
from shared.messages import RENDER_DONE_CHANNEL, RENDER_QUEUE, RenderDone

MARKS = {"draft": {"DRAFT"}, "cancelled": {"CANCELLED"}}
LOOKS_MAX = 500


def pdf_of(account: Account, document_id: str, query: str = "", **headers: str) -> httpx2.Response:
    return account.http.get(f"/v1/documents/{document_id}/pdf{query}", headers=headers)


def text_of(pdf: bytes) -> str:
    return subprocess.run(("pdftotext", "-", "-"), input=pdf, capture_output=True, check=True).stdout.decode()  # noqa: S607 - found on the path, as make test provides it


def folder_of(account: Account, document_id: str) -> Path:
    return Path(unquote(urlsplit(account.product.urls.objects).path), "pdf", account.id, document_id)


@pytest.fixture(scope="module")
def sent(house: Account) -> dict[str, str]:
    return house.document(status="sent")


def test_a_pdf_is_served_as_one(house: Account, sent: dict[str, str]) -> None:
    answer = pdf_of(house, sent["id"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.content.startswith(b"%PDF-")
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["content-disposition"] == f'attachment; filename="{sent["number"]}.pdf"'
    assert answer.headers["etag"].startswith('"')
    assert answer.headers["ratelimit"]
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("query", "kind"), [("?disposition=inline", "inline"), ("?disposition=attachment", "attachment")]
)
def test_it_may_be_shown_in_a_browser(house: Account, sent: dict[str, str], query: str, kind: str) -> None:
    answer = pdf_of(house, sent["id"], query)
    assert answer.headers["content-disposition"] == f'{kind}; filename="{sent["number"]}.pdf"'


@pytest.mark.parametrize(
    "query",
    ["?disposition=x", "?disposition=", "?download=1", "?disposition=inline&disposition=inline", "?page=1"],
)
def test_a_malformed_parameter_is_400_in_json(house: Account, sent: dict[str, str], query: str) -> None:
    refused(pdf_of(house, sent["id"], query), 400, "invalid_parameter")


def test_a_draft_is_named_by_its_id(house: Account) -> None:
    draft = house.document()
    named = pdf_of(house, draft["id"]).headers["content-disposition"]
    assert named == f'attachment; filename="{draft["id"]}.pdf"'


@pytest.mark.parametrize("tag", ["{}", "W/{}", "*", '"x", {}', '{},"x"', '{} ,W/"y"'])
def test_a_known_tag_is_304_with_the_tag_and_no_body(house: Account, sent: dict[str, str], tag: str) -> None:
    etag = pdf_of(house, sent["id"]).headers["etag"]
    answer = pdf_of(house, sent["id"], **{"if-none-match": tag.format(etag)})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert "content-type" not in answer.headers


@pytest.mark.parametrize("tag", ['"x"', "x", "", '"*"', "W/"])
def test_an_unknown_tag_is_200(house: Account, sent: dict[str, str], tag: str) -> None:
    assert pdf_of(house, sent["id"], **{"if-none-match": tag}).status_code == 200


def test_head_answers_as_get_does_without_the_body(house: Account, sent: dict[str, str]) -> None:
    get, head = pdf_of(house, sent["id"]), house.http.head(f"/v1/documents/{sent['id']}/pdf")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length", "etag", "content-disposition"):
        assert head.headers[name] == get.headers[name]


def test_the_same_state_gives_the_same_bytes_though_printed_anew(
    house: Account, sent: dict[str, str], product: Product, tmp_path: Path
) -> None:
    first = pdf_of(house, sent["id"])
    with Gateways(product, tmp_path) as gateways:
        forgetful = gateways.on("forgetful", {"PDF_CACHE_MB": "0"})
        for path in folder_of(house, sent["id"]).iterdir():
            path.unlink()
        url = f"{forgetful}/v1/documents/{sent['id']}/pdf"
        again = httpx2.get(url, headers=house.http.headers, timeout=30)
    assert any(folder_of(house, sent["id"]).iterdir())
    assert again.content == first.content
    assert again.headers["etag"] == first.headers["etag"]


def test_what_was_asked_for_of_late_is_answered_without_the_store(house: Account) -> None:
    document_id = house.document(status="sent")["id"]
    first = pdf_of(house, document_id)
    for path in folder_of(house, document_id).iterdir():
        path.unlink()
    assert pdf_of(house, document_id).content == first.content
    assert not any(folder_of(house, document_id).iterdir())


def test_another_state_is_another_file(account: Account) -> None:
    draft = account.document()
    tags = [pdf_of(account, draft["id"]).headers["etag"]]
    account.put(draft["id"], notes="Thank you")
    tags.append(pdf_of(account, draft["id"]).headers["etag"])
    account.http.put(f"/v1/clients/{account.client_id}", json={"name": "Renamed"})
    tags.append(pdf_of(account, draft["id"]).headers["etag"])
    account.put(draft["id"], status="sent")
    tags.append(pdf_of(account, draft["id"]).headers["etag"])
    assert len(set(tags)) == 4
    account.http.put(f"/v1/clients/{account.client_id}", json={"name": "Renamed again"})
    assert pdf_of(account, draft["id"]).headers["etag"] == tags[-1]


@pytest.mark.parametrize("status", STATUSES)
def test_only_drafts_and_cancelled_documents_are_marked(house: Account, status: str) -> None:
    document = house.in_status(status)
    text = text_of(pdf_of(house, document["id"]).content)
    assert {mark for mark in ("DRAFT", "CANCELLED") if mark in text} == MARKS.get(status, set())
    assert document["number"] is None or document["number"] in text
    assert "Acme Corp" in text


def test_a_deleted_document_takes_its_files_with_it(house: Account) -> None:
    doomed = house.document()["id"]
    pdf_of(house, doomed)
    assert any(folder_of(house, doomed).iterdir())
    house.http.delete(f"/v1/documents/{doomed}")
    assert not any(folder_of(house, doomed).glob("*"))
    refused(pdf_of(house, doomed), 404, "not_found")


@pytest.mark.parametrize("document_id", ["doc_abc123", "x", new_id("doc")])
def test_no_document_is_no_pdf(house: Account, document_id: str) -> None:
    refused(pdf_of(house, document_id), 404, "not_found")
    refused(pdf_of(house, document_id, **{"if-none-match": "*"}), 404, "not_found")


async def test_many_who_ask_at_once_get_the_same_file(house: Account) -> None:
    document_id = (await asyncio.to_thread(house.document))["id"]
    async with httpx2.AsyncClient(
        base_url=house.product.gateway, headers=house.http.headers, timeout=60
    ) as http:
        answers = await asyncio.gather(*(http.get(f"/v1/documents/{document_id}/pdf") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


@pytest.fixture
def alone(product: Product, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A gateway whose queue no renderer serves, and the queue's URL."""
    queue = f"{product.urls.redis.rpartition('/')[0]}/14"
    with Gateways(product, tmp_path) as gateways:
        yield gateways.on("alone", {"QUEUE_REDIS_URL": queue, "PDF_WAIT_S": "20"}), queue


def test_a_print_that_fails_is_told_at_once_and_not_as_a_pdf(house: Account, alone: tuple[str, str]) -> None:
    gateway, queue = alone
    document_id = house.document()["id"]
    with ThreadPoolExecutor() as asker, Redis.from_url(queue) as redis:
        redis.flushdb()
        answer = asker.submit(_asked, gateway, document_id, house)
        _end_job(redis, error="The document could not be printed")
        refused(answer.result(), 500, "internal_error")


def test_a_pdf_that_is_gone_when_it_is_told_is_made_once_more(house: Account, alone: tuple[str, str]) -> None:
    gateway, queue = alone
    document_id = house.document()["id"]
    with ThreadPoolExecutor() as asker, Redis.from_url(queue) as redis:
        redis.flushdb()
        answer = asker.submit(_asked, gateway, document_id, house)
        key = _end_job(redis)
        folder = folder_of(house, document_id)
        folder.mkdir(parents=True)
        (folder / f"{_waiting_job(redis)}.pdf").write_bytes(b"%PDF-made")
        assert _end_job(redis) == key
        assert (answer.result().status_code, answer.result().content) == (200, b"%PDF-made")


def test_a_pdf_that_is_never_where_it_was_put_is_an_error_and_not_made_on_and_on(
    house: Account, alone: tuple[str, str]
) -> None:
    gateway, queue = alone
    document_id = house.document()["id"]
    with ThreadPoolExecutor() as asker, Redis.from_url(queue) as redis:
        redis.flushdb()
        answer = asker.submit(_asked, gateway, document_id, house)
        _end_job(redis)
        _end_job(redis)
        refused(answer.result(), 500, "internal_error")
        assert redis.zcard(RENDER_QUEUE) == 0


def test_a_pdf_that_would_wait_too_long_is_refused_with_the_time_to_come_again(
    house: Account, product: Product, tmp_path: Path
) -> None:
    queue = f"{product.urls.redis.rpartition('/')[0]}/14"
    variables = {"QUEUE_REDIS_URL": queue, "PDF_WAIT_S": "0.5", "PDF_QUEUE_WAIT_S_MAX": "10"}
    first, second = (house.document()["id"] for _ in range(2))
    with Gateways(product, tmp_path) as gateways, Redis.from_url(queue) as redis:
        redis.flushdb()
        gateway = gateways.on("crowded", variables)
        # A worker that lives for an hour and takes seventeen seconds for a document.
        redis.hset(
            f"{RENDER_QUEUE}:workers", "slow", f"{(time.time_ns() // 1_000_000) + 3_600_000} 1 17000.0"
        )
        for _ in range(2):  # The second is not a second job: it joins the first.
            refused(_asked(gateway, first, house), 503, "render_timeout")
        answer = _asked(gateway, second, house)
        refused(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "7"
        assert redis.zcard(RENDER_QUEUE) == 1
        redis.flushdb()


def _asked(gateway: str, document_id: str, account: Account) -> httpx2.Response:
    url = f"{gateway}/v1/documents/{document_id}/pdf"
    return httpx2.get(url, headers=account.http.headers, timeout=30)


def _end_job(redis: Redis, *, error: str = "") -> str:
    """Take the job that waits off the queue, and say that it is done; its key."""
    key = _waiting_job(redis)
    redis.flushdb()
    redis.publish(RENDER_DONE_CHANNEL, msgspec.msgpack.encode(RenderDone(key=key, error=error)))
    return key


def _waiting_job(redis: Redis) -> str:
    """The id of the job in the queue, which is the key of its PDF."""
    pause = Event()
    for look in count():
        assert look < LOOKS_MAX, "no job came"
        jobs = redis.zrange(RENDER_QUEUE, 0, -1)
        assert isinstance(jobs, list)
        if jobs:
            return jobs[0].decode()
        pause.wait(0.01)
    raise AssertionError
