"""HTTP as clients speak it: what a sane one sends is understood, what no sane one sends is refused in JSON."""

import asyncio
import json
import re
from typing import Any

import pytest
from account import Account, refused
from bodies import CLIENT, JSON
from product import Product
from raw import RawAnswer, exchange, sent_until_closed
from uvicorn.config import Config
from uvicorn.server import ServerState

from services.api import http, protocol
from services.api.app import DOORS, not_found
from services.api.http import BODY_BYTES_MAX, read_body
from services.api.protocol import HEADER_BYTES_MAX, REQUEST_BYTES_MAX, BoundedProtocol
from shared.errors import Problem

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")


def request(account: Account, line: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{line} HTTP/1.1", "Host: x", f"Authorization: Bearer {account.key}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def told(answer: RawAnswer, status: int, code: str) -> None:
    assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
    assert json.loads(answer.body)["error"] == code
    assert answer.headers["x-request-id"]


def path_of(pattern: str) -> str:
    return re.sub(r"\{\w+\}", "x", pattern)


@pytest.mark.parametrize("pattern", DOORS)
def test_a_wrong_method_is_405_and_names_the_right_ones(house: Account, pattern: str) -> None:
    door = DOORS[pattern]
    for method in METHODS:
        if method in door.operations:
            continue
        answer = house.http.request(method, path_of(pattern))
        assert answer.status_code == 405
        assert answer.headers["allow"] == ", ".join(sorted(door.operations))
        if method != "HEAD":
            refused(answer, 405, "method_not_allowed")


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/", "/v1/documents/", "/v1/invoices", "/v2/documents", "/v1/documents/x/send", "/V1/documents",
     "/v1//documents", "/v1/documents/x/pdf/", "/v1/clients/x/y", "/internal/v1/usage/x", "/%FF", "/health"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_an_unknown_path_is_404_in_json_with_a_request_id(house: Account, method: str, path: str) -> None:
    answer = house.http.request(method, path)
    refused(answer, 404, "not_found")
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "path", ["/v1/documents", "/v1/clients", "/v1/usage", "/v1/templates", "/v1/documents/x"]
)
def test_head_answers_as_get_does_without_a_body(house: Account, path: str) -> None:
    get, head = house.http.get(path), house.http.head(path)
    varying = {"date", "ratelimit", "x-request-id", "content-length"}
    assert head.status_code == get.status_code
    assert head.content == b""
    assert {name: value for name, value in head.headers.items() if name not in varying} == {
        name: value for name, value in get.headers.items() if name not in varying
    }
    assert int(head.headers["content-length"]) > 0


@pytest.mark.parametrize("given", ["a", "req-1.2:3/4+5=_", "x" * 128, "3f2504e0-4f89-11d3-9a0c-0305e82c3301"])
def test_a_sane_request_id_comes_back(house: Account, given: str) -> None:
    for path in ("/v1/templates", "/v1/documents/x", "/v1/nowhere", "/health/live"):
        assert house.http.get(path, headers={"x-request-id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, 'quote"', "<script>", "é", "a,b"])
def test_any_other_request_id_is_replaced(house: Account, given: str) -> None:
    sent = {b"x-request-id": given.encode()}
    answered = house.http.get("/v1/templates", headers=sent).headers["x-request-id"]
    assert answered != given
    assert re.fullmatch(r"[0-9a-f]{32}", answered)


def test_request_ids_of_our_own_differ(house: Account) -> None:
    assert len({house.http.get("/v1/templates").headers["x-request-id"] for _ in range(5)}) == 5


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html", "application/pdf", ""])
def test_an_answer_is_json_whatever_was_hoped_for(house: Account, accept: str) -> None:
    answer = house.http.get("/v1/documents", headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize(
    "kind",
    ["application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON",
     'application/json; charset="utf-8"', "application/vnd.api+json", None],
)  # fmt: skip
def test_a_body_may_be_called_json_in_all_the_usual_ways(house: Account, kind: str | None) -> None:
    headers = {} if kind is None else {"content-type": kind}
    body = json.dumps({**CLIENT, "name": "Ünï"}, ensure_ascii=False).encode()
    answer = house.http.post("/v1/clients", content=body, headers=headers)
    assert (answer.status_code, answer.json()["name"]) == (201, "Ünï")


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "json",
     "application/json; charset=latin-1", "application/pdf", "", "application/jsonx"],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["POST", "PUT"])
def test_a_body_of_another_kind_is_415(house: Account, kind: str, verb: str) -> None:
    path = "/v1/clients" if verb == "POST" else f"/v1/clients/{house.client_id}"
    answer = house.http.request(verb, path, content=b'{"name": "x"}', headers={"content-type": kind})
    refused(answer, 415, "unsupported_media_type")


def test_a_body_of_one_megabyte_passes_and_one_byte_more_does_not(house: Account) -> None:
    body = json.dumps(CLIENT).encode().ljust(BODY_BYTES_MAX)
    assert house.http.post("/v1/clients", content=body, headers=JSON).status_code == 201
    refused(house.http.post("/v1/clients", content=body + b" ", headers=JSON), 413, "payload_too_large")


def test_a_body_declared_too_large_is_413_before_it_is_sent(house: Account) -> None:
    for length in (BODY_BYTES_MAX + 1, 10**15, 10**30):
        head = request(house, "POST /v1/clients", f"Content-Length: {length}")
        answer = exchange(house.product.gateway, head)
        assert answer.status in ({413} if length < 2**63 else {400, 413})
        assert json.loads(answer.body)["error"]


def test_a_caller_who_asks_first_is_told_before_it_sends(house: Account) -> None:
    for length, status in ((10, 100), (BODY_BYTES_MAX + 1, 413)):
        head = request(house, "POST /v1/clients", f"Content-Length: {length}", "Expect: 100-continue")
        assert exchange(house.product.gateway, head).status == status


def test_a_body_that_grows_too_large_in_chunks_is_413(house: Account) -> None:
    head = request(house, "POST /v1/clients", "Transfer-Encoding: chunked", "Content-Type: application/json")
    chunk = b"%x\r\n%s\r\n" % (1024 * 1024, b" " * 1024 * 1024)
    told(exchange(house.product.gateway, head, chunk, chunk), 413, "payload_too_large")


def test_a_body_in_many_small_pieces_is_read_whole(house: Account) -> None:
    pieces = (bytes([byte]) for byte in json.dumps(CLIENT).encode())
    assert house.http.post("/v1/clients", content=pieces, headers=JSON).status_code == 201


@pytest.mark.parametrize("count", [1, 5_000])
def test_headers_that_are_too_large_are_431(house: Account, count: int) -> None:
    value = "x" * (2 * HEADER_BYTES_MAX // count)
    head = request(house, "GET /v1/templates", *(f"X-Filler-{n}: {value}" for n in range(count)))
    told(exchange(house.product.gateway, head[:-2]), 431, "invalid_parameter")


def test_headers_that_are_merely_long_pass(house: Account) -> None:
    assert house.http.get("/v1/templates", headers={"cookie": "x" * 30_000}).status_code == 200


@pytest.mark.parametrize(
    "garbage",
    [b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"FOO /v1/documents HTTP/1.1\r\nHost: x\r\n\r\n",
     b"GET /v1/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 20,
     b"POST /v1/documents HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
     b"POST /v1/documents HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ids=lambda garbage: repr(garbage[:24]),
)  # fmt: skip
def test_what_is_no_http_is_400_in_json(product: Product, garbage: bytes) -> None:
    told(exchange(product.gateway, garbage), 400, "invalid_parameter")


async def test_a_body_that_does_not_arrive_in_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_READ_S", 0.01)

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    with pytest.raises(Problem) as raised:
        await read_body({"type": "http", "headers": []}, receive)
    assert raised.value.code == "invalid_json"


async def test_a_body_that_goes_on_coming_has_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_READ_S", 0.2)
    monkeypatch.setattr(http, "BODY_BYTES_PER_S", 10)
    pieces = [b" " * 20] * 8

    async def receive() -> dict[str, Any]:
        if len(pieces) < 8:
            await asyncio.sleep(0.05)
        return {"type": "http.request", "body": pieces.pop(), "more_body": bool(pieces)}

    assert await read_body({"type": "http", "headers": []}, receive) == b" " * 160


async def test_headers_that_do_not_arrive_in_time_close_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "HEADERS_S", 0.05)
    config = Config(app=not_found, http=BoundedProtocol, lifespan="off", log_config=None)
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: BoundedProtocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with server, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    "endless", [b"X-Trailer: " + b"x" * 65_536 + b"\r\n", b"x" * 65_536], ids=["many", "one"]
)
def test_trailers_that_never_end_close_the_connection(product: Product, endless: bytes) -> None:
    head = b"POST /v1/clients HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: "
    assert sent_until_closed(product.gateway, head, endless) < 2 * REQUEST_BYTES_MAX


def test_a_refused_body_that_never_ends_closes_the_connection(house: Account) -> None:
    head = request(house, "POST /v1/clients", f"Content-Length: {10**15}")
    assert sent_until_closed(house.product.gateway, head, b" " * 65_536) < 2 * REQUEST_BYTES_MAX


def test_trailers_after_a_body_do_no_harm(house: Account) -> None:
    body = json.dumps(CLIENT).encode()
    head = request(house, "POST /v1/clients", "Transfer-Encoding: chunked", "Content-Type: application/json")
    tail = b"%x\r\n%s\r\n0\r\nAuthorization: Bearer x\r\nX-Trailer: x\r\n\r\n" % (len(body), body)
    assert exchange(house.product.gateway, head + tail).status == 201


def test_pipelined_requests_are_answered_in_order(house: Account) -> None:
    first = request(house, "GET /v1/templates", "X-Request-Id: first")
    second = request(house, "GET /v1/nowhere", "X-Request-Id: second")
    assert exchange(house.product.gateway, first + second).headers["x-request-id"] == "first"


@pytest.mark.parametrize(("path", "status"), [("/health/live", "live"), ("/health/ready", "ready")])
def test_health_needs_no_key_and_has_a_request_id(product: Product, path: str, status: str) -> None:
    health = exchange(product.gateway, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert (health.status, json.loads(health.body)["status"]) == (200, status)
    assert health.headers["x-request-id"]
    told(
        exchange(product.gateway, f"POST {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()),
        405,
        "method_not_allowed",
    )


def test_every_answer_to_a_key_tells_its_limits(house: Account) -> None:
    http_ = house.http
    answers = [
        http_.get("/v1/documents"), http_.get("/v1/documents/x"), http_.get("/v1/documents?page=0"),
        http_.post("/v1/documents", json={}), http_.post("/v1/documents", content=b"{", headers=JSON),
        http_.post("/v1/clients", content=b"x", headers={"content-type": "text/plain"}),
        http_.post("/v1/clients", content=b" " * 2_000_000, headers=JSON), http_.head("/v1/usage"),
        http_.put("/v1/clients/x", json={}, headers={"idempotency-key": ""}),
    ]  # fmt: skip
    assert {answer.status_code for answer in answers} == {200, 400, 404, 413, 415, 422}
    for answer in answers:
        assert answer.headers["ratelimit-policy"] == '"burst";q=60000;w=60'
        assert re.fullmatch(r'"burst";r=\d+;t=\d+', answer.headers["ratelimit"])
