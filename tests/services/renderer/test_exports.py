"""The renderer's side of exports: parts printed once, joined whole or not at all, and every outcome told."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix
from arq.worker import Retry
from jinja2 import Environment
from obstore.store import S3Store

from services.renderer import exports
from services.renderer.chromium import Chromium, open_chromium
from services.renderer.exports import (
    DELETED,
    PART_LOST,
    Exporter,
    export_archive,
    export_part,
    holding,
)
from services.renderer.logos import Logos
from services.renderer.metrics import Metrics
from services.renderer.press import Press
from services.renderer.queue import OUTCOME
from services.renderer.render import GIVEN_UP, MALFORMED, UNSTORABLE
from services.renderer.worker import export_lane
from shared.messages import (
    EXPORT_DONE_CHANNEL,
    EXPORT_QUEUE,
    ExportArchive,
    ExportDone,
    ExportedDocument,
    ExportEntry,
    ExportFault,
    ExportPart,
    RenderJob,
)
from shared.objects import open_store, put_once, read_whole, size_of
from shared.queue import open_queue

PATH = "export/acct/exp/part-00000-3"
LOOKS_MAX = 1_000
ARCHIVE = "export/acct/exp/archive"


@pytest.fixture
def exporter(templates: Environment, chromium: Chromium, object_url: str) -> Exporter:
    store = open_store(object_url)
    return Exporter(Press(templates, chromium, Logos(store).read), store)


@pytest.fixture
def part(example: Callable[[str], RenderJob]) -> ExportPart:
    """A document, one that was deleted, and one without a template."""
    job = msgspec.structs.replace(example("invoice-modern"), document_id="doc_1")
    unfillable = msgspec.structs.replace(job, document_id="doc_3", template="gothic")
    return ExportPart(
        entries=(
            ExportEntry(document_id="doc_1", job=job),
            ExportEntry(document_id="doc_2"),
            ExportEntry(document_id="doc_3", job=unfillable),
        )
    )


async def stored(exporter: Exporter) -> list[ExportedDocument]:
    data = await read_whole(exporter.store, PATH)
    assert data is not None
    return msgspec.msgpack.decode(data, type=list[ExportedDocument])


async def test_a_part_holds_what_could_be_printed_and_says_what_could_not(
    exporter: Exporter, part: ExportPart
) -> None:
    done = await exporter.part(PATH, msgspec.msgpack.encode(part), job_try=1)
    assert (done.key, done.error, done.done) == (PATH, "", 1)
    assert done.faults[0] == ExportFault("doc_2", "not_found", DELETED)
    assert (done.faults[1].document_id, done.faults[1].error) == ("doc_3", "internal_error")
    documents = await stored(exporter)
    assert [document.document_id for document in documents] == ["doc_1", "doc_2", "doc_3"]
    assert [document.pdf[:5] for document in documents] == [b"%PDF-", b"", b""]


async def test_a_part_that_is_there_is_told_again_and_not_printed(exporter: Exporter) -> None:
    lost = ExportedDocument(document_id="doc_2", error="not_found", message=DELETED)
    made = [ExportedDocument(document_id="doc_1", pdf=b"%PDF-"), lost]
    await put_once(exporter.store, PATH, msgspec.msgpack.encode(made))
    done = await exporter.part(PATH, b"this is not even looked at", job_try=9)
    assert done == ExportDone(key=PATH, done=1, faults=(ExportFault("doc_2", "not_found", DELETED),))


async def test_a_part_that_ended_two_workers_is_given_up(exporter: Exporter, part: ExportPart) -> None:
    done = await exporter.part(PATH, msgspec.msgpack.encode(part), job_try=3)
    assert done == ExportDone(key=PATH, error=GIVEN_UP)


@pytest.fixture
async def context(redis_url: str, exporter: Exporter) -> Any:
    queue = open_queue(redis_url)
    yield {"redis": queue, "exporter": exporter, "job_id": PATH, "job_try": 1}
    await queue.aclose(close_connection_pool=True)


def told(context: dict[str, Any]) -> ExportDone:
    channel, message = context[OUTCOME]
    assert channel == EXPORT_DONE_CHANNEL
    return msgspec.msgpack.decode(message, type=ExportDone)


async def test_what_is_no_part_is_told_so(context: dict[str, Any]) -> None:
    for payload in (b"", b"garbage"):
        await export_part(context, PATH, payload)
        assert told(context) == ExportDone(key=PATH, error=MALFORMED)
    await export_part(context)
    assert told(context).key == PATH
    assert told(context).error


async def test_a_store_that_is_away_passes(
    context: dict[str, Any], exporter: Exporter, part: ExportPart
) -> None:
    nobody: Any = {"endpoint": "http://127.0.0.1:1", "region": "x", "skip_signature": True}
    away = S3Store(
        "exports", config=nobody, client_options={"allow_http": True}, retry_config={"max_retries": 0}
    )
    context["exporter"] = Exporter(exporter.press, away)
    await export_part(context, PATH, msgspec.msgpack.encode(part))
    assert told(context) == ExportDone(key=PATH, error=UNSTORABLE, passes=True)


async def test_what_fails_is_counted_by_its_reason(
    context: dict[str, Any], chromium: Chromium, part: ExportPart, object_url: str
) -> None:
    """A document that cannot be filled, of a part that is made; then whole jobs."""
    lane = export_lane(chromium, 1, open_store(object_url), Metrics())
    context |= lane.context
    await export_part(context, PATH, msgspec.msgpack.encode(part))
    assert told(context).error == ""
    assert lane.metrics.failures == {(EXPORT_QUEUE, "unfillable"): 1}
    await export_part(context, f"{PATH}0", b"garbage")
    await export_part(context | {"job_try": 9}, f"{PATH}1", msgspec.msgpack.encode(part))
    joining = msgspec.msgpack.encode(ExportArchive(format="zip", parts=("export/acct/exp/gone",)))
    await export_archive(context, ARCHIVE, joining)
    assert lane.metrics.failures == {
        (EXPORT_QUEUE, reason): 1 for reason in ("unfillable", "malformed", "given_up", "part_lost")
    }


async def test_without_a_browser_a_part_is_left_to_others(
    context: dict[str, Any], exporter: Exporter, part: ExportPart, templates: Environment
) -> None:
    async with open_chromium(path="/nonexistent", sandbox=False, pages=1, prints_max=1) as none:
        context["exporter"] = Exporter(Press(templates, none, Logos(exporter.store).read), exporter.store)
        with pytest.raises(Retry):
            await export_part(context, PATH, msgspec.msgpack.encode(part))
    assert OUTCOME not in context


async def test_parts_are_joined_once(exporter: Exporter) -> None:
    made = [ExportedDocument(document_id="doc_1", pdf=b"%PDF-")]
    await put_once(exporter.store, PATH, msgspec.msgpack.encode(made))
    payload = msgspec.msgpack.encode(ExportArchive(format="zip", parts=(PATH,)))
    assert await exporter.archive(ARCHIVE, payload, job_try=1) == ExportDone(key=ARCHIVE)
    first = await read_whole(exporter.store, ARCHIVE)
    assert first is not None
    assert first.startswith(b"PK")
    assert await exporter.archive(ARCHIVE, b"not looked at", job_try=9) == ExportDone(key=ARCHIVE)


async def test_a_part_that_is_lost_leaves_no_half_file(context: dict[str, Any], exporter: Exporter) -> None:
    made = [ExportedDocument(document_id="doc_1", pdf=b"x" * 20_000_000)]
    await put_once(exporter.store, PATH, msgspec.msgpack.encode(made))
    payload = msgspec.msgpack.encode(ExportArchive(format="zip", parts=(PATH, "export/acct/exp/gone")))
    await export_archive(context, ARCHIVE, payload)
    assert told(context).error == PART_LOST
    assert await size_of(exporter.store, ARCHIVE) is None


async def test_a_job_stays_locked_for_as_long_as_it_takes(
    context: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "BEAT_S", 0.05)
    redis: ArqRedis = context["redis"]
    lock = f"{in_progress_key_prefix}{PATH}"
    await redis.set(lock, b"1", px=500)
    async with holding(redis, PATH):
        for _ in range(LOOKS_MAX):
            await asyncio.sleep(0.01)
            if await redis.pttl(lock) > 500:
                break
    assert await redis.pttl(lock) > 500
