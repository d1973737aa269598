"""Bulk creates of documents over HTTP: each item as if it were sent by itself, or all of them or none."""

import gzip
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest
from account import Account, refused
from bodies import JSON, LINE, document, line
from bulked import BULK, made, post, results, used

from services.api.http import BODY_BYTES_MAX
from services.api.lane import PLACES
from services.api.many import BULK_BYTES_MAX, ITEMS_MAX
from services.api.store.ids import new_id
from tests.services.api.conftest import Open


def test_the_list_shows_the_last_item_first(account: Account) -> None:
    found = made(post(account, *[document(account.client_id)] * 30))
    listed = account.http.get("/v1/documents", params={"per_page": 100}).json()
    assert listed["data"] == found[::-1]
    assert listed["pagination"]["total"] == 30


def test_a_thousand_documents_are_one_call(account: Account) -> None:
    bodies = [
        document(account.client_id, notes=f"No. {number}", status="sent") for number in range(ITEMS_MAX)
    ]
    before = account.usage()
    found = made(post(account, *bodies))
    after = account.usage()
    assert [each["notes"] for each in found] == [body["notes"] for body in bodies]
    assert len({each["id"] for each in found}) == ITEMS_MAX
    assert all(one["id"] < other["id"] for one, other in pairwise(found))
    assert after["documents"]["used"] - before["documents"]["used"] == ITEMS_MAX
    assert after["api_calls"]["used"] - before["api_calls"]["used"] == 2


def test_numbers_are_gapless_in_the_items_order_and_beside_others(account: Account) -> None:
    account.document(status="sent", issued_date="2026-05-05")
    kinds = ["invoice", "quote", "invoice", "receipt"] * 5
    bodies = [
        document(account.client_id, type=kind, status="sent", issued_date=f"202{5 + at % 2}-01-01")
        for at, kind in enumerate(kinds)
    ]
    bodies[3]["currency"] = "none"
    bodies[7]["status"] = "draft"
    found = results(post(account, *bodies))
    numbers = [result["document"]["number"] for result in found if result["status"] == 201]
    assert numbers[:6] == [
        "INV-2025-000001", "QUO-2026-000001", "INV-2025-000002", "INV-2025-000003", "QUO-2026-000002",
        "INV-2025-000004",
    ]  # fmt: skip
    assert [number for number in numbers if number and "REC" in number] == [
        f"REC-2026-{number:06d}" for number in (1, 2, 3)
    ]
    assert account.document(status="sent", issued_date="2026-05-05")["number"] == "INV-2026-000002"
    assert (
        account.document(type="quote", status="sent", issued_date="2026-05-05")["number"] == "QUO-2026-000006"
    )


def test_bulks_and_singles_at_once_share_gapless_sequences(account: Account) -> None:
    bodies = [
        document(account.client_id, type=kind, status="sent", issued_date="2026-01-01")
        for kind in ["invoice", "quote"] * 20
    ]

    def call(number: int) -> list[dict[str, Any]]:
        if number % 2:
            return [account.document(status="sent", issued_date="2026-01-01")]
        return made(post(account, *bodies[:: 1 if number % 4 else -1]))

    with ThreadPoolExecutor(8) as pool:
        found = [each for many in pool.map(call, range(24)) for each in many]
    for prefix, amount in (("INV", 12 * 20 + 12), ("QUO", 12 * 20)):
        numbers = sorted(each["number"] for each in found if each["number"].startswith(prefix))
        assert numbers == [f"{prefix}-2026-{number:06d}" for number in range(1, amount + 1)]


BROKEN: tuple[tuple[Any, dict[str, str]], ...] = (
    ({"currency": "none", "due_dat": 1}, {"currency": "", "due_dat": "Unknown field"}),
    ({"client_id": "cl_none"}, {"client_id": "No such client"}),
    ({"client_id": "cl_none", "type": "bill"}, {"client_id": "No such client", "type": ""}),
    ({"client_id": ["cl_none"]}, {"client_id": "Must be text"}),
    ({"client_id": "\u0000"}, {"client_id": ""}),
    ({"items": [LINE, line(rate="x")]}, {"items[1].rate": "Must be a number"}),
    ({"items": [line(rate=-1)]}, {"items": "Must not add up to a negative total"}),
    ({"status": "paid"}, {"status": ""}),
    ({"tax_rate": 10**4000}, {"tax_rate": ""}),
)


def test_an_items_faults_are_its_own_and_named_as_by_itself(account: Account) -> None:
    bodies = [{**document(account.client_id), **fields} for fields, _ in BROKEN]
    mixed = [body for broken in bodies for body in (document(account.client_id), broken)]
    found = results(account.http.post(BULK, content=_json({"documents": mixed}), headers=JSON))
    assert [result["status"] for result in found] == [201, 422] * len(BROKEN)
    for body, (_, named), result in zip(bodies, BROKEN, found[1::2], strict=True):
        alone = account.http.post("/v1/documents", content=_json(body), headers=JSON)
        assert result["error"] == alone.json()
        assert result["error"]["details"].keys() == named.keys()
        assert all(result["error"]["details"][path].startswith(sentence) for path, sentence in named.items())
    assert used(account) == len(BROKEN)
    assert account.http.get("/v1/documents").json()["pagination"]["total"] == len(BROKEN)


def _json(value: Any) -> bytes:
    """With numbers and escapes that a library would not send."""
    return json.dumps(value).encode()


@pytest.mark.parametrize("item", [None, 5, "text", [], [LINE], True])
def test_an_item_that_is_no_object_is_refused_by_itself(account: Account, item: Any) -> None:
    _, result = results(post(account, document(account.client_id), item))
    assert (result["status"], result["error"]["error"]) == (422, "validation_error")


def test_a_call_whose_items_all_fail_creates_nothing(account: Account) -> None:
    assert [result["status"] for result in results(post(account, {}, {}, {}))] == [422] * 3
    assert used(account) == 0


def test_an_item_is_bounded_as_a_call_by_itself_is(account: Account) -> None:
    large = document(account.client_id, items=[line(description="x" * 4_900)] * 220)
    ordinary, refused_ = results(post(account, document(account.client_id), large))
    assert (ordinary["status"], refused_["status"]) == (201, 413)
    assert refused_["error"]["error"] == "payload_too_large"
    assert used(account) == 1


def test_all_or_nothing(account: Account) -> None:
    bodies = [document(account.client_id, status="sent", issued_date="2026-01-01") for _ in range(20)]
    broken = [*bodies[:7], {**bodies[0], "items": [LINE, line(rate="x")]}, *bodies, {"type": "quote"}, 5]
    details = refused(post(account, *broken, atomic=True), 422, "validation_error")
    assert details == {
        "documents[7].items[1].rate": "Must be a number",
        "documents[28].client_id": "This field is required",
        "documents[28].items": "This field is required",
        "documents[29]": "The body must be a JSON object",
    }
    assert used(account) == 0
    assert account.http.get("/v1/documents").json()["data"] == []
    numbers = [each["number"] for each in made(post(account, *bodies, atomic=True))]
    assert numbers == [f"INV-2026-{number:06d}" for number in range(1, 21)]
    assert used(account) == 20


def test_all_or_nothing_tells_a_thousand_faults_at_most(account: Account) -> None:
    details = refused(post(account, *[{}] * ITEMS_MAX, atomic=True), 422, "validation_error")
    assert len(details) == 1_000


FORMS: dict[str, tuple[bytes, int, str, set[str]]] = {
    "empty body": (b"", 400, "invalid_json", set()),
    "broken": (b'{"documents": [{]}', 400, "invalid_json", set()),
    "broken item": (b'{"documents": [{"type": "\xff"}]}', 400, "invalid_json", set()),
    "deep item": (b'{"documents": [%s1%s]}' % (b"[" * 5_000, b"]" * 5_000), 400, "invalid_json", set()),
    "a list": (b"[]", 422, "validation_error", set()),
    "nothing": (b"{}", 422, "validation_error", {"documents"}),
    "null": (b'{"documents": null}', 422, "validation_error", {"documents"}),
    "no list": (b'{"documents": {"0": {}}}', 422, "validation_error", {"documents"}),
    "no items": (b'{"documents": []}', 422, "validation_error", {"documents"}),
    "too many items": (b'{"documents": [%s0]}' % (b"0," * ITEMS_MAX), 422, "validation_error", {"documents"}),
    "unknown": (b'{"documents": [1], "items": []}', 422, "validation_error", {"items"}),
    "no flag": (b'{"documents": [1], "atomic": "yes"}', 422, "validation_error", {"atomic"}),
    "large and unknown": (
        b'{"x": 1, "documents": ["%s"], "items": [], "atomic": 2}' % (b"x" * BODY_BYTES_MAX),
        422, "validation_error", {"x", "items", "atomic"},
    ),
    "long and unknown": (
        b'{"documents": [1], "items": []}' + b" " * BODY_BYTES_MAX, 422, "validation_error", {"items"},
    ),
    "unknown and large": (
        b'{"documents": [1], "items": ["%s"]}' % (b"x" * BODY_BYTES_MAX), 422, "validation_error", {"items"},
    ),
    "too large": (b'{"documents": [1]}' + b" " * BULK_BYTES_MAX, 413, "payload_too_large", set()),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_a_body_of_another_form_is_refused_whole(house: Account, name: str) -> None:
    body, status, code, paths = FORMS[name]
    before = used(house)
    answer = house.http.post(BULK, content=body, headers=JSON)
    assert refused(answer, status, code).keys() == paths
    assert used(house) == before


def test_other_calls_keep_their_bound(house: Account) -> None:
    body = _json(document(house.client_id)) + b" " * BODY_BYTES_MAX
    refused(house.http.post("/v1/documents", content=body, headers=JSON), 413, "payload_too_large")


def test_nothing_but_post_is_there(house: Account) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = house.http.request(method, BULK)
        refused(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == "POST"


def test_ten_megabytes_are_taken(account: Account) -> None:
    bodies = [
        document(account.client_id, items=[line(description="y" * 4_900)] * 200, notes=str(n))
        for n in range(10)
    ]
    body = _json({"documents": bodies, "atomic": True})
    body += b" " * (BULK_BYTES_MAX - len(body))
    found = made(account.http.post(BULK, content=body, headers=JSON))
    assert [each["notes"] for each in found] == [str(number) for number in range(10)]
    assert account.get(found[-1]["id"]) == found[-1]


def test_bodies_that_never_come_keep_nobody_waiting(account: Account) -> None:
    url = urlsplit(account.product.gateway)
    head = f"POST {BULK} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {account.key}\r\nContent-Length: 1000\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(PLACES + 1):
            connection = socket.create_connection((url.hostname, url.port))
            stack.enter_context(connection).sendall(head.encode() + b'{"documents": [')
        assert len(made(post(account, document(account.client_id)))) == 1


def test_an_external_id_that_others_keep_taking_is_for_later(account: Account) -> None:
    account.sql(
        f"""
        create unique index contended on api.documents (account_id, notes) where account_id = '{account.id}'
        """
    )
    answer = post(account, *[document(account.client_id)] * 2)
    account.sql("drop index api.contended")
    refused(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert used(account) == 0


def test_a_neighbours_client_is_none(open_account: Open) -> None:
    own, neighbour = open_account(), open_account()
    bodies = [document(client_id) for client_id in (own.client_id, neighbour.client_id, new_id("cl"))]
    found = results(post(own, *bodies))
    assert [result["status"] for result in found] == [201, 422, 422]
    assert found[1]["error"] == found[2]["error"]


def test_one_key_creates_once_and_replays_the_same_bytes(account: Account) -> None:
    bodies = [document(account.client_id), {"type": "quote"}]
    once = {"idempotency-key": "bulk-1"}
    first, again = (post(account, *bodies, headers=once) for _ in range(2))
    assert (first.content, again.headers["idempotent-replayed"]) == (again.content, "true")
    assert [result["status"] for result in results(first)] == [201, 422]
    refused(post(account, *bodies, bodies[0], headers=once), 422, "idempotency_mismatch")
    assert used(account) == 1


def test_a_refused_call_of_all_or_none_is_replayed_and_counts_nothing(account: Account) -> None:
    once = {"idempotency-key": "bulk-2"}
    answers = [post(account, document(account.client_id), {}, atomic=True, headers=once) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert answers[0].content == answers[1].content
    assert used(account) == 0


def test_a_client_that_is_deleted_meanwhile_harms_nobody(account: Account) -> None:
    clients = [account.client()["id"] for _ in range(6)]
    bodies = [document(client_id) for client_id in clients] * 40

    def delete(client_id: str) -> int:
        return account.http.delete(f"/v1/clients/{client_id}").status_code

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(post, account, *bodies) for _ in range(4)]
        assert set(pool.map(delete, clients)) == {200}
    created = [
        result["document"]
        for answer in answers
        for result in results(answer.result())
        if result["status"] == 201 or result["error"]["details"].keys() != {"client_id"}
    ]
    assert all(
        account.get(each["id"])["client"]["name"] == "Acme Corp"
        for each in created[:: len(created) // 20 + 1]
    )
    assert used(account) == len(created)


def test_a_compressed_call_is_as_any(account: Account) -> None:
    body = gzip.compress(_json({"documents": [document(account.client_id)] * 300}))
    assert (
        len(made(account.http.post(BULK, content=body, headers={**JSON, "content-encoding": "gzip"}))) == 300
    )


def test_an_external_id_that_is_taken_is_its_items_fault(account: Account) -> None:
    holder = account.document(external_id="order-1")
    names = ["order-1", "order-2", None, "order-2", "", "order-3"]
    bodies = [document(account.client_id, external_id=name, metadata={"at": f"{name}"}) for name in names]
    bodies.append(document("cl_none", external_id="order-4"))
    bodies.append(document(account.client_id, external_id="order-4", metadata={}))
    found = results(post(account, *bodies))
    assert [result["status"] for result in found] == [409, 201, 201, 409, 201, 201, 422, 201]
    assert found[0]["error"] == account.post(external_id="order-1").json()
    assert found[0]["error"]["details"]["id"] == holder["id"]
    assert found[3]["error"]["details"] == {"external_id": "Taken by item 1"}
    made_ = [result["document"] for result in found if result["status"] == 201]
    assert [(each["external_id"], each["metadata"]) for each in made_] == [
        ("order-2", {"at": "order-2"}), (None, {"at": "None"}), (None, {}), ("order-3", {"at": "order-3"}),
        ("order-4", {}),
    ]  # fmt: skip
    assert [account.get(each["id"]) for each in made_] == made_
    details = refused(post(account, *bodies[:4], atomic=True), 422, "validation_error")
    assert details.keys() == {f"documents[{at}].external_id" for at in (0, 1, 3)}
    assert used(account) == 6


def test_bulks_that_race_for_external_ids_give_each_once_and_leave_no_gap(account: Account) -> None:
    names = [f"race-{number}" for number in range(60)]

    def call(number: int) -> list[dict[str, Any]]:
        chosen = names[:: 1 if number % 2 else -1][: 40 + number]
        bodies = [document(account.client_id, external_id=name, status="sent") for name in chosen]
        return results(post(account, *bodies))

    with ThreadPoolExecutor(8) as pool:
        found = [result for many in pool.map(call, range(8)) for result in many]
    created = [result["document"] for result in found if result["status"] == 201]
    assert sorted(each["external_id"] for each in created) == sorted(names)
    assert {result["error"]["error"] for result in found if result["status"] != 201} == {"external_id_taken"}
    year = created[0]["number"][4:8]
    assert sorted(each["number"] for each in created) == [f"INV-{year}-{n:06d}" for n in range(1, 61)]
    assert used(account) == len(names)
