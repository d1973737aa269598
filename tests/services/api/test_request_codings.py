"""Content codings of requests: gzip is read as what it holds, bombs and other codings are refused."""

import asyncio
import gzip
import json
from typing import Any

import pytest
from account import Account
from bodies import CLIENT, JSON
from starlette.types import Message

from services.api.compression import INFLATED_BYTES_MAX, MEMBERS_MAX, Inflated
from services.api.http import BODY_BYTES_MAX


def send_gzip(house: Account, body: bytes, *, coding: str = "gzip", **headers: str) -> Any:
    return house.http.post(
        "/v1/clients", content=body, headers={**JSON, "content-encoding": coding, **headers}
    )


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip"])
def test_a_request_may_come_as_gzip(house: Account, coding: str) -> None:
    answer = send_gzip(house, gzip.compress(json.dumps(CLIENT).encode()), coding=coding)
    assert (answer.status_code, answer.json()["name"]) == (201, CLIENT["name"])


def test_a_request_may_come_as_itself(house: Account) -> None:
    assert send_gzip(house, json.dumps(CLIENT).encode(), coding="identity").status_code == 201


def test_a_gzip_in_many_pieces_and_members_is_read(house: Account) -> None:
    text = json.dumps(CLIENT).encode()
    body = b"".join(gzip.compress(text[at : at + 20]) for at in range(0, len(text), 20))
    pieces = (body[at : at + 7] for at in range(0, len(body), 7))
    answer = house.http.post("/v1/clients", content=pieces, headers={**JSON, "content-encoding": "gzip"})
    assert answer.status_code == 201


def test_a_body_of_one_megabyte_may_come_as_a_kilobyte_and_one_byte_more_may_not(house: Account) -> None:
    body = json.dumps(CLIENT).encode().ljust(BODY_BYTES_MAX)
    assert send_gzip(house, gzip.compress(body)).status_code == 201
    refused_as(send_gzip(house, gzip.compress(body + b" ")), 413, "payload_too_large")


def test_a_bomb_is_refused_before_its_end_is_seen(house: Account) -> None:
    bomb = gzip.compress(bytes(900 * BODY_BYTES_MAX), compresslevel=9, mtime=0)
    assert len(bomb) < BODY_BYTES_MAX
    refused_as(send_gzip(house, bomb), 413, "payload_too_large")
    wrong_sum = bomb[:-8] + bytes(8)  # for which it would be 400
    refused_as(send_gzip(house, wrong_sum), 413, "payload_too_large")


@pytest.mark.parametrize(
    "body",
    [b"{}", gzip.compress(b'{"name": "x"}')[:-1], gzip.compress(b'{"name": "x"}')[:-8] + bytes(8), b"\x1f\x8b",
     gzip.compress(b'{"name": "x"}') + b"more", gzip.compress(b"") * (MEMBERS_MAX + 1)],
    ids=["text", "cut off", "wrong sum", "head", "garbage after it", "members"],
)  # fmt: skip
def test_what_is_no_gzip_is_refused(house: Account, body: bytes) -> None:
    refused_as(send_gzip(house, body), 400, "invalid_parameter")


@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "gzip, gzip", "gzip, br", "x"])
def test_another_coding_is_415_and_told_which_is_taken(house: Account, coding: str) -> None:
    answer = send_gzip(house, b"{}", coding=coding)
    refused_as(answer, 415, "unsupported_media_type")
    assert answer.headers["accept-encoding"] == "gzip"


def test_another_media_type_is_415_and_says_nothing_of_codings(house: Account) -> None:
    answer = send_gzip(house, gzip.compress(b"x"), **{"content-type": "text/plain"})
    refused_as(answer, 415, "unsupported_media_type")
    assert "accept-encoding" not in answer.headers


def test_the_same_request_is_the_same_in_either_coding(house: Account) -> None:
    body, key = json.dumps(CLIENT).encode(), {"idempotency-key": "coded"}
    first = house.http.post("/v1/clients", content=body, headers=JSON | key)
    again = send_gzip(house, gzip.compress(body), **key)
    assert (again.json()["id"], again.headers["idempotent-replayed"]) == (first.json()["id"], "true")


def test_no_body_may_be_called_gzip(house: Account) -> None:
    document_id = house.document()["id"]
    answer = house.http.post(f"/v1/documents/{document_id}/cancel", headers={"content-encoding": "gzip"})
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


async def test_others_have_their_turn_between_the_pieces_of_a_large_body() -> None:
    body = gzip.compress(bytes(20 * INFLATED_BYTES_MAX))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    inflated, other = Inflated(receive), asyncio.create_task(others())
    while (await inflated())["more_body"]:
        pass
    other.cancel()
    assert turns >= 19


def refused_as(answer: Any, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert answer.headers["ratelimit"]
