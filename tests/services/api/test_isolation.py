"""Isolation: what belongs to another account looks exactly like what does not exist, on every route and verb."""

import re
from collections.abc import Iterator

import pytest
from account import Account
from doors import EXTERNAL, WAYS, Way
from exported import ENDED, reached
from product import Product

from services.api.store.ids import new_id

VARYING = {"date", "ratelimit", "x-request-id"}


@pytest.fixture(scope="module")
def neighbour(product: Product) -> Iterator[Account]:
    with Account(product) as account:
        yield account


def seen(account: Account, way: Way, object_id: str, client_id: str) -> tuple[int, bytes, dict[str, str]]:
    answer = account.http.request(way.method, way.path(object_id), json=way.body(client_id))
    headers = {name: value for name, value in answer.headers.items() if name not in VARYING}
    return answer.status_code, answer.content.replace(object_id.encode(), b"ID"), headers


def owned_by(account: Account, way: Way) -> tuple[str, str]:
    """The prefix and id of an object that the way leads to, and that changes by nobody else."""
    if EXTERNAL in way.pattern:
        named = new_id("own")
        make = account.client if "client" in way.pattern else account.document
        return "own", make(external_id=named)["external_id"]
    if "client" in way.pattern:
        return "cl", account.client_id
    document_id = account.document(status="sent")["id"]
    if "export" not in way.pattern:
        return "doc", document_id
    export_id = account.http.post("/v1/exports", json={"documents": [document_id]}).json()["id"]
    account.http.post(f"/v1/exports/{export_id}/cancel")
    reached(account, export_id, lambda export: export["state"] in ENDED)
    return "exp", export_id


@pytest.mark.parametrize("way", [way for way in WAYS if way.takes_id], ids=str)
def test_a_neighbours_object_looks_exactly_like_none(house: Account, neighbour: Account, way: Way) -> None:
    prefix, owned = owned_by(neighbour, way)
    before = neighbour.http.get(re.sub(r"/(pay|cancel|pdf|download)$", "", way.path(owned)))
    assert before.status_code == 200
    unknown = new_id(prefix)
    assert seen(house, way, owned, "") == seen(house, way, unknown, "")
    assert seen(house, way, owned, "")[0] == 404
    assert neighbour.http.get(before.request.url).content == before.content


@pytest.mark.parametrize("way", [way for way in WAYS if way.takes_id], ids=str)
@pytest.mark.parametrize(
    "object_id",
    ["x", "doc_", "cl_1", "DOC_" + "0" * 34, "doc_" + "g" * 34, "%00", "%F0%9F%A7%BE", "..", "doc_%0a"],
)
def test_an_id_of_the_wrong_form_is_404(house: Account, way: Way, object_id: str) -> None:
    if object_id == "..":
        object_id = "%2E%2E"
    assert house.http.request(way.method, way.path(object_id), json=way.body("")).status_code == 404


def test_a_neighbours_client_cannot_be_billed(house: Account, neighbour: Account) -> None:
    draft = house.document()
    for client_id in (neighbour.client_id, new_id("cl")):
        for answer in (house.post(client_id=client_id), house.put(draft["id"], client_id=client_id)):
            assert (answer.status_code, answer.json()["details"]) == (422, {"client_id": "No such client"})


def test_lists_show_no_neighbours_rows(house: Account, neighbour: Account) -> None:
    for path, make in (("/v1/documents", neighbour.document), ("/v1/clients", neighbour.client)):
        theirs = make()["id"]
        shown = house.http.get(path, params={"per_page": 100}).json()
        assert theirs not in {row["id"] for row in shown["data"]}


def test_an_empty_account_sees_nothing_at_all(account: Account, neighbour: Account) -> None:
    neighbour.document(status="sent")
    for path in ("/v1/documents", "/v1/clients", "/v1/documents?status=sent", "/v1/documents?type=invoice"):
        answer = account.http.get(path).json()
        assert (answer["data"], answer["pagination"]["total"]) == ([], 0)


def test_numbers_of_two_accounts_do_not_meet(account: Account, neighbour: Account) -> None:
    neighbour.document(status="sent", issued_date="2019-01-01", due_date=None)
    assert (
        account.document(status="sent", issued_date="2019-01-01", due_date=None)["number"]
        == "INV-2019-000001"
    )


def test_an_idempotency_key_is_each_accounts_own(house: Account, neighbour: Account) -> None:
    answers = [
        account.http.post("/v1/clients", json={"name": "x"}, headers={"idempotency-key": "the-same"})
        for account in (house, neighbour)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["id"] != answers[1].json()["id"]
