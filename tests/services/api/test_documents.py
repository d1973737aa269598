"""Documents over HTTP: created with defaults, changed while draft, moved on, deleted."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from account import Account, made, refused
from bodies import JSON, LINE, document, line

from services.api.domain.kinds import KINDS
from services.api.domain.lifecycle import STATUSES

FIELDS = [
    "id", "type", "number", "status", "client_id", "client", "currency", "issued_date", "due_date", "items",
    "subtotal", "tax_rate", "tax_amount", "total", "notes", "template", "locale", "page_size",
    "external_id", "metadata", "created_at", "updated_at",
]  # fmt: skip
YEAR = date.today().year  # noqa: DTZ011 - any year does
UNICODE = 'Ünï 漢字 🧾 \U0010fffd e\u0301 \u202eabc \\ " < & \t\n'

EVERY_PLANE = "".join(chr((plane << 16) + offset) for plane in range(17) for offset in (0x1234, 0xABCD))


def test_the_documented_example_is_created_as_documented(house: Account) -> None:
    items = [
        {"title": "Website Design", "quantity": 1, "rate": 5000},
        {"title": "Hosting (Annual)", "quantity": 1, "rate": 1200},
    ]
    given = {
        "type": "invoice", "client_id": house.client_id, "currency": "USD", "issued_date": "2026-03-01",
        "due_date": "2026-03-31", "tax_rate": 10, "notes": "Payment due within 30 days", "template": "modern",
    }  # fmt: skip
    answered = made(house.http.post("/v1/documents", json={**given, "items": items}))
    assert list(answered) == FIELDS
    assert {name: answered[name] for name in given} == given
    assert answered["items"] == [{**item, "amount": item["rate"]} for item in items]
    assert (answered["subtotal"], answered["tax_amount"], answered["total"]) == (6200, 620, 6820)
    assert (answered["status"], answered["number"]) == ("draft", None)
    assert answered["client"]["name"] == "Acme Corp"
    assert answered["id"].startswith("doc_")
    assert answered["created_at"] == answered["updated_at"]
    assert datetime.strptime(answered["created_at"], "%Y-%m-%dT%H:%M:%S%z").utcoffset() == timedelta(0)


def test_what_was_answered_at_create_is_what_is_read(house: Account) -> None:
    given = house.http.post("/v1/documents", json=document(house.client_id, tax_rate="7.50"))
    assert house.http.get(f"/v1/documents/{given.json()['id']}").content == given.content


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12", "UTC"])
def test_where_a_body_is_silent_the_account_speaks(open_account: Callable[..., Account], zone: str) -> None:
    account = open_account(
        "--plan", "enterprise", "--currency", "JPY", "--template", "classic", "--time-zone", zone
    )  # fmt: skip
    before = datetime.now(ZoneInfo(zone)).date()
    answered = account.document()
    issued = date.fromisoformat(answered["issued_date"])
    assert before <= issued <= datetime.now(ZoneInfo(zone)).date()
    assert date.fromisoformat(answered["due_date"]) == issued + timedelta(days=30)
    assert (answered["currency"], answered["template"]) == ("JPY", "classic")
    assert (answered["tax_rate"], answered["notes"]) == (0, "")


def test_an_account_begins_with_the_template_clean_and_dollars(house: Account) -> None:
    answered = house.document()
    assert (answered["template"], answered["currency"]) == ("clean", "USD")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("due", ["absent", None, "2026-05-05"])
def test_only_an_invoice_has_a_due_date_by_itself(house: Account, kind: str, due: str | None) -> None:
    fields = {} if due == "absent" else {"due_date": due}
    answered = house.document(type=kind, issued_date="2026-03-01", **fields)
    by_itself = "2026-03-31" if kind == "invoice" else None
    assert answered["due_date"] == (by_itself if due == "absent" else due)


@pytest.mark.parametrize(("kind", "prefix"), [(kind.type, kind.prefix) for kind in KINDS.values()])
def test_numbers_count_per_type_and_year_of_issue(account: Account, kind: str, prefix: str) -> None:
    sent = [
        account.document(type=kind, status="sent", issued_date=day, due_date=None)["number"]
        for day in ("2025-12-31", "2026-01-01", "2025-01-01", "2026-12-31")
    ]
    assert sent == [f"{prefix}-2025-000001", f"{prefix}-2026-000001", f"{prefix}-2025-000002",
                    f"{prefix}-2026-000002"]  # fmt: skip


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        ('{"title": "a", "quantity": 1, "rate": 0.1}', '"quantity":1,"rate":0.1,"amount":0.1'),
        ('{"title": "a", "quantity": "1", "rate": "0.1"}', '"quantity":1,"rate":0.1,"amount":0.1'),
        ('{"title": "a", "quantity": 1.50, "rate": 2.000000}', '"quantity":1.50,"rate":2.000000,"amount":3'),
        ('{"title": "a", "quantity": 1e2, "rate": 5}', '"quantity":100,"rate":5,"amount":500'),
        ('{"title": "a", "quantity": 3, "rate": 0.335}', '"quantity":3,"rate":0.335,"amount":1.01'),
        ('{"title": "a", "quantity": -0.0, "rate": 5}', '"quantity":0,"rate":5,"amount":0'),
        ('{"title": "a", "quantity": 0.000001, "rate": 0.000001}', '"quantity":0.000001,"rate":0.000001,"amount":0'),
        ('{"title": "a", "quantity": 999999999999.999999, "rate": 999999999999.999999}',
         '"quantity":999999999999.999999,"rate":999999999999.999999,"amount":999999999999999998000000'),
        ('{"title": "a", "quantity": 9007199254740993e-4, "rate": "1"}',
         '"quantity":900719925474.0993,"rate":1,"amount":900719925474.1'),
    ],
)  # fmt: skip
def test_numbers_are_exact_on_the_wire_and_kept_as_given(house: Account, item: str, shown: str) -> None:
    body = f'{{"type": "quote", "client_id": "{house.client_id}", "items": [{item}]}}'
    created = house.http.post("/v1/documents", content=body, headers=JSON)
    assert created.status_code == 201, created.text
    assert shown in created.text
    assert house.http.get(f"/v1/documents/{created.json()['id']}").content == created.content


@pytest.mark.parametrize("rate", [100, 10_000, 100_000, 1_200_000, 999_999_990_000])
def test_round_sums_are_read_as_they_were_answered(house: Account, rate: int) -> None:
    created = house.post(items=[line(rate=rate)], tax_rate=100)
    assert f'"subtotal":{rate},"tax_rate":100,"tax_amount":{rate},"total":{2 * rate},' in created.text
    assert house.http.get(f"/v1/documents/{created.json()['id']}").content == created.content


@pytest.mark.parametrize(
    ("currency", "total"), [("JPY", "1"), ("USD", "1.23"), ("KWD", "1.235"), ("CLF", "1.2346")]
)
def test_amounts_have_the_currencys_decimals(house: Account, currency: str, total: str) -> None:
    answered = house.post(currency=currency, items=[line(rate="1.23455")])
    assert f'"total":{total},' in answered.text


@pytest.mark.parametrize("value", [UNICODE, EVERY_PLANE, "x" * 200])
def test_text_comes_back_as_it_was_given(house: Account, value: str) -> None:
    client = house.client(name=value, city=value)
    answered = house.document(
        client_id=client["id"], notes=value * 10, items=[line(title=value, description=value)]
    )
    read = house.get(answered["id"])
    assert read["notes"] == value * 10
    assert (read["items"][0]["title"], read["items"][0]["description"]) == (value, value)
    assert (read["client"]["name"], read["client"]["city"]) == (value, value)


def test_five_thousand_lines_are_kept_in_order(house: Account) -> None:
    items = [{"title": f"{index}", "quantity": 1, "rate": index} for index in range(5_000)]
    answered = house.document(items=items)
    assert [item["title"] for item in house.get(answered["id"])["items"]] == [item["title"] for item in items]
    assert answered["total"] == sum(range(5_000))


def test_sent_at_create_is_sent_in_one_call(house: Account) -> None:
    answered = house.document(status="sent")
    assert (answered["status"], answered["number"][:9]) == ("sent", f"INV-{YEAR}-")


def test_a_change_names_what_it_changes_and_keeps_the_rest(house: Account) -> None:
    before = house.document(notes="Before", tax_rate=10)
    after = house.put(before["id"], items=[line(quantity=2)], template="minimal")
    assert after.status_code == 200
    changed = {"items", "template", "subtotal", "tax_amount", "total", "updated_at"}
    assert {name: after.json()[name] for name in FIELDS if name not in changed} == {
        name: before[name] for name in FIELDS if name not in changed
    }
    assert (after.json()["total"], after.json()["template"]) == (11_000, "minimal")
    assert house.get(before["id"]) == after.json()


@pytest.mark.parametrize("status", ["sent", "paid", "cancelled"])
def test_a_change_of_status_applies_the_other_changes_first(house: Account, status: str) -> None:
    draft = house.document()
    after = house.put(draft["id"], status=status, notes="Updated payment terms", issued_date="2031-01-01",
                      due_date="2031-02-01", type="estimate").json()  # fmt: skip
    assert (after["status"], after["notes"], after["type"]) == (status, "Updated payment terms", "estimate")
    assert (after["number"] is None) == (status == "cancelled")
    assert after["number"] is None or after["number"].startswith("EST-2031-")
    assert house.get(draft["id"]) == after


@pytest.mark.parametrize("status", ["sent", "paid", "overdue", "cancelled"])
@pytest.mark.parametrize("body", [{"notes": "x"}, {}, {"status": "draft"}, {"status": "paid"}])
def test_only_a_draft_can_be_updated(house: Account, status: str, body: dict[str, Any]) -> None:
    before = house.in_status(status)
    refused(house.put(before["id"], **body), 422, "document_not_draft")
    assert house.get(before["id"]) == before


@pytest.mark.parametrize("action", ["pay", "cancel"])
@pytest.mark.parametrize("status", STATUSES)
def test_pay_and_cancel_lead_from_where_they_may_and_nowhere_else(
    house: Account, action: str, status: str
) -> None:
    before = house.in_status(status)
    assert before["status"] == status
    answer = house.move(before["id"], action)
    if status in {"pay": {"sent", "overdue"}, "cancel": {"draft", "sent", "overdue"}}[action]:
        after = {"pay": "paid", "cancel": "cancelled"}[action]
        assert (answer.status_code, answer.json()["status"]) == (200, after)
        assert answer.json()["number"] == before["number"]
        assert house.get(before["id"]) == answer.json()
    else:
        refused(answer, 422, "invalid_transition")
        assert house.get(before["id"]) == before


@pytest.mark.parametrize("body", [b"", b"{}", b" {} "])
def test_pay_takes_no_body_or_an_empty_one(house: Account, body: bytes) -> None:
    sent = house.document(status="sent")
    answer = house.http.post(f"/v1/documents/{sent['id']}/pay", content=body, headers=JSON)
    assert answer.status_code == 200


def test_pay_refuses_fields_that_it_does_not_know(house: Account) -> None:
    sent = house.document(status="sent")
    answer = house.http.post(f"/v1/documents/{sent['id']}/pay", json={"amount": 5})
    assert refused(answer, 422, "validation_error") == {"amount": "Unknown field"}
    assert house.get(sent["id"])["status"] == "sent"


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_overdue_is_what_was_due_before_today_where_the_account_lives(
    open_account: Callable[..., Account], zone: str
) -> None:
    account = open_account("--plan", "enterprise", "--time-zone", zone)
    today = datetime.now(ZoneInfo(zone)).date()
    shown = {}
    for days in (-1, 0, 1):
        due = (today + timedelta(days=days)).isoformat()
        sent = account.document(status="sent", issued_date="2020-01-01", due_date=due)
        shown[days] = (sent["status"], account.get(sent["id"])["status"])
    assert shown == {-1: ("overdue", "overdue"), 0: ("sent", "sent"), 1: ("sent", "sent")}


@pytest.mark.parametrize("status", STATUSES)
def test_a_document_can_be_deleted_in_any_status(house: Account, status: str) -> None:
    doomed = house.in_status(status)
    answer = house.http.delete(f"/v1/documents/{doomed['id']}")
    assert (answer.status_code, answer.json()) == (200, {"id": doomed["id"], "deleted": True})
    refused(house.http.get(f"/v1/documents/{doomed['id']}"), 404, "not_found")
    refused(house.http.delete(f"/v1/documents/{doomed['id']}"), 404, "not_found")
    records = house.sql(
        "select number, type, deleted_at is not null from api.deleted_numbers where document_id = $1",
        doomed["id"],
    )
    assert [tuple(row) for row in records] == (
        [(doomed["number"], "invoice", True)] if doomed["number"] else []
    )


def test_a_deleted_number_is_never_given_out_again(account: Account) -> None:
    first, second = (account.document(status="sent", issued_date="2026-01-01") for _ in range(2))
    account.http.delete(f"/v1/documents/{second['id']}")
    third = account.document(status="sent", issued_date="2026-01-01")
    assert [first["number"], third["number"]] == ["INV-2026-000001", "INV-2026-000003"]


def test_a_refused_send_takes_no_number(account: Account) -> None:
    draft = account.document(issued_date="2026-01-01")
    refused(account.put(draft["id"], status="sent", notes=5), 422, "validation_error")
    refused(account.put(draft["id"], status="sent", client_id="cl_none"), 422, "validation_error")
    refused(
        account.post(status="sent", issued_date="2026-01-01", client_id="cl_none"), 422, "validation_error"
    )
    assert account.put(draft["id"], status="sent").json()["number"] == "INV-2026-000001"


def test_a_draft_shows_the_client_as_it_is_and_a_sent_document_as_it_was(account: Account) -> None:
    client = account.client(name="Old name")
    draft, sent = (
        account.document(client_id=client["id"]),
        account.document(client_id=client["id"], status="sent"),
    )
    cancelled = account.move(account.document(client_id=client["id"])["id"], "cancel").json()
    account.http.put(f"/v1/clients/{client['id']}", json={"name": "New name", "city": "Paris"})
    assert account.get(draft["id"])["client"]["name"] == "New name"
    listed = {row["id"]: row["client"] for row in account.http.get("/v1/documents").json()["data"]}
    assert (listed[draft["id"]]["name"], listed[draft["id"]]["city"]) == ("New name", "Paris")
    for frozen in (sent, cancelled):
        assert account.get(frozen["id"])["client"] == listed[frozen["id"]] == frozen["client"]
        assert frozen["client"]["name"] == "Old name"
    sent_now = account.put(draft["id"], status="sent").json()
    account.http.put(f"/v1/clients/{client['id']}", json={"name": "Newest name"})
    assert sent_now["client"]["name"] == account.get(draft["id"])["client"]["name"] == "New name"


def test_a_deleted_client_leaves_its_documents_whole(account: Account) -> None:
    client = account.client(name="Gone")
    draft, sent = (
        account.document(client_id=client["id"]),
        account.document(client_id=client["id"], status="sent"),
    )
    account.http.put(f"/v1/clients/{client['id']}", json={"name": "Gone for good"})
    account.http.delete(f"/v1/clients/{client['id']}")
    assert account.get(sent["id"]) == sent
    kept = account.get(draft["id"])
    assert (kept["client_id"], kept["client"]["name"]) == (client["id"], "Gone for good")
    changed = account.put(draft["id"], client_id=client["id"], notes="Still a draft", status="sent")
    assert (changed.status_code, changed.json()["client"]["name"]) == (200, "Gone for good")


def test_a_sent_document_shows_the_client_that_its_columns_say(account: Account) -> None:
    sent, draft = account.document(status="sent"), account.document()
    account.sql(
        """update api.documents set client = '{"name": "By hand"}' where account_id = $1""", account.id
    )
    assert account.get(sent["id"])["client"]["name"] == "By hand"
    assert account.get(draft["id"]) == draft
    ((bodies,),) = account.sql("select count(body) from api.documents where id = $1", draft["id"])
    assert bodies == 1


def test_a_draft_may_move_to_another_client(account: Account) -> None:
    draft, other = account.document(), account.client(name="Other")
    moved = account.put(draft["id"], client_id=other["id"])
    assert (moved.json()["client_id"], moved.json()["client"]["name"]) == (other["id"], "Other")


def test_the_seller_is_frozen_when_the_document_leaves_draft(account: Account) -> None:
    draft, sent = account.document(), account.document(status="sent")
    account.sql("""update api.accounts set profile = '{"name": "Renamed"}' where id = $1""", account.id)
    account.put(draft["id"], status="sent")
    rows = account.sql("select id, seller ->> 'name' from api.documents where account_id = $1", account.id)
    assert {row[0]: row[1] for row in rows} == {draft["id"]: "Renamed", sent["id"]: "Test Studio"}


def test_lines_need_no_description_and_show_none(house: Account) -> None:
    assert house.document(items=[{**LINE, "description": ""}])["items"] == [{**LINE, "amount": 5000}]
