"""External ids: one holder in an account, and documents and clients that are created or changed by them."""

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx2
import msgspec
import pytest
from account import Account, made, refused
from bodies import CLIENT, document
from product import Product

LOOKS_MAX = 500


class Kind(msgspec.Struct, frozen=True):
    """Documents or clients of an account, and bodies for them."""

    account: Account
    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def create(self) -> dict[str, Any]:
        return document(self.account.client_id) if self.name == "documents" else dict(CLIENT)

    @property
    def change(self) -> dict[str, Any]:
        return {"notes": "Changed"} if self.name == "documents" else {"city": "Changed"}

    def path(self, external_id: str) -> str:
        return f"/v1/{self.name}/by-external-id/{quote(external_id, safe='')}"

    def post(self, **fields: Any) -> httpx2.Response:
        return self.account.http.post(f"/v1/{self.name}", json={**self.create, **fields})

    def put(self, external_id: str, body: Any = None, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = self.create if body is None else body
        return self.account.http.put(self.path(external_id), json=body, headers=named)

    def get(self, external_id: str) -> httpx2.Response:
        return self.account.http.get(self.path(external_id))

    def rows(self) -> int:
        statements = {
            "documents": "select count(*) from api.documents where account_id = $1",
            "clients": "select count(*) from api.clients where account_id = $1",
        }
        ((rows,),) = self.account.sql(statements[self.name], self.account.id)
        return rows

    def used(self) -> int:
        return self.account.usage()["documents"]["used"]


@pytest.fixture(params=["documents", "clients"])
def kind(request: pytest.FixtureRequest, account: Account) -> Kind:
    _ = account.client_id  # made now, so that counts stand still
    return Kind(account, request.param)


@pytest.fixture
def documents(account: Account) -> Kind:
    _ = account.client_id
    return Kind(account, "documents")


@pytest.fixture
def neighbour(product: Product) -> Iterator[Account]:
    with Account(product) as account:
        yield account


def test_it_is_kept_as_given_and_may_be_taken_away(kind: Kind) -> None:
    first = made(kind.post(external_id="INV/2026/1"))
    assert first["external_id"] == "INV/2026/1"
    path = f"/v1/{kind.name}/{first['id']}"
    assert kind.account.http.get(path).json() == first == kind.get("INV/2026/1").json()
    for nothing in (None, ""):
        assert kind.account.http.put(path, json={"external_id": nothing}).json()["external_id"] is None
        refused(kind.get("INV/2026/1"), 404, "not_found")
        assert made(kind.post(external_id=nothing))["external_id"] is None
    assert kind.account.http.put(path, json={"external_id": "b"}).json()["external_id"] == "b"
    assert kind.get("b").json()["id"] == first["id"]


def test_what_is_no_external_id_is_a_fault_of_its_field_with_all_others(kind: Kind) -> None:
    for value in (5, " a", "a\n", "x" * 256, [], True):
        answer = kind.post(external_id=value, bogus=1)
        assert set(refused(answer, 422, "validation_error")) == {"external_id", "bogus"}


def test_one_that_is_taken_is_refused_and_its_holder_named(kind: Kind) -> None:
    holder = made(kind.post(external_id="mine"))
    other = made(kind.post())
    used, rows = kind.used(), kind.rows()
    for answer in (
        kind.post(external_id="mine"),
        kind.account.http.put(f"/v1/{kind.name}/{other['id']}", json={"external_id": "mine"}),
    ):
        details = refused(answer, 409, "external_id_taken")
        assert details == {"external_id": f"Taken by {holder['id']}", "id": holder["id"]}
    assert (kind.used(), kind.rows()) == (used, rows)
    assert kind.account.http.get(f"/v1/{kind.name}/{other['id']}").json() == other


def test_a_document_that_is_sent_at_once_is_refused_without_a_gap_in_its_numbers(documents: Kind) -> None:
    first = made(documents.post(external_id="mine", status="sent"))
    refused(documents.post(external_id="mine", status="sent"), 409, "external_id_taken")
    second = made(documents.post(status="sent"))
    assert int(second["number"][-6:]) == int(first["number"][-6:]) + 1


def test_a_refusal_is_replayed_under_its_key(kind: Kind) -> None:
    kind.post(external_id="mine")
    body, once = {**kind.create, "external_id": "mine"}, {"idempotency-key": "once"}
    first, again = (kind.account.http.post(f"/v1/{kind.name}", json=body, headers=once) for _ in range(2))
    refused(first, 409, "external_id_taken")
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")


def test_it_is_free_again_once_its_holder_is_deleted(kind: Kind) -> None:
    first = made(kind.post(external_id="mine"))
    kind.account.http.delete(f"/v1/{kind.name}/{first['id']}")
    assert made(kind.post(external_id="mine"))["id"] != first["id"]


def test_documents_and_clients_do_not_share_theirs(account: Account) -> None:
    client, written = account.client(external_id="same"), account.document(external_id="same")
    assert Kind(account, "clients").get("same").json()["id"] == client["id"]
    assert Kind(account, "documents").get("same").json()["id"] == written["id"]


def test_a_put_creates_then_changes(kind: Kind) -> None:
    used = kind.used()
    created = kind.put("mine", {**kind.create, "metadata": {"a": "b"}})
    assert created.status_code == 201
    assert (created.json()["external_id"], created.json()["metadata"]) == ("mine", {"a": "b"})
    changed = kind.put("mine", kind.change)
    assert changed.status_code == 200
    expected = {**created.json(), **kind.change, "updated_at": changed.json()["updated_at"]}
    assert changed.json() == expected == kind.get("mine").json()
    assert kind.put("mine", {**kind.create, "external_id": "mine"}).status_code == 200
    assert kind.used() - used == (1 if kind.name == "documents" else 0)


def test_a_create_needs_what_a_create_needs(kind: Kind) -> None:
    used = kind.used()
    details = refused(kind.put("mine", {"bogus": 1}), 422, "validation_error")
    required = {"type", "client_id", "items"} if kind.name == "documents" else {"name"}
    assert set(details) == {*required, "bogus"}
    refused(kind.account.http.put(kind.path("mine"), content=b"{"), 400, "invalid_json")
    assert kind.used() == used
    refused(kind.get("mine"), 404, "not_found")


def test_the_body_may_name_no_other_external_id(kind: Kind) -> None:
    for _ in range(2):
        answer = kind.put("mine", {**kind.create, "external_id": "another", "bogus": 1})
        assert set(refused(answer, 422, "validation_error")) == {"external_id", "bogus"}
        kind.put("mine")
    assert set(refused(kind.put("mine", {"external_id": None}), 422, "validation_error")) == {"external_id"}


def test_a_change_goes_by_the_rules_of_changes(documents: Kind) -> None:
    sent = documents.put("mine", {**documents.create, "status": "sent"})
    assert (sent.status_code, sent.json()["status"]) == (201, "sent")
    refused(documents.put("mine", documents.change), 422, "document_not_draft")
    noted = documents.put("mine", {"metadata": {"a": "b"}, "external_id": "mine"})
    assert (noted.status_code, noted.json()["metadata"]) == (200, {"a": "b"})
    assert documents.get("mine").json() == noted.json()
    path = f"/v1/documents/{sent.json()['id']}"
    assert documents.account.http.put(path, json={"metadata": {}, "external_id": "mine"}).status_code == 200


ODD = [
    "a/b",
    "INV/2026/0001",
    "pdf",
    "a b",
    "%2F",
    "?x=1#y",
    "é 漢字 🧾",
    "a+b",
    "by-external-id",
    "doc_" + "0" * 34,
    "x" * 255,
]


@pytest.mark.parametrize("external_id", ODD, ids=lambda each: each[:12])
@pytest.mark.parametrize("name", ["documents", "clients"])
def test_any_of_them_fits_the_path(house: Account, name: str, external_id: str) -> None:
    kind = Kind(house, name)
    created = kind.put(external_id)
    assert (created.status_code, created.json()["external_id"]) == (201, external_id)
    assert kind.get(external_id).json() == created.json()
    deleted = house.http.delete(kind.path(external_id))
    assert (deleted.status_code, deleted.json()) == (200, {"id": created.json()["id"], "deleted": True})
    refused(kind.get(external_id), 404, "not_found")
    refused(house.http.delete(kind.path(external_id)), 404, "not_found")


def test_slashes_need_not_be_encoded(documents: Kind) -> None:
    first = made(documents.post(external_id="INV/2026/1"))
    answer = documents.account.http.get("/v1/documents/by-external-id/INV/2026/1")
    assert answer.json() == first


@pytest.mark.parametrize("segment", ["%00", "%0A", "%FF", "%EF%BF%BD", "%20a", "x" * 256, "%E2%80%AE", ""])
@pytest.mark.parametrize("name", ["documents", "clients"])
def test_what_cannot_be_one_is_found_nowhere_and_not_created(house: Account, name: str, segment: str) -> None:
    path, kind = f"/v1/{name}/by-external-id/{segment}", Kind(house, name)
    before = kind.used()
    refused(house.http.get(path), 404, "not_found")
    refused(house.http.delete(path), 404, "not_found")
    assert set(refused(house.http.put(path, json=kind.create), 422, "validation_error")) == {"external_id"}
    assert kind.used() == before


def test_a_neighbours_looks_like_none(kind: Kind, neighbour: Account) -> None:
    theirs = Kind(neighbour, kind.name)
    held = theirs.put("mine")
    refused(kind.get("mine"), 404, "not_found")
    refused(kind.account.http.delete(kind.path("mine")), 404, "not_found")
    own = kind.put("mine")
    assert own.status_code == 201
    assert own.json()["id"] != held.json()["id"]
    assert theirs.get("mine").content == held.content


def together(kind: Kind, bodies: list[Any], headers: dict[str, str] | None = None) -> list[httpx2.Response]:
    async def all_of() -> list[httpx2.Response]:
        own = {**kind.account.http.headers, **(headers or {})}
        async with httpx2.AsyncClient(base_url=kind.account.http.base_url, headers=own, timeout=60) as http:
            return await asyncio.gather(*(http.put(kind.path("mine"), json=body) for body in bodies))

    return asyncio.run(all_of())


@pytest.mark.parametrize("status", ["draft", "sent"])
def test_of_many_at_once_one_creates_and_the_others_change(documents: Kind, status: str) -> None:
    used = documents.used()
    bodies = [{**documents.create, "notes": f"{index}"} for index in range(12)]
    bodies[::2] = [{**body, "status": status} for body in bodies[::2]]
    answers = together(documents, bodies)
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses.count(201) == 1
    assert set(statuses) <= ({200, 201} if status == "draft" else {200, 201, 422})
    assert len({answer.json()["id"] for answer in answers if answer.status_code < 300}) == 1
    assert (documents.rows(), documents.used() - used) == (1, 1)


def test_of_many_clients_at_once_one_is_created(account: Account) -> None:
    kind = Kind(account, "clients")
    answers = together(kind, [{**CLIENT, "name": f"{index}"} for index in range(12)])
    assert sorted(answer.status_code for answer in answers) == [200] * 11 + [201]
    assert kind.rows() == 1


def test_of_many_posts_at_once_one_succeeds(kind: Kind) -> None:
    async def all_of() -> list[int]:
        http = kind.account.http
        async with httpx2.AsyncClient(base_url=http.base_url, headers=http.headers, timeout=60) as calls:
            body = {**kind.create, "external_id": "mine"}
            answers = await asyncio.gather(*(calls.post(f"/v1/{kind.name}", json=body) for _ in range(8)))
            return sorted(answer.status_code for answer in answers)

    used = kind.used()
    assert asyncio.run(all_of()) == [201] + [409] * 7
    assert kind.used() - used == (1 if kind.name == "documents" else 0)


def test_deleting_and_putting_at_once_neither_loses_nor_doubles(kind: Kind) -> None:
    async def all_of() -> list[httpx2.Response]:
        own = kind.account.http
        async with httpx2.AsyncClient(base_url=own.base_url, headers=own.headers, timeout=60) as http:
            puts = [http.put(kind.path("mine"), json=kind.create) for _ in range(8)]
            return await asyncio.gather(*puts, *(http.delete(kind.path("mine")) for _ in range(8)))

    used = kind.used()
    answers = asyncio.run(all_of())
    puts, deletes = answers[:8], answers[8:]
    assert {answer.status_code for answer in puts} <= {200, 201, 503}
    assert {answer.status_code for answer in deletes} <= {200, 404}
    created = sum(answer.status_code == 201 for answer in puts)
    deleted = sum(answer.status_code == 200 for answer in deletes)
    before = 1 if kind.name == "clients" else 0
    assert kind.rows() - before == created - deleted
    assert kind.used() - used == (created if kind.name == "documents" else 0)


async def raced(kind: Kind, body: Any, statement: str, document_id: str) -> httpx2.Response:
    """The answer to a PUT that begins while the statement is under way, and ends once it is committed."""
    connection = await asyncpg.connect(kind.account.product.urls.database)
    try:
        async with connection.transaction():
            await connection.execute(statement, document_id)
            putting = asyncio.create_task(asyncio.to_thread(kind.put, "mine", body))
            await until_waited_for(connection)
        return await putting
    finally:
        await connection.close()


async def until_waited_for(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    for _ in range(LOOKS_MAX):
        if await connection.fetchval(
            "select exists (select from pg_stat_activity a where pg_backend_pid() = any(pg_blocking_pids(a.pid)))"
        ):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("Nobody waits for this transaction")


def test_what_was_reserved_is_given_back_when_somebody_else_was_first(documents: Kind) -> None:
    other = made(documents.post())
    used = documents.used()
    takes = "update api.documents set external_id = 'mine' where id = $1"
    answer = asyncio.run(raced(documents, documents.create, takes, other["id"]))
    assert (answer.status_code, answer.json()["id"]) == (200, other["id"])
    assert (documents.used(), documents.rows()) == (used, 1)


def test_what_is_deleted_at_this_very_moment_may_be_tried_again(documents: Kind) -> None:
    held = made(documents.post(external_id="mine"))
    used = documents.used()
    deletes = "delete from api.documents where id = $1"
    answer = asyncio.run(raced(documents, documents.create, deletes, held["id"]))
    refused(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    assert documents.put("mine").status_code == 201
    assert documents.used() == used + 1


def test_under_one_idempotency_key_it_is_done_once(kind: Kind) -> None:
    used = kind.used()
    first, again = (kind.put("mine", idempotency_key="once") for _ in range(2))
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert again.headers["etag"] == first.headers["etag"]
    assert kind.put("mine", idempotency_key="twice").status_code == 200
    assert kind.used() - used == (1 if kind.name == "documents" else 0)


def test_a_taken_one_under_an_idempotency_key_is_changed_all_the_same(documents: Kind) -> None:
    """Within the transaction of the key, where a refused insert must not spoil what follows."""
    used = documents.used()
    answers = together(documents, [documents.create], {"idempotency-key": "a"}) + together(
        documents, [documents.create], {"idempotency-key": "b"}
    )
    assert [answer.status_code for answer in answers] == [201, 200]
    assert documents.used() - used == 1


def test_an_account_without_documents_left_may_still_change(account: Account) -> None:
    kind = Kind(account, "documents")
    assert kind.put("mine").status_code == 201
    account.command("accounts", "set-plan", account.id, "free", "--limit", "documents=1")
    assert kind.put("mine", kind.change).status_code == 200
    refused(kind.put("another"), 429, "quota_exceeded")


def test_conditions_say_whether_it_may_be_created_or_changed(kind: Kind) -> None:
    used = kind.used()
    for given in ("*", '"x"'):
        refused(kind.put("mine", if_match=given), 412, "precondition_failed")
    assert kind.used() == used
    refused(kind.get("mine"), 404, "not_found")
    created = kind.put("mine", if_none_match="*")
    assert created.status_code == 201
    refused(kind.put("mine", if_none_match="*"), 412, "precondition_failed")
    refused(kind.put("mine", if_match='"x"'), 412, "precondition_failed")
    assert kind.put("mine", if_match=created.headers["etag"]).status_code == 200
    path, tag = kind.path("mine"), kind.get("mine").headers["etag"]
    assert kind.account.http.get(path, headers={"if-none-match": tag}).status_code == 304
    refused(kind.account.http.delete(path, headers={"if-match": '"x"'}), 412, "precondition_failed")
    assert kind.account.http.delete(path, headers={"if-match": tag}).status_code == 200
