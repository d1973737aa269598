"""The floor and the peer do what the gateway does, so that comparing them with it means something."""

import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from load import Kind, open_line

from tests.bench.contenders import FLOORS, Contenders, has_peer, opened_contenders
from tests.bench.slices import Load, Request, Slice, by_asyncio, by_wrk, sliced
from tests.bench.stock import request_body

DOCUMENTS = 40
OTHERS = (*FLOORS, *(("fastapi",) if has_peer() else ()))
Generator = Callable[[Load], Awaitable[Slice]]
GENERATORS = (by_asyncio, *((by_wrk,) if shutil.which("wrk") else ()))
# What a new document has of its own.
OWN = {"id", "number", "created_at", "updated_at"}


@pytest.fixture(scope="module")
async def contenders() -> AsyncGenerator[Contenders]:
    async with opened_contenders(DOCUMENTS) as opened:
        yield opened


@pytest.mark.parametrize("other", OTHERS)
async def test_each_document_is_answered_alike(contenders: Contenders, other: str) -> None:
    for document in contenders.documents:
        theirs = await _called(contenders, other, "GET", f"/{document}")
        assert _plain(theirs) == _plain(await _called(contenders, "gateway", "GET", f"/{document}"))


@pytest.mark.parametrize("other", OTHERS)
async def test_the_list_is_answered_alike(contenders: Contenders, other: str) -> None:
    ours, theirs = [await _called(contenders, name, "GET", "") for name in ("gateway", other)]
    assert [_plain(document) for document in theirs["data"]] == [_plain(each) for each in ours["data"]]
    assert len(theirs["data"]) == 25
    assert ours["pagination"] == {**theirs["pagination"], "next_cursor": ours["pagination"]["next_cursor"]}


@pytest.mark.parametrize("other", OTHERS)
async def test_a_created_document_is_answered_alike_and_is_there(contenders: Contenders, other: str) -> None:
    body = request_body(contenders.caller.client_id, contenders.documents.index(contenders.draft))
    ours, theirs = [await _called(contenders, name, "POST", "", body) for name in ("gateway", other)]
    assert _without_own(theirs) == _without_own(ours)
    found = await _called(contenders, other, "GET", f"/{theirs['id']}")
    assert _plain(found) == _plain(theirs)


@pytest.mark.parametrize("floor", FLOORS)
async def test_a_draft_that_is_sent_is_answered_alike_and_is_sent(contenders: Contenders, floor: str) -> None:
    body = request_body(contenders.caller.client_id, contenders.documents.index(contenders.draft))
    made = [await _called(contenders, "gateway", "POST", "", body) for _ in range(2)]
    ours, theirs = [
        await _called(contenders, name, "PUT", f"/{draft['id']}", {"status": "sent"})
        for name, draft in zip(("gateway", floor), made, strict=True)
    ]
    assert _without_own(theirs) == _without_own(ours)
    assert int(theirs["number"][-6:]) == int(ours["number"][-6:]) + 1
    found = await _called(contenders, "gateway", "GET", f"/{theirs['id']}")
    assert _without_own(found) == _without_own(theirs)


@pytest.mark.parametrize("generator", GENERATORS)
async def test_a_slice_of_load_counts_what_is_answered(contenders: Contenders, generator: Generator) -> None:
    paths = [f"/v1/documents/{document}" for document in contenders.documents]
    requests = [Request("GET", path, contenders.caller.key) for path in paths]
    found = await generator(Load(url=contenders.urls["gateway"], requests=requests, connections=2))
    assert found.per_s > 0
    assert 0 < found.p50_ms <= found.p99_ms


async def test_a_slice_of_load_fails_with_a_request(contenders: Contenders) -> None:
    requests = [Request("GET", "/v1/documents/doc_1", contenders.caller.key)]
    with pytest.raises(AssertionError):
        await sliced(Load(url=contenders.urls["gateway"], requests=requests, connections=1))


async def _called(contenders: Contenders, name: str, method: str, path: str, body: Any = None) -> Any:
    line = await open_line(contenders.urls[name])
    content = b"" if body is None else msgspec.json.encode(body)
    status = await line.call(
        contenders.caller, Kind(method, lambda _: f"/v1/documents{path}", lambda _: content)
    )
    line.close()
    assert status == (201 if method == "POST" else 200), line.body
    return msgspec.json.decode(line.body)


def _without_own(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in _plain(document).items() if name not in OWN}


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """What our answer leaves out where it is empty, a peer may name."""
    return {
        **document,
        "client": {name: value for name, value in document["client"].items() if value is not None},
        "items": [{**item, "description": item.get("description", "")} for item in document["items"]],
    }
