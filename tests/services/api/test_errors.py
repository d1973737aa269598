"""Errors: for each code of the list a request that produces it, in the documented form and never as a PDF."""

import asyncio
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx2
import msgspec
import pytest
from account import Account, caller, refused
from bodies import CLIENT, JSON, document
from gateways import MISSING, NOBODY, Gateways
from product import Product

from services.api.auth import new_key
from services.api.exports import archive_path
from services.api.problems import STATUS, problem_answer
from services.api.store.idempotency import try_lock
from services.api.store.ids import new_id
from shared.errors import CODES, Code, Problem

# The contract's table, and the three that every HTTP service has.
STATUSES: dict[int, set[Code]] = {
    400: {"invalid_json", "invalid_parameter"},
    401: {"unauthorized"},
    403: {"forbidden"},
    404: {"not_found"},
    405: {"method_not_allowed"},
    409: {"idempotency_in_progress", "export_not_ready", "external_id_taken"},
    412: {"precondition_failed"},
    413: {"payload_too_large"},
    415: {"unsupported_media_type"},
    416: {"range_not_satisfiable"},
    422: {"validation_error", "document_not_draft", "invalid_transition", "idempotency_mismatch"},
    429: {"rate_limited", "quota_exceeded"},
    500: {"internal_error"},
    503: {"unavailable", "render_timeout"},
}
WITH_RETRY_AFTER: set[Code] = {
    "idempotency_in_progress", "rate_limited", "quota_exceeded", "unavailable", "render_timeout",
}  # fmt: skip


class Scene(msgspec.Struct):
    account: Account
    gateways: Gateways

    def on(self, gateway: str) -> httpx2.Client:
        """The account's client on another gateway."""
        headers = {"authorization": f"Bearer {self.account.key}"}
        return httpx2.Client(base_url=gateway, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def gateways(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    with Gateways(product, tmp_path_factory.mktemp("gateways")) as further:
        yield further


@pytest.fixture
def scene(account: Account, gateways: Gateways) -> Scene:
    return Scene(account, gateways)


@contextmanager
def broken_table(account: Account, table: str) -> Generator[None]:
    """While it lasts, the table refuses every row of this account."""
    account.sql(f"alter table {table} add constraint broken check (account_id <> '{account.id}') not valid")
    try:
        yield
    finally:
        account.sql(f"alter table {table} drop constraint broken")


def internal_error(scene: Scene) -> httpx2.Response:
    with broken_table(scene.account, "api.clients"):
        return scene.account.http.post("/v1/clients", json=CLIENT)


def in_progress(scene: Scene) -> httpx2.Response:
    async def while_locked() -> httpx2.Response:
        connection = await asyncpg.connect(scene.account.product.urls.database)
        try:
            async with connection.transaction():
                await try_lock(connection, scene.account.id, "once")
                return await asyncio.to_thread(post_once, scene, CLIENT)
        finally:
            await connection.close()

    return asyncio.run(while_locked())


def post_once(scene: Scene, body: object) -> httpx2.Response:
    return scene.account.http.post("/v1/clients", json=body, headers={"idempotency-key": "once"})


def mismatch(scene: Scene) -> httpx2.Response:
    post_once(scene, CLIENT)
    return post_once(scene, {"name": "Another"})


def forbidden(scene: Scene) -> httpx2.Response:
    account = scene.account
    with caller(account.product, account.product.key(account.id, "--scopes", "usage:read")) as http:
        return http.get("/v1/clients")


def unauthorized(scene: Scene) -> httpx2.Response:
    return scene.account.http.get("/v1/clients", headers={"authorization": f"Bearer {new_key()}"})


def rate_limited(scene: Scene) -> httpx2.Response:
    scene.account.command("accounts", "set-plan", scene.account.id, "free", "--limit", "burst_per_min=1")
    scene.account.http.get("/v1/templates")
    return scene.account.http.get("/v1/templates")


def quota_exceeded(scene: Scene) -> httpx2.Response:
    scene.account.command("accounts", "set-plan", scene.account.id, "free", "--limit", "documents=0")
    return scene.account.post()


def external_id_taken(scene: Scene) -> httpx2.Response:
    scene.account.client(external_id="mine")
    return scene.account.http.post("/v1/clients", json={**CLIENT, "external_id": "mine"})


def render_timeout(scene: Scene) -> httpx2.Response:
    redis = scene.account.product.urls.redis.rpartition("/")[0]
    gateway = scene.gateways.on("alone", {"QUEUE_REDIS_URL": f"{redis}/15", "PDF_WAIT_S": "0.2"})
    with scene.on(gateway) as http:
        return http.get(f"/v1/documents/{scene.account.document()['id']}/pdf")


def unavailable(scene: Scene) -> httpx2.Response:
    with scene.on(scene.gateways.without("meter")) as http:
        return http.get("/v1/templates")


def download(scene: Scene, state: str, *, export_id: str = "", **headers: str) -> httpx2.Response:
    """Of an export in that state."""
    export_id = export_id or new_id("exp")
    scene.account.sql(
        """
        insert into api.exports (
            account_id, id, state, format, ordered, document_ids, total, size_bytes,
            created_at, updated_at, served_at, expires_at
        ) values ($1, $2, $3, 'zip', 'given', '{}', 1, 10, now(), now(), now(), now() + interval '1 day')
        """,
        scene.account.id,
        export_id,
        state,
    )
    return scene.account.http.get(f"/v1/exports/{export_id}/download", headers=headers)


def post_client(content: bytes, kind: str) -> Callable[[Scene], httpx2.Response]:
    return lambda scene: scene.account.http.post(
        "/v1/clients", content=content, headers={"content-type": kind}
    )


REQUESTS: dict[Code, Callable[[Scene], httpx2.Response]] = {
    "invalid_json": post_client(b"{", JSON["content-type"]),
    "invalid_parameter": lambda scene: scene.account.http.get("/v1/documents?per_page=101"),
    "unauthorized": unauthorized,
    "forbidden": forbidden,
    "not_found": lambda scene: scene.account.http.get("/v1/documents/doc_abc123/pdf"),
    "method_not_allowed": lambda scene: scene.account.http.patch("/v1/documents"),
    "idempotency_in_progress": in_progress,
    "export_not_ready": lambda scene: download(scene, "cancelled"),
    "external_id_taken": external_id_taken,
    "precondition_failed": lambda scene: scene.account.http.put(
        f"/v1/clients/{scene.account.client_id}", json=CLIENT, headers={"if-match": '"another"'}
    ),
    "range_not_satisfiable": lambda scene: download(scene, "ready", range="bytes=10-"),
    "payload_too_large": post_client(b" " * 1_048_577, JSON["content-type"]),
    "unsupported_media_type": post_client(b"name=x", "application/x-www-form-urlencoded"),
    "validation_error": lambda scene: scene.account.http.post("/v1/clients", json={}),
    "document_not_draft": lambda scene: scene.account.put(scene.account.in_status("paid")["id"], notes="x"),
    "invalid_transition": lambda scene: scene.account.move(scene.account.in_status("draft")["id"], "pay"),
    "idempotency_mismatch": mismatch,
    "rate_limited": rate_limited,
    "quota_exceeded": quota_exceeded,
    "internal_error": internal_error,
    "unavailable": unavailable,
    "render_timeout": render_timeout,
}


def test_every_code_has_its_request_and_its_status() -> None:
    assert set(REQUESTS) == set(CODES) == set(STATUS)
    assert {code: status for status, codes in STATUSES.items() for code in codes} == STATUS


@pytest.mark.parametrize("code", CODES)
def test_each_code_is_answered_in_the_documented_form(scene: Scene, code: Code) -> None:
    answer = REQUESTS[code](scene)
    refused(answer, STATUS[code], code)
    assert answer.headers["x-request-id"]
    assert ("retry-after" in answer.headers) == (code in WITH_RETRY_AFTER)
    assert "retry-after" not in answer.headers or int(answer.headers["retry-after"]) >= 1
    assert ("allow" in answer.headers) == (code == "method_not_allowed")
    assert ("www-authenticate" in answer.headers) == (code == "unauthorized")
    assert "content-disposition" not in answer.headers
    assert "etag" not in answer.headers


def test_a_defect_tells_nothing_of_its_cause(scene: Scene) -> None:
    answer = internal_error(scene)
    assert "details" not in answer.json()
    for internal in ("broken", "constraint", "api.", "asyncpg", "Traceback"):
        assert internal not in answer.text


def test_the_log_holds_the_cause_of_a_defect_under_the_request_id_and_no_key(scene: Scene) -> None:
    with broken_table(scene.account, "api.clients"), scene.on(scene.gateways.on("logged", {})) as http:
        answer = http.post("/v1/clients", json=CLIENT)
    refused(answer, 500, "internal_error")
    log = scene.gateways.log("logged")
    (entry,) = [line for line in log.splitlines() if answer.headers["x-request-id"] in line]
    assert "CheckViolationError" in entry
    assert scene.account.key not in log


@pytest.mark.parametrize(
    ("part", "path"),
    [("database", "/v1/templates"), ("meter", "/v1/templates"), ("metering", "/v1/usage")],
)
def test_without_a_part_that_the_call_needs_it_is_503(scene: Scene, part: str, path: str) -> None:
    scene.account.http.get("/v1/templates")
    with scene.on(scene.gateways.without(part)) as http:
        answer = http.get(path)
        refused(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1


def test_without_the_queue_a_pdf_is_503_in_json_and_all_else_goes_on(scene: Scene) -> None:
    draft = scene.account.document()
    with scene.on(scene.gateways.without("queue")) as http:
        refused(http.get(f"/v1/documents/{draft['id']}/pdf"), 503, "unavailable")
        assert http.get(f"/v1/documents/{draft['id']}").status_code == 200


def test_without_metering_calls_are_admitted_and_counted_all_the_same(scene: Scene) -> None:
    scene.account.http.get("/v1/templates")
    with scene.on(scene.gateways.without("metering")) as http:
        answer = http.post("/v1/documents", json=document(scene.account.client_id))
        assert answer.status_code == 201
    assert scene.account.usage()["documents"]["used"] == 1


def test_an_account_that_the_meter_does_not_know_waits_for_metering(scene: Scene) -> None:
    with scene.on(scene.gateways.without("metering")) as http:
        refused(http.get("/v1/templates"), 503, "unavailable")
    assert scene.account.usage()["api_calls"]["used"] == 1


@pytest.mark.parametrize("part", [part for part in MISSING if part != "metering"])
def test_readiness_names_the_part_that_is_missing(gateways: Gateways, part: str) -> None:
    answer = httpx2.get(f"{gateways.without(part)}/health/ready")
    assert answer.status_code == 503
    assert {name for name, state in answer.json().items() if state == "ok"} == (
        {"database", "meter", "queue"} - {part}
    )
    assert httpx2.get(f"{gateways.without(part)}/health/live").status_code == 200


def test_a_folder_that_cannot_be_read_is_503_and_no_pdf(scene: Scene, tmp_path: Path) -> None:
    gateway = scene.gateways.on(
        "folder", {"OBJECT_STORE_URL": (tmp_path / "objects").as_uri(), "PDF_WAIT_S": "0.2"}
    )
    (tmp_path / "objects").rmdir()
    (tmp_path / "objects").write_text("no folder")
    with scene.on(gateway) as http:
        answer = http.get(f"/v1/documents/{scene.account.document()['id']}/pdf")
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/json")


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_stream_that_fails_before_it_has_begun_is_told_as_any_failure(scene: Scene, coding: str) -> None:
    export_id = new_id("exp")
    folder = Path(urlsplit(scene.account.product.environment()["OBJECT_STORE_URL"]).path)
    archive = folder / archive_path(scene.account.id, export_id)
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(b"short")
    asked_for = {"range": "bytes=6-9", "accept-encoding": coding, "x-request-id": "mine"}
    answer = download(scene, "ready", export_id=export_id, **asked_for)
    refused(answer, 503, "unavailable")
    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["ratelimit"]


def test_an_answer_without_details_has_none() -> None:
    assert (
        problem_answer(Problem("not_found", "Nothing")).body == b'{"error":"not_found","message":"Nothing"}'
    )


def test_an_object_store_that_is_away_is_503_and_no_pdf(scene: Scene) -> None:
    nothing = {
        "OBJECT_STORE_URL": "s3://bucket",
        "AWS_ENDPOINT": f"http://{NOBODY}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
    }
    draft = scene.account.document()
    with scene.on(scene.gateways.on("s3", nothing)) as http:
        refused(http.get(f"/v1/documents/{draft['id']}/pdf"), 503, "unavailable")
        assert http.delete(f"/v1/documents/{draft['id']}").status_code == 200
