"""Content codings of answers: who gets gzip, what never is, and tags that stay true."""

import gzip
import random
import socket
import struct
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from account import Account
from bodies import LINE, document
from raw import RawAnswer
from serving import Served, served
from starlette.types import Receive, Scope, Send

from services.api.compression import (
    ENCODED_BYTES_MIN,
    IN_LOOP_BYTES_MAX,
    Compression,
    accepts_gzip,
    refuses_identity,
)
from services.api.http import Answer, is_known, send_answer

TEXT = b"A line of text. " * 200
GZIP = {"accept-encoding": "gzip"}
PLAIN = {"accept-encoding": "identity"}
TYPES = {
    "json": b"application/json", "text": b"text/plain; charset=utf-8", "csv": b"text/csv",
    "problem": b"application/problem+json", "ndjson": b"application/x-ndjson", "pdf": b"application/pdf",
    "zip": b"application/zip", "png": b"image/png",
}  # fmt: skip
COMPRESSED = ("json", "text", "csv", "problem", "ndjson")


class Site:
    """Answers whose kind and length their paths name, under an entity tag where the query gives one."""

    def __init__(self) -> None:
        self.conditions: list[bytes] = []
        self.pieces = 0

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        _, kind, length = scope["path"].split("/")
        tag: bytes = scope["query_string"]
        self.conditions += [value for name, value in scope["headers"] if name == b"if-match"]
        headers = ((b"content-type", TYPES[kind.removeprefix("stream-").removeprefix("part-")]),)
        headers += ((b"etag", tag),) if tag else ()
        if tag and is_known(scope, tag.decode().strip('"')):
            answer = Answer(status=304, headers=headers[1:])
        elif kind.startswith("stream-"):
            answer = Answer(headers=headers, stream=self._stream(int(length)))
        else:
            answer = Answer(
                status=206 if kind.startswith("part-") else 200, headers=headers, body=self.body(int(length))
            )
        await send_answer(answer, [], send, head=scope["method"] == "HEAD")

    def body(self, length: int) -> bytes:
        return (TEXT * (length // len(TEXT) + 1))[:length]

    async def _stream(self, count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            self.pieces += 1
            yield TEXT


@pytest.fixture(scope="module")
def application() -> Site:
    return Site()


@pytest.fixture(scope="module")
def site(application: Site) -> Iterator[Served]:
    with served(application) as running:
        yield running


def asked(site: Served, path: str, *headers: str, method: str = "GET", version: str = "1.1") -> RawAnswer:
    lines = [f"{method} {path} HTTP/{version}", "Host: x", "Connection: close", *headers, "", ""]
    with site.connect() as connection:
        connection.sendall("\r\n".join(lines).encode())
        head, _, body = b"".join(iter(lambda: connection.recv(65_536), b"")).partition(b"\r\n\r\n")
    status, *rest = head.decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in rest)
    if fields.get("transfer-encoding") == "chunked":
        body = _unchunked(body)
    return RawAnswer(int(status.split()[1]), fields, body)


def _unchunked(body: bytes) -> bytes:
    found = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        found += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    return found


@pytest.mark.parametrize(
    ("given", "accepted"),
    [("gzip", True), ("GZip", True), ("x-gzip", True), ("gzip, deflate, br", True), ("*", True),
     ("gzip;q=0.001", True), ("br;q=1, gzip;q=0.1", True), ("gzip ; q=1.0", True),
     ("identity;q=0.5, gzip", True), ("gzip;Q=1", True), ("deflate,*;q=0.2", True), ("identity;q=0, *", True),
     ("gzip, *;q=0", True), ("", False), ("identity", False), ("br", False), ("gzip;q=0", False),
     ("gzip;q=0, *", False), ("*;q=0", False), ("identity, gzip;q=0.5", False), ("gzip;q=0.000", False),
     ("gzip;q=x", False), ("gzip;q=2", False), ("gzip;q=-1", False), ("gzip;q=nan", False), ("gzipped", False),
     (",,;,", False)],
)  # fmt: skip
def test_the_accepted_coding_is_found_by_its_weight(given: str, *, accepted: bool) -> None:
    assert accepts_gzip(given.encode()) is accepted


@pytest.mark.parametrize(
    ("given", "refused"),
    [("gzip", False), ("*", False), ("identity;q=0", True), ("*;q=0", True), ("*;q=0, identity", False)],
)
def test_identity_is_refused_only_in_so_many_words(given: str, *, refused: bool) -> None:
    assert refuses_identity(given.encode()) is refused


@pytest.mark.parametrize("kind", COMPRESSED)
def test_text_is_compressed_for_who_takes_it(site: Served, application: Site, kind: str) -> None:
    answer = asked(site, f"/{kind}/20000", "Accept-Encoding: gzip, deflate")
    assert (answer.headers["content-encoding"], answer.headers["vary"]) == ("gzip", "accept-encoding")
    assert int(answer.headers["content-length"]) == len(answer.body) < 2000
    assert gzip.decompress(answer.body) == application.body(20_000)


@pytest.mark.parametrize(
    "coding", [(), ("Accept-Encoding: br",), ("Accept-Encoding: gzip;q=0",), ("Accept-Encoding:",)]
)
def test_who_does_not_take_gzip_gets_the_text_and_is_told_that_it_varies(
    site: Served, application: Site, coding: tuple[str, ...]
) -> None:
    answer = asked(site, "/json/20000", *coding)
    assert (answer.body, answer.headers["vary"]) == (application.body(20_000), "accept-encoding")
    assert "content-encoding" not in answer.headers


def test_what_is_accepted_may_be_said_in_several_lines(site: Served) -> None:
    answer = asked(site, "/json/20000", "Accept-Encoding: br", "Accept-Encoding: gzip;q=0.5")
    assert answer.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    "path", ["/pdf/20000", "/zip/20000", "/png/20000", "/stream-pdf/9", "/part-json/20000", "/json/1399"]
)
def test_what_does_not_gain_is_sent_as_it_is(site: Served, path: str) -> None:
    answer = asked(site, path, "Accept-Encoding: gzip")
    assert not {"content-encoding", "vary"} & answer.headers.keys()


def test_compression_begins_where_it_pays(site: Served) -> None:
    assert (
        asked(site, f"/json/{ENCODED_BYTES_MIN}", "Accept-Encoding: gzip").headers["content-encoding"]
        == "gzip"
    )


@pytest.mark.parametrize("path", ["/json/5", "/stream-json/0"])
def test_who_refuses_all_else_gets_even_a_little_encoded(site: Served, application: Site, path: str) -> None:
    answer = asked(site, path, "Accept-Encoding: gzip, identity;q=0")
    assert (answer.headers["content-encoding"], answer.headers["vary"]) == ("gzip", "accept-encoding")
    assert gzip.decompress(answer.body) == application.body(5 if "5" in path else 0)


def test_a_large_body_is_compressed_beside_the_loop(site: Served, application: Site) -> None:
    answer = asked(site, f"/json/{8 * IN_LOOP_BYTES_MAX}", "Accept-Encoding: gzip")
    assert gzip.decompress(answer.body) == application.body(8 * IN_LOOP_BYTES_MAX)


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_a_stream_is_compressed_piece_by_piece(site: Served, count: int) -> None:
    answer = asked(site, f"/stream-ndjson/{count}", "Accept-Encoding: gzip")
    assert (answer.headers["content-encoding"], answer.headers["transfer-encoding"]) == ("gzip", "chunked")
    assert "content-length" not in answer.headers
    assert gzip.decompress(answer.body) == TEXT * count


def test_a_stream_is_compressed_for_an_old_client_too(site: Served) -> None:
    answer = asked(site, "/stream-ndjson/100", "Accept-Encoding: gzip", version="1.0")
    assert gzip.decompress(answer.body) == TEXT * 100


async def test_each_piece_of_a_stream_can_be_read_when_it_has_come() -> None:
    inflater, sizes = zlib.decompressobj(31), list[int]()

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        async def lines() -> AsyncIterator[bytes]:
            for _ in range(50):
                yield TEXT

        kind = ((b"content-type", b"application/x-ndjson"),)
        await send_answer(Answer(headers=kind, stream=lines()), [], send)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            sizes.append(len(inflater.decompress(message["body"])))

    await Compression(application)(scope_of((b"accept-encoding", b"gzip")), nothing, send)
    assert sizes == [len(TEXT)] * 50 + [0]
    assert inflater.eof


async def test_an_endless_stream_takes_bounded_memory() -> None:
    noise = random.Random(1).randbytes(100_000)

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        async def lines() -> AsyncIterator[bytes]:
            for _ in range(300):
                yield noise

        await send_answer(Answer(headers=((b"content-type", b"text/csv"),), stream=lines()), [], send)

    async def send(_: Any) -> None:
        pass

    tracemalloc.start()
    await Compression(application)(scope_of((b"accept-encoding", b"gzip")), nothing, send)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2_000_000


def scope_of(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "headers": list(headers)}


async def nothing() -> dict[str, Any]:
    return {"type": "http.disconnect"}


def test_a_client_that_leaves_a_compressed_stream_ends_it(site: Served, application: Site) -> None:
    application.pieces = 0
    with site.connect() as connection:
        connection.sendall(b"GET /stream-text/1000000 HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
        assert connection.recv(100)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    deadline = time.monotonic() + 8
    while site.server.server_state.tasks and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not site.server.server_state.tasks
    assert application.pieces < 500_000


@pytest.mark.parametrize("coding", ["Accept-Encoding: gzip", "X-None: x"])
@pytest.mark.parametrize(
    "path", ["/json/20000", "/json/5", "/pdf/20000", '/json/20000?"v1"', "/stream-text/9", "/stream-pdf/9"]
)
def test_head_tells_what_get_does(site: Served, path: str, coding: str) -> None:
    got, head = asked(site, path, coding), asked(site, path, coding, method="HEAD")
    differing = {"date", "transfer-encoding"}
    assert head.body == b""
    assert {name: value for name, value in head.headers.items() if name not in differing} == {
        name: value for name, value in got.headers.items() if name not in differing
    }


# Entity tags


def test_the_encoded_answer_has_a_strong_tag_of_its_own(site: Served) -> None:
    assert asked(site, '/json/20000?"v1"', "Accept-Encoding: gzip").headers["etag"] == '"v1-gzip"'
    assert asked(site, '/json/20000?"v1"').headers["etag"] == '"v1"'
    assert asked(site, '/json/5?"v1"', "Accept-Encoding: gzip").headers["etag"] == '"v1"'


def test_a_weak_tag_is_that_of_both(site: Served) -> None:
    assert asked(site, '/json/20000?W/"v1"', "Accept-Encoding: gzip").headers["etag"] == 'w/"v1"'


@pytest.mark.parametrize(
    ("coding", "known", "told"),
    [("gzip", '"v1"', '"v1"'), ("gzip", '"v1-gzip"', '"v1-gzip"'), ("br", '"v1"', '"v1"'),
     ("gzip", '"v0", "v1-gzip"', '"v1-gzip"'), ("gzip", 'W/"v1-gzip"', '"v1-gzip"'),
     ("gzip", '"v1", "v1-gzip"', '"v1-gzip"'), ("br", '"v1", "v1-gzip"', '"v1"'),
     ("br", '"v1-gzip"', '"v1-gzip"'), ("gzip", "*", '"v1"')],
)  # fmt: skip
def test_either_tag_is_known(site: Served, coding: str, known: str, told: str) -> None:
    answer = asked(site, '/json/20000?"v1"', f"Accept-Encoding: {coding}", f"If-None-Match: {known}")
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", told)
    assert answer.headers["vary"] == "accept-encoding"
    assert not {"content-encoding", "content-length", "transfer-encoding"} & answer.headers.keys()


@pytest.mark.parametrize("known", ['"v2"', '"v2-gzip"', '"v1-gzi"'])
def test_another_tag_is_not_known(site: Served, known: str) -> None:
    assert asked(site, '/json/20000?"v1"', "Accept-Encoding: gzip", f"If-None-Match: {known}").status == 200


def test_a_change_under_the_condition_of_an_encoded_tag_is_one_under_the_tag(
    site: Served, application: Site
) -> None:
    asked(site, "/json/5", 'If-Match: "v1-gzip", "v2"')
    assert application.conditions[-1] == b'"v1", "v2"'


def test_a_pdfs_tag_is_known_to_who_takes_gzip(house: Account) -> None:
    answer = house.http.get("/v1/templates/clean/preview", headers=GZIP)
    assert not {"content-encoding", "vary"} & answer.headers.keys()
    again = house.http.get(
        "/v1/templates/clean/preview", headers=GZIP | {"if-none-match": answer.headers["etag"]}
    )
    assert (again.status_code, again.headers["etag"]) == (304, answer.headers["etag"])


# On the gateway


def test_a_document_is_the_same_in_either_coding(house: Account) -> None:
    path = f"/v1/documents/{house.document(items=[LINE] * 40)['id']}"
    coded, plain = house.http.get(path, headers=GZIP), house.http.get(path, headers=PLAIN)
    assert (coded.headers["content-encoding"], coded.content) == ("gzip", plain.content)
    assert int(coded.headers["content-length"]) < len(plain.content) / 4
    assert "content-encoding" not in plain.headers


def test_a_refusal_that_names_many_fields_is_compressed(house: Account) -> None:
    body = document(house.client_id, items=[{**LINE, "rate": "x"}] * 200)
    answer = house.http.post("/v1/documents", json=body, headers=GZIP)
    assert (answer.status_code, answer.headers["content-encoding"]) == (422, "gzip")
    assert len(answer.json()["details"]) == 200
