"""Bulk creates of clients over HTTP."""

from typing import Any

import httpx2
from account import Account, refused
from bodies import CLIENT, document

BULK = "/v1/clients/bulk"
VARYING = ("id", "created_at", "updated_at")


def post(
    account: Account, *clients: Any, headers: dict[str, str] | None = None, **fields: Any
) -> httpx2.Response:
    return account.http.post(BULK, json={"clients": clients, **fields}, headers=headers)


def plain(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if name not in VARYING}


def total(account: Account) -> int:
    return account.http.get("/v1/clients").json()["pagination"]["total"]


def test_each_client_is_what_it_would_be_by_itself(account: Account) -> None:
    bodies: list[dict[str, Any]] = [
        CLIENT,
        {"name": "Ünï 🧾", "email": ""},
        {"name": "x", "locale": "de", "city": None},
    ]
    answer = post(account, *bodies)
    found = [result["client"] for result in answer.json()["results"]]
    assert (answer.status_code, answer.json()["created"], answer.json()["failed"]) == (200, 3, 0)
    alone = [account.http.post("/v1/clients", json=body).json() for body in bodies]
    assert [plain(each) for each in found] == [plain(each) for each in alone]
    assert [account.http.get(f"/v1/clients/{each['id']}").json() for each in found] == found


def test_a_thousand_clients_can_be_billed(account: Account) -> None:
    found = post(account, *({"name": f"Client {number}"} for number in range(1_000))).json()["results"]
    assert [result["client"]["name"] for result in found] == [f"Client {number}" for number in range(1_000)]
    listed = account.http.get("/v1/clients", params={"per_page": 2}).json()
    assert [each["name"] for each in listed["data"]] == ["Client 999", "Client 998"]
    assert listed["pagination"]["total"] == 1_000
    documents = [document(result["client"]["id"]) for result in found]
    answer = account.http.post("/v1/documents/bulk", json={"documents": documents, "atomic": True}).json()
    assert [each["document"]["client"]["name"] for each in answer["results"]] == [
        f"Client {number}" for number in range(1_000)
    ]


def test_items_that_fail_are_told_by_themselves(account: Account) -> None:
    broken: list[Any] = [{"name": ""}, {"email": "nobody", "nam": "x"}, 5, {"name": "x\x00"}]
    answer = post(account, CLIENT, *broken, CLIENT)
    found = answer.json()["results"]
    assert [result["status"] for result in found] == [201, 422, 422, 422, 422, 201]
    for body, result in zip(broken, found[1:5], strict=True):
        assert result["error"] == account.http.post("/v1/clients", json=body).json()
    assert total(account) == 2


def test_all_or_nothing(account: Account) -> None:
    details = refused(
        post(account, CLIENT, {"name": "x", "email": "?"}, atomic=True), 422, "validation_error"
    )
    assert details.keys() == {"clients[1].email"}
    assert total(account) == 0
    assert post(account, CLIENT, CLIENT, atomic=True).json()["created"] == 2


def test_one_key_creates_once(account: Account) -> None:
    once = {"idempotency-key": "clients"}
    assert len({post(account, CLIENT, CLIENT, headers=once).content for _ in range(3)}) == 1
    assert total(account) == 2


def test_an_external_id_that_is_taken_is_its_items_fault(account: Account) -> None:
    holder = account.client(external_id="customer-1")
    names = ["customer-1", "customer-2", "customer-2", None]
    found = post(
        account, *({**CLIENT, "external_id": name, "metadata": {"k": "v"}} for name in names)
    ).json()["results"]
    assert [result["status"] for result in found] == [409, 201, 409, 201]
    assert found[0]["error"]["details"]["id"] == holder["id"]
    assert [found[at]["client"]["external_id"] for at in (1, 3)] == ["customer-2", None]
    assert found[1]["client"]["metadata"] == {"k": "v"}
    assert total(account) == 3
