"""Requests that follow each other unasked: answered in order, whatever they are and however they come."""

import json
import socket
import threading
import time

import pytest
from account import Account
from serving import Served, answers
from site_app import Application, bodies, eventually, get, post

MB = 1024 * 1024


def test_requests_written_at_once_are_answered_in_order_and_one_after_the_other(
    site: Served, application: Application
) -> None:
    paths = [f"/{number}" for number in range(500)]
    assert bodies(site.exchange(b"".join(map(get, paths)), count=500)) == paths
    assert application.most_at_once == 1


def test_requests_cut_anywhere_are_answered_in_order(site: Served) -> None:
    sent = b"".join(post(f"/{number}", b"b" * number) for number in range(40))
    pieces = [sent[at : at + 37] for at in range(0, len(sent), 37)]
    assert bodies(site.exchange(*pieces, count=40)) == [f"/{number}{'b' * number}" for number in range(40)]


def test_bodies_of_waiting_requests_are_kept_apart(site: Served) -> None:
    large = [b"%d" % number * 300_000 for number in range(3)]
    sent = b"".join(post("/", body) + get("/between") for body in large)
    found = bodies(site.exchange(sent, count=6))
    assert found == [text for body in large for text in ("/" + body.decode(), "/between")]


def test_chunked_bodies_of_waiting_requests_are_read(site: Served) -> None:
    chunked = (
        b"POST /%d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"
    )
    found = bodies(site.exchange(b"".join(chunked % number for number in range(20)), count=20))
    assert found == [f"/{number}abcd" for number in range(20)]


def test_a_stream_and_a_head_keep_their_turn(site: Served) -> None:
    sent = get("/a") + get("/stream") + get("/b") + get("/c").replace(b"GET", b"HEAD") + get("/d")
    with site.connect() as connection:
        connection.sendall(sent)
        found = answers(connection, 3)
    assert [len(answer.body) for answer in found] == [2, 3000, 2]


def test_a_refused_body_does_not_hold_up_what_follows(site: Served) -> None:
    found = site.exchange(post("/", b"x" * (MB + 1)) + get("/next"), count=2)
    assert [(answer.status, answer.body) for answer in found] == [
        (413, b"payload_too_large"),
        (200, b"/next"),
    ]


def test_a_body_that_nobody_reads_is_not_taken_for_a_request(site: Served) -> None:
    found = bodies(
        site.exchange(post("/unread", get("/smuggled")) + get("/next", "Connection: close"), count=3)
    )
    assert found == ["/unread", "/next"]


def test_what_follows_a_closing_request_is_not_worked_on(site: Served, application: Application) -> None:
    sent = get("/first") + get("/last", "Connection: close") + get("/beyond")
    found = site.exchange(sent, count=3)
    assert bodies(found) == ["/first", "/last"]
    assert found[1].headers["connection"] == "close"
    assert application.begun == ["/first", "/last"]


@pytest.mark.parametrize("garbage", [b"garbage\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nx" + b"x" * 70_000])
def test_what_is_no_request_is_refused_after_all_before_it(
    site: Served, application: Application, garbage: bytes
) -> None:
    with site.connect() as connection:
        connection.sendall(get("/slow") + get("/2") + garbage + get("/beyond"))
        eventually(lambda: "/slow" in application.begun)
        application.open.set()
        found = answers(connection, 4)
    assert [answer.status for answer in found][:2] == [200, 200]
    assert bodies(found)[:2] == ["/slow", "/2"]
    assert found[2].status in {400, 431}
    assert json.loads(found[2].body)["error"] == "invalid_parameter"
    assert application.begun == ["/slow", "/2"]


def test_a_waiting_request_whose_body_breaks_off_is_refused_in_its_turn(
    site: Served, application: Application
) -> None:
    broken = b"POST /broken HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nno size\r\n"
    with site.connect() as connection:
        connection.sendall(get("/slow") + broken)
        eventually(lambda: "/slow" in application.begun)
        application.open.set()
        found = answers(connection, 3)
    assert [answer.status for answer in found] == [200, 400]
    assert application.begun == ["/slow"]


def test_a_request_whose_body_breaks_off_is_refused(site: Served) -> None:
    broken = b"POST /broken HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    with site.connect() as connection:
        connection.sendall(broken)
        time.sleep(0.1)
        connection.sendall(b"no size\r\n")
        assert [answer.status for answer in answers(connection, 2)] == [400]


def test_answers_still_come_when_the_client_has_said_all(site: Served, application: Application) -> None:
    with site.connect() as connection:
        connection.sendall(get("/slow") + get("/2") + get("/3"))
        connection.shutdown(socket.SHUT_WR)
        eventually(lambda: "/slow" in application.begun)
        application.open.set()
        assert bodies(answers(connection, 4)) == ["/slow", "/2", "/3"]
    eventually(lambda: site.connections == 0)


def test_an_upgrade_that_is_asked_for_is_answered_as_any_request(site: Served) -> None:
    asked = get("/up", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ")
    assert bodies(site.exchange(asked + get("/2"), count=2)) == ["/up", "/2"]


def test_an_upgrade_with_a_body_is_refused_and_the_body_is_no_request(
    site: Served, application: Application
) -> None:
    asked = post("/up", get("/smuggled"), "Connection: Upgrade", "Upgrade: h2c")
    assert [answer.status for answer in site.exchange(asked, count=2)] == [400]
    assert "/smuggled" not in application.begun


# HTTP/1.0


def test_an_old_client_may_keep_its_connection(site: Served) -> None:
    old = [get(f"/{number}", "Connection: keep-alive", version="1.0") for number in range(3)]
    found = site.exchange(
        b"".join(old) + get("/last", version="1.0") + get("/beyond", version="1.0"), count=5
    )
    assert bodies(found) == ["/0", "/1", "/2", "/last"]
    assert [answer.headers["connection"] for answer in found] == ["keep-alive"] * 3 + ["close"]


@pytest.mark.parametrize("headers", [(), ("Connection: keep-alive",)])
def test_an_old_client_gets_a_stream_without_chunks(site: Served, headers: tuple[str, ...]) -> None:
    [answer] = site.exchange(
        get("/stream?500", *headers, version="1.0") + get("/beyond", version="1.0"), count=2
    )
    assert (answer.body, answer.headers["connection"]) == (b"x" * 500_000, "close")
    assert "transfer-encoding" not in answer.headers


def test_all_of_many_requests_are_answered_once_they_are_read(site: Served) -> None:
    paths = [f"/{number}" for number in range(20_000)]
    with site.connect() as connection:
        writing = threading.Thread(target=connection.sendall, args=(b"".join(map(get, paths)),))
        writing.start()
        assert bodies(answers(connection, len(paths))) == paths
        writing.join()


def test_the_gateway_itself_answers_what_is_written_at_once(house: Account) -> None:
    host, port = house.product.gateway.removeprefix("http://").split(":")
    key = f"Authorization: Bearer {house.key}"
    document = house.document()
    asked = [
        f"/v1/documents/{document['id']}",
        "/v1/templates",
        "/v1/nowhere",
        f"/v1/clients/{house.client_id}",
    ]
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(b"".join(get(path, key) for path in asked * 25))
        found = answers(connection, 100)
    assert [answer.status for answer in found] == [200, 200, 404, 200] * 25
    assert {json.loads(answer.body)["id"] for answer in found[::4]} == {document["id"]}
