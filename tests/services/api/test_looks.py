"""How a document looks: its language and paper, and what is frozen of the account's when it leaves draft."""

from typing import Any

import pytest
from account import Account, refused

ACCOUNT_CHANGES: list[dict[str, Any]] = [
    {"name": "Renamed"}, {"locale": "de"}, {"page_size": "letter"}, {"accent_color": "#1a7f5a"},
    {"iban": "DE89370400440532013000"}, {"bic": "COBADEFFXXX"}, {"payment_terms": "Net 10"}, {"city": "Paris"},
]  # fmt: skip


def etag(account: Account, document_id: str) -> str:
    """What the PDF would be; it takes no print to tell."""
    answer = account.http.get(f"/v1/documents/{document_id}/pdf", headers={"if-none-match": "*"})
    assert answer.status_code == 304, answer.text
    return answer.headers["etag"]


def change_account(account: Account, **fields: Any) -> None:
    answer = account.http.put("/v1/account", json=fields)
    assert answer.status_code == 200, answer.text


def test_a_document_says_nothing_of_its_looks_by_itself(house: Account) -> None:
    made = house.document()
    assert (made["locale"], made["page_size"]) == (None, None)


def test_a_document_may_name_its_language_and_paper_and_take_them_back(house: Account) -> None:
    made = house.document(locale="pt-BR", page_size="letter")
    assert (made["locale"], made["page_size"]) == ("pt-BR", "letter")
    assert house.get(made["id"]) == made
    kept = house.put(made["id"], notes="x").json()
    assert (kept["locale"], kept["page_size"]) == ("pt-BR", "letter")
    cleared = house.put(made["id"], locale=None, page_size=None).json()
    assert (cleared["locale"], cleared["page_size"]) == (None, None)
    assert house.get(made["id"]) == cleared


def test_null_at_create_is_as_good_as_absent(house: Account) -> None:
    made = house.document(locale=None, page_size=None)
    assert (made["locale"], made["page_size"]) == (None, None)


@pytest.mark.parametrize(
    "broken", [{"locale": "xx"}, {"locale": ""}, {"page_size": "A4"}, {"page_size": 5}], ids=str
)
def test_an_unknown_language_or_paper_is_told_by_its_field(house: Account, broken: dict[str, Any]) -> None:
    assert set(refused(house.post(**broken), 422, "validation_error")) == set(broken)
    draft = house.document()
    assert set(refused(house.put(draft["id"], **broken), 422, "validation_error")) == set(broken)


@pytest.mark.parametrize("status", ["sent", "paid", "cancelled"])
@pytest.mark.parametrize("change", ACCOUNT_CHANGES, ids=str)
def test_what_left_draft_looks_the_same_whatever_the_account_becomes(
    account: Account, status: str, change: dict[str, Any]
) -> None:
    draft = account.document()
    frozen = account.in_status(status)
    before = {document["id"]: etag(account, document["id"]) for document in (draft, frozen)}
    change_account(account, **change)
    assert etag(account, frozen["id"]) == before[frozen["id"]]
    assert etag(account, draft["id"]) != before[draft["id"]]


def test_what_was_sent_keeps_the_language_of_its_client(account: Account) -> None:
    client = account.client(locale="fr")
    draft, sent = (account.document(client_id=client["id"], status=status) for status in ("draft", "sent"))
    before = etag(account, draft["id"]), etag(account, sent["id"])
    account.http.put(f"/v1/clients/{client['id']}", json={"locale": "ja"})
    assert etag(account, sent["id"]) == before[1]
    assert etag(account, draft["id"]) != before[0]
    assert account.get(sent["id"])["client"]["locale"] == "fr"


def test_the_documents_word_goes_before_the_clients_and_the_clients_before_the_accounts(
    account: Account,
) -> None:
    client = account.client(locale="fr")
    silent, spoken = account.document(), account.document(locale="nl")
    of_client = account.document(client_id=client["id"])
    before = {document["id"]: etag(account, document["id"]) for document in (silent, spoken, of_client)}
    change_account(account, locale="de")
    assert {name for name, tag in before.items() if etag(account, name) != tag} == {silent["id"]}


def test_a_pdf_of_a_sent_document_is_the_same_file_after_the_account_has_changed(account: Account) -> None:
    sent = account.document(status="sent")
    path = f"/v1/documents/{sent['id']}/pdf"
    before = account.http.get(path)
    assert before.status_code == 200, before.text
    change_account(account, name="Renamed", locale="de", page_size="letter", accent_color="#1a7f5a")
    after = account.http.get(path)
    assert (after.content, after.headers["etag"]) == (before.content, before.headers["etag"])
