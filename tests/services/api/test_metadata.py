"""Metadata: what an owner notes on documents and clients, in any status, and what nobody prints."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from account import Account, refused
from bodies import CLIENT, line

STATUSES = ["draft", "sent", "overdue", "paid", "cancelled"]
NOTED = {"order_id": "6735", "Größe": "漢字 🧾"}


def pdf(account: Account, document_id: str) -> httpx2.Response:
    answer = account.http.get(f"/v1/documents/{document_id}/pdf")
    assert answer.status_code == 200, answer.text
    return answer


def backdate(account: Account, document_id: str) -> None:
    """So that the next change of the document is told apart from this one, to the second."""
    account.sql(
        """
        update api.documents
        set created_at = created_at - interval '1 hour', updated_at = updated_at - interval '1 hour'
        where id = $1
        """,
        document_id,
    )


@pytest.fixture(params=["documents", "clients"])
def thing(request: pytest.FixtureRequest, house: Account) -> Callable[..., dict[str, Any]]:
    """Makes one of either kind."""
    return house.document if request.param == "documents" else house.client


def put(account: Account, made: dict[str, Any], **fields: Any) -> httpx2.Response:
    return account.http.put(path_of(made), json=fields)


def path_of(made: dict[str, Any]) -> str:
    return f"/v1/{'documents' if made['id'].startswith('doc') else 'clients'}/{made['id']}"


def test_it_is_kept_as_given_and_shown_everywhere(
    house: Account, thing: Callable[..., dict[str, Any]]
) -> None:
    made = thing(metadata=NOTED)
    assert made["metadata"] == NOTED
    assert house.http.get(path_of(made)).json() == made
    listed = house.http.get(path_of(made).rpartition("/")[0], params={"per_page": 1}).json()["data"]
    assert listed == [made]


@pytest.mark.parametrize(
    "nothing", [{}, {"metadata": None}, {"metadata": {}}, {"metadata": {"a": None, "b": ""}}], ids=repr
)
def test_without_any_it_is_an_empty_object(
    thing: Callable[..., dict[str, Any]], nothing: dict[str, Any]
) -> None:
    assert thing(**nothing)["metadata"] == {}


def test_a_change_merges_keys(house: Account, thing: Callable[..., dict[str, Any]]) -> None:
    made = thing(metadata={"a": "1", "b": "2", "c": "3"})
    after = put(house, made, metadata={"a": "9", "b": None, "c": "", "d": "4"})
    assert after.json()["metadata"] == {"a": "9", "d": "4"}
    assert put(house, made, metadata={}).json()["metadata"] == {"a": "9", "d": "4"}
    assert house.http.get(path_of(made)).json()["metadata"] == {"a": "9", "d": "4"}


@pytest.mark.parametrize("nothing", [None, ""])
def test_null_or_empty_text_takes_all_of_it_away(
    house: Account, thing: Callable[..., dict[str, Any]], nothing: str | None
) -> None:
    made = thing(metadata=NOTED)
    assert put(house, made, metadata=nothing).json()["metadata"] == {}
    assert house.http.get(path_of(made)).json()["metadata"] == {}


def test_all_its_faults_are_told_at_once_by_their_keys(house: Account) -> None:
    bad = {"number": 5, "flag": True, "k" * 41: "x", "long": "x" * 501, "deep": {"a": "b"}, "good": "x"}
    expected = {"metadata.number", "metadata.flag", f"metadata.{'k' * 41}", "metadata.long", "metadata.deep"}
    for answer in (
        house.post(metadata=bad, notes=5),
        house.put(house.document()["id"], metadata=bad, notes=5),
    ):
        assert set(refused(answer, 422, "validation_error")) == expected | {"notes"}
    answer = house.http.post("/v1/clients", json={**CLIENT, "metadata": bad, "phone": 5})
    details = refused(answer, 422, "validation_error")
    assert set(details) == expected | {"phone"}
    assert details["metadata.number"] == "Must be text, so a number in quotes; or null to take the key away"


def test_there_are_fifty_keys_at_most(house: Account, thing: Callable[..., dict[str, Any]]) -> None:
    made = thing(metadata={f"key {index}": "x" * 500 for index in range(50)})
    assert len(made["metadata"]) == 50
    details = refused(put(house, made, metadata={"one more": "x"}), 422, "validation_error")
    assert details == {"metadata": "Must hold at most 50 keys"}
    assert put(house, made, metadata={"one more": "x", "key 0": None}).status_code == 200


@pytest.mark.parametrize("status", STATUSES)
def test_it_may_be_changed_in_any_status(house: Account, status: str) -> None:
    before = house.in_status(status)
    backdate(house, before["id"])
    before = house.get(before["id"])
    after = house.put(before["id"], metadata=NOTED)
    assert after.status_code == 200
    assert after.json()["updated_at"] > before["updated_at"]
    assert after.json() == {**before, "metadata": NOTED, "updated_at": after.json()["updated_at"]}
    assert house.get(before["id"]) == after.json()


@pytest.mark.parametrize("status", STATUSES[1:])
@pytest.mark.parametrize(
    "more", [{"notes": "x"}, {"external_id": "x"}, {"status": "paid"}, {"bogus": 1}], ids=repr
)
def test_nothing_else_may_be_changed_with_it_after_draft(
    house: Account, status: str, more: dict[str, Any]
) -> None:
    before = house.in_status(status)
    refused(house.put(before["id"], metadata=NOTED, **more), 422, "document_not_draft")
    refused(house.put(before["id"], **more), 422, "document_not_draft")
    refused(house.put(before["id"]), 422, "document_not_draft")
    assert house.get(before["id"]) == before


def test_its_faults_after_draft_are_those_of_a_draft(house: Account) -> None:
    sent = house.in_status("sent")
    assert set(refused(house.put(sent["id"], metadata={"a": 5}), 422, "validation_error")) == {"metadata.a"}
    assert house.get(sent["id"]) == sent


@pytest.mark.parametrize("status", ["draft", "sent", "paid"])
def test_the_pdf_stays_byte_for_byte_the_same(house: Account, status: str) -> None:
    made = house.in_status(status)
    backdate(house, made["id"])
    before = pdf(house, made["id"])
    for change in ({"metadata": NOTED}, {"metadata": None}):
        assert house.put(made["id"], **change).status_code == 200
        after = pdf(house, made["id"])
        assert (after.content, after.headers["etag"]) == (before.content, before.headers["etag"])
    held = {"if-none-match": before.headers["etag"]}
    assert house.http.get(f"/v1/documents/{made['id']}/pdf", headers=held).status_code == 304


def test_an_external_id_leaves_a_drafts_pdf_alone_too(house: Account) -> None:
    draft = house.document()
    backdate(house, draft["id"])
    before = pdf(house, draft["id"])
    assert house.put(draft["id"], external_id=f"for {draft['id']}", metadata=NOTED).status_code == 200
    assert pdf(house, draft["id"]).content == before.content


def test_a_change_of_what_is_printed_makes_another_pdf_after_one_that_is_not(house: Account) -> None:
    draft = house.document()
    backdate(house, draft["id"])
    before = pdf(house, draft["id"]).headers["etag"]
    house.put(draft["id"], metadata=NOTED)
    house.put(draft["id"], items=[line(title="Another")])
    changed = pdf(house, draft["id"]).headers["etag"]
    house.put(draft["id"], metadata=None)
    assert pdf(house, draft["id"]).headers["etag"] == changed != before
    house.put(draft["id"], status="sent")
    house.put(draft["id"], metadata=NOTED)
    sent = pdf(house, draft["id"]).headers["etag"]
    assert house.move(draft["id"], "pay").json()["metadata"] == NOTED
    assert len({before, changed, sent, pdf(house, draft["id"]).headers["etag"]}) == 4


def test_a_moved_document_keeps_what_is_noted_on_it(house: Account) -> None:
    made = house.document(metadata=NOTED, external_id="kept")
    for change in (house.put(made["id"], status="sent"), house.move(made["id"], "cancel")):
        assert (change.json()["metadata"], change.json()["external_id"]) == (NOTED, "kept")


def test_documents_know_nothing_of_what_is_noted_on_their_client(house: Account) -> None:
    client = house.client(metadata=NOTED, external_id="the client's own")
    draft = house.document(client_id=client["id"])
    sent = house.put(draft["id"], status="sent").json()
    for shown in (draft, sent):
        assert not {"metadata", "external_id", "id"} & shown["client"].keys()
    before = pdf(house, draft["id"]).content
    house.http.put(f"/v1/clients/{client['id']}", json={"metadata": None})
    assert pdf(house, draft["id"]).content == before


def test_words_in_it_are_not_taken_for_fields(house: Account) -> None:
    """A draft's client and a sent document's status are put into the stored answer as text."""
    tricky = {'"client":null': '"client":null', '"status":"sent"': '"status":"sent"'}
    made = house.document(metadata=tricky, external_id='"status":"sent"')
    assert (made["metadata"], made["client"]["name"]) == (tricky, "Acme Corp")
    overdue = house.document(
        metadata=tricky,
        status="sent",
        issued_date="2020-01-01",
        due_date="2020-01-31",
        external_id='"client":null',
    )
    assert (house.get(overdue["id"])["metadata"], overdue["status"]) == (tricky, "overdue")


def test_a_body_that_somebody_else_has_outdated_is_made_anew(house: Account) -> None:
    made = house.document()
    house.sql(
        """update api.documents set metadata = '{"a": "b"}', external_id = 'other hand' where id = $1""",
        made["id"],
    )
    shown = house.get(made["id"])
    assert (shown["metadata"], shown["external_id"]) == ({"a": "b"}, "other hand")
