"""The account over HTTP: read, changed in part under its rules, and taken over by documents at once."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest
from account import Account, caller, refused
from bodies import JSON
from gateways import Gateways
from product import Product

PATH = "/v1/account"
FIELDS = [
    "id", "name", "address_line1", "address_line2", "city", "region", "postal_code", "country", "company", "tax_id",
    "email", "phone", "iban", "bic", "payment_terms", "locale", "page_size", "accent_color", "currency", "template",
    "time_zone", "logo", "created_at", "updated_at",
]  # fmt: skip
WHOLE = {
    "name": "Ünï 漢字 Studio", "address_line1": "14 Harbour Street", "address_line2": "Floor 2", "city": "Copenhagen",
    "region": "Hovedstaden", "postal_code": "1250", "country": "Denmark", "company": "Lindqvist ApS",
    "tax_id": "DK12345674", "email": "billing@studio.example", "phone": "+45 70 10 20 30",
    "iban": "DE89370400440532013000", "bic": "COBADEFFXXX", "payment_terms": "Net 30", "currency": "EUR",
    "template": "modern", "time_zone": "Europe/Copenhagen", "locale": "de", "page_size": "letter",
    "accent_color": "#1a7f5a",
}  # fmt: skip


def put(account: Account, **fields: Any) -> httpx2.Response:
    return account.http.put(PATH, json=fields)


def changed(account: Account, **fields: Any) -> dict[str, Any]:
    answer = put(account, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_account_is_shown_whole_with_what_holds_where_nothing_was_said(account: Account) -> None:
    shown = account.http.get(PATH).json()
    assert list(shown) == FIELDS
    assert (shown["id"], shown["name"], shown["logo"]) == (account.id, "Test Studio", None)
    assert (shown["currency"], shown["template"], shown["time_zone"]) == ("USD", "clean", "UTC")
    assert (shown["locale"], shown["page_size"], shown["accent_color"]) == ("en", "a4", None)
    assert shown["created_at"] == shown["updated_at"]


def test_all_its_fields_can_be_given_and_are_read_as_answered(account: Account) -> None:
    answer = put(account, **WHOLE)
    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in WHOLE} == WHOLE
    assert account.http.get(PATH).content == answer.content


def test_a_change_changes_what_it_names_and_keeps_the_rest(account: Account) -> None:
    before = changed(account, **WHOLE)
    after = changed(account, city="Aarhus", iban=None, accent_color=None, locale=None, page_size=None)
    expected = {
        **before,
        "city": "Aarhus",
        "iban": None,
        "accent_color": None,
        "locale": "en",
        "page_size": "a4",
    }
    assert after == {**expected, "updated_at": after["updated_at"]}


def test_an_empty_change_changes_nothing(account: Account) -> None:
    before = changed(account, **WHOLE)
    assert {**changed(account), "updated_at": None} == {**before, "updated_at": None}


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [
        ("iban", "de89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        ("iban", "NO93 8601 1117 947", "NO9386011117947"),
        ("iban", "MT84 MALT 0110 0001 2345 MTLC AST0 01S", "MT84MALT011000012345MTLCAST001S"),
        ("iban", "", None), ("bic", "cobadeff", "COBADEFF"), ("bic", "COBA DE FF XXX", "COBADEFFXXX"),
        ("bic", "", None),
        ("accent_color", "#1A7F5A", "#1a7f5a"), ("accent_color", "", None), ("email", "", None),
        ("payment_terms", "x" * 500, "x" * 500), ("locale", "pt-BR", "pt-BR"), ("page_size", "letter", "letter"),
        ("time_zone", "America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"), ("currency", "JPY", "JPY"),
    ],
)  # fmt: skip
def test_a_value_is_kept_in_its_plain_form(house: Account, field: str, given: str, kept: str | None) -> None:
    assert changed(house, **{field: given})[field] == kept


BROKEN = [
    ("name", ["", None, 5, "x" * 201]),
    ("email", ["nobody", 5]),
    ("iban", ["DE88370400440532013000", "DE8937040044053201300", "DE893704004405320130000", "XX89370400440532013000",
              "DE89-3704-0044-0532-0130-00", "DE8937040044053201300\u0660", 5, "x" * 1000, "GB82WEST1234569876543"]),
    ("bic", ["COBADEF", "COBADEFFXX", "COBA1EFF", "COBADEFFXXXX", "ÇOBADEFF", 5]),
    ("payment_terms", ["x" * 501, "a\x00b", 5]),
    ("currency", ["usd", "XAU", "", None, 5]),
    ("template", ["baroque", "", None]),
    ("time_zone", ["Mars/Base", "../etc/passwd", "", None, 5, "europe/paris"]),
    ("locale", ["xx", "EN", "", 5, "en_GB"]),
    ("page_size", ["a5", "A4", "", 5]),
    ("accent_color", ["red", "#fff", "#12345g", "1a7f5a", "#1a7f5a ", "url(x)", 5]),
    ("city", ["x" * 201, 5]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in BROKEN for value in values],
    ids=lambda value: repr(value)[:24],
)  # fmt: skip
def test_a_value_that_breaks_a_rule_is_told_by_its_field_and_changes_nothing(
    house: Account, field: str, value: Any
) -> None:
    before = house.http.get(PATH).content
    assert set(refused(put(house, **{field: value}), 422, "validation_error")) == {field}
    assert house.http.get(PATH).content == before


def test_all_the_broken_fields_are_told_at_once(house: Account) -> None:
    answer = put(house, **{field: values[-1] for field, values in BROKEN}, naem="x", id="acct_1", logo=None)
    assert set(refused(answer, 422, "validation_error")) == {*dict(BROKEN), "naem", "id", "logo"}
    assert answer.json()["details"]["logo"] == "Unknown field"


@pytest.mark.parametrize(
    ("body", "code"), [("[]", "validation_error"), ("{", "invalid_json"), ("", "invalid_json")]
)
def test_a_body_is_a_json_object(house: Account, body: str, code: str) -> None:
    answer = house.http.put(PATH, content=body, headers=JSON)
    refused(answer, 422 if code == "validation_error" else 400, code)


def test_a_new_document_takes_over_what_was_just_decided(account: Account) -> None:
    assert account.document()["currency"] == "USD"
    changed(account, currency="JPY", template="classic", time_zone="Pacific/Kiritimati")
    after = account.document()
    today = datetime.now(ZoneInfo("Pacific/Kiritimati")).date()
    assert (after["currency"], after["template"]) == ("JPY", "classic")
    assert after["issued_date"] == today.isoformat()


@pytest.fixture(scope="module")
def second(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Gateways(product, tmp_path_factory.mktemp("second")) as further:
        yield further.on("second", {})


async def test_a_change_holds_at_once_on_a_gateway_that_knew_the_account_before(
    account: Account, second: str
) -> None:
    client_id = await asyncio.to_thread(lambda: account.client_id)
    body = {"type": "quote", "client_id": client_id, "items": [{"title": "x", "quantity": 1, "rate": 1}]}
    async with httpx2.AsyncClient(base_url=second, headers=account.http.headers, timeout=60) as other:
        for currency in ("EUR", "JPY", "KWD"):
            await asyncio.to_thread(changed, account, currency=currency)
            made = await other.post("/v1/documents", json=body)
            assert made.json()["currency"] == currency


def test_two_changes_of_different_fields_both_survive(account: Account) -> None:
    fields = ["city", "region", "country", "company", "phone", "tax_id", "postal_code", "address_line2"]
    with ThreadPoolExecutor(len(fields)) as pool:
        answers = list(pool.map(lambda field: put(account, **{field: field}), fields))
    assert {answer.status_code for answer in answers} == {200}
    shown = account.http.get(PATH).json()
    assert {field: shown[field] for field in fields} == {field: field for field in fields}


def test_a_repeated_change_is_answered_as_it_was(account: Account) -> None:
    once = {"idempotency-key": "change"}
    first = account.http.put(PATH, json={"city": "Paris"}, headers=once)
    changed(account, city="Rome")
    again = account.http.put(PATH, json={"city": "Paris"}, headers=once)
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert account.http.get(PATH).json()["city"] == "Rome"


def test_a_neighbour_sees_its_own_account_alone(open_account: Callable[..., Account]) -> None:
    one, other = open_account(), open_account()
    changed(one, name="One", iban="DE89370400440532013000")
    before = other.http.get(PATH).json()
    assert (before["id"], before["name"], before["iban"]) == (other.id, "Test Studio", None)
    changed(other, name="Other")
    assert one.http.get(PATH).json()["name"] == "One"


@pytest.mark.parametrize(("scope", "verb"), [("account:read", "PUT"), ("account:write", "GET")])
def test_reading_and_writing_need_their_own_scopes(house: Account, scope: str, verb: str) -> None:
    with caller(house.product, house.product.key(house.id, "--scopes", scope)) as http:
        answer = http.request(verb, PATH, json={} if verb == "PUT" else None)
    needed = "account:write" if verb == "PUT" else "account:read"
    assert refused(answer, 403, "forbidden") == {"required_scope": needed}


def test_the_command_shows_what_the_owner_has_changed(account: Account) -> None:
    changed(account, name="Renamed", iban="DE89370400440532013000")
    told = account.command("accounts", "show", account.id)
    assert (told["name"], told["seller"]["iban"]) == ("Renamed", "DE89370400440532013000")
