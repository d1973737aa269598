"""Filters and sorts of documents: each against the same question asked of all documents in Python."""

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import combinations
from operator import itemgetter
from random import Random
from typing import Any

import pytest
from account import Account, refused
from bodies import line
from product import Product

from services.api.store.ids import new_id

Row = dict[str, Any]
SORTS = ("created_at", "issued_date", "due_date", "total", "number", "updated_at")
NAMES = ("Müller & Söhne GmbH", "Ønsker A/S", "ΑΘΗΝΑ Travel", "Smith-Jones", "Привет Мир")
CURRENCIES = ("USD", "EUR", "JPY")


class Stock:
    """An account, all of whose documents are held as they are read."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.clients = [account.client(name=name)["id"] for name in NAMES]
        chance = Random(7)
        for at in range(48):
            self._make(at, chance)
        self.rows = listed(account, per_page=100)["data"]

    def _make(self, at: int, chance: Random) -> None:
        day = chance.randrange(1, 6)
        fields: dict[str, Any] = {
            "client_id": self.clients[at % len(NAMES)],
            "type": ("invoice", "quote")[at % 2],
            "currency": CURRENCIES[at % 3],
            "issued_date": f"2026-03-0{day}",
            "due_date": None if at % 4 == 0 else f"2026-0{chance.randrange(4, 7)}-1{day}",
            "items": [line(rate=chance.randrange(1, 6) * 100)],
            "notes": f"Projekt {at % 7} Élan",
        }
        made = self.account.document(**fields, status="sent" if at % 3 else "draft")
        if at % 5 == 0:
            self.account.move(made["id"], "pay")
        if at % 7 == 0:
            self.account.move(made["id"], "cancel")

    def ids(self, keeps: Callable[[Row], bool] = lambda _: True) -> list[str]:
        return [row["id"] for row in self.rows if keeps(row)]

    def sorted(self, sort: str) -> list[str]:
        """Documents without the value come last, in the same direction by their ids."""
        name = sort.removeprefix("-")
        key = "id" if name == "created_at" else name
        whole = [row for row in self.rows if row[key] is not None]
        bare = [row for row in self.rows if row[key] is None]
        if name == "updated_at":
            whole = self.exact()
        rows = sorted(whole, key=itemgetter(key, "id"), reverse=sort.startswith("-"))
        rows += sorted(bare, key=itemgetter("id"), reverse=sort.startswith("-"))
        return [row["id"] for row in rows]

    def exact(self) -> list[Row]:
        """With the times as stored, which are finer than those that are answered."""
        rows = self.account.sql(
            "select id, updated_at from api.documents where account_id = $1", self.account.id
        )
        return [dict(row) for row in rows]


@pytest.fixture(scope="module")
def stock(product: Product) -> Iterator[Stock]:
    with Account(product) as account:
        yield Stock(account)


def listed(account: Account, **query: Any) -> dict[str, Any]:
    answer = account.http.get("/v1/documents", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def found(account: Account, **query: Any) -> list[str]:
    """All ids by a cursor's walk, whose pages all tell their number."""
    ids: list[str] = []
    page = listed(account, **query)
    totals = {page["pagination"]["total"]}
    ids += [row["id"] for row in page["data"]]
    while cursor := page["pagination"]["next_cursor"]:
        page = listed(account, **query, cursor=cursor)
        ids += [row["id"] for row in page["data"]]
        totals.add(page["pagination"]["total"])
    assert totals == {len(ids)}
    return ids


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("name", SORTS)
@pytest.mark.parametrize("per_page", [1, 7, 100])
def test_pages_and_cursors_walk_every_sort_alike(stock: Stock, sign: str, name: str, per_page: int) -> None:
    expected = stock.sorted(sign + name)
    query = {"sort": sign + name, "per_page": per_page}
    if per_page > 1:
        assert found(stock.account, **query) == expected
    pages = range(1, len(expected) // per_page + 2)
    chosen = pages if per_page > 1 else (1, 2, 20, 33, 34, 47, 48, 49)
    for page in chosen:
        shown = [row["id"] for row in listed(stock.account, **query, page=page)["data"]]
        assert shown == expected[(page - 1) * per_page : page * per_page]


def keeping(stock: Stock) -> dict[str, tuple[dict[str, Any], Callable[[Row], bool]]]:
    """Every filter, and what it means."""
    some = stock.rows[5:30:3]
    number = next(row["number"] for row in stock.rows if row["number"])
    moment = sorted(row["updated_at"] for row in stock.rows)[24]
    client = stock.clients[2]
    return {
        "type": ({"type": "quote"}, lambda row: row["type"] == "quote"),
        "status": ({"status": "sent"}, lambda row: row["status"] == "sent"),
        "overdue": ({"status": "overdue"}, lambda row: row["status"] == "overdue"),
        "ids": ({"ids": ",".join(row["id"] for row in some)}, lambda row: row in some),
        "client_id": ({"client_id": client}, lambda row: row["client_id"] == client),
        "number": ({"number": number}, lambda row: row["number"] == number),
        "currency": ({"currency": "EUR"}, lambda row: row["currency"] == "EUR"),
        "issued": (
            {"issued_from": "2026-03-02", "issued_to": "2026-03-04"},
            lambda row: "2026-03-02" <= row["issued_date"] <= "2026-03-04",
        ),
        "due": (
            {"due_from": "2026-04-12", "due_to": "2026-06-11"},
            lambda row: row["due_date"] is not None and "2026-04-12" <= row["due_date"] <= "2026-06-11",
        ),
        "total": ({"min_total": "200", "max_total": 400}, lambda row: 200 <= row["total"] <= 400),
        "updated": ({"updated_since": moment}, lambda row: row["updated_at"] >= moment),
        "q": ({"q": "pro smith"}, lambda row: row["client"]["name"] == "Smith-Jones"),
    }


def test_every_filter_means_what_it_says_alone_and_with_any_other_in_any_order(stock: Stock) -> None:
    chance = Random(11)
    filters = keeping(stock)
    names = [(name,) for name in filters] + list(combinations(filters, 2))
    for chosen in [each for each in names if {*each} != {"status", "overdue"}]:
        query, keeps = dict[str, Any](), list[Callable[[Row], bool]]()
        for name in chosen:
            query |= filters[name][0]
            keeps.append(filters[name][1])
        expected = stock.ids(lambda row, keeps=keeps: all(keep(row) for keep in keeps))
        assert found(stock.account, **query, per_page=10) == expected, query
        sort = chance.choice(SORTS)
        in_order = [each for each in stock.sorted(sort) if each in expected]
        assert found(stock.account, **query, per_page=10, sort=sort) == in_order, (query, sort)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("muller", 0), ("MÜLLER", 0), ("sohne gmb", 0), ("gmbh söhne mü", 0), ("ønsker", 1), ("onsk", 1), ("αθηνα", 2),
        ("Αθήνα", 2), ("travel", 2), ("jones smi", 3), ("ПРИВЕТ", 4), ("мир", 4),
    ],
)  # fmt: skip
def test_a_search_finds_the_clients_words_by_their_beginnings(stock: Stock, words: str, name: int) -> None:
    of_client = stock.ids(lambda row: row["client_id"] == stock.clients[name])
    assert of_client
    assert found(stock.account, q=words) == of_client


def test_a_search_wants_every_word(stock: Stock) -> None:
    assert found(stock.account, q="muller travel") == []
    assert found(stock.account, q="uller") == []
    assert found(stock.account, q="projekt 3") == stock.ids(lambda row: row["notes"] == "Projekt 3 Élan")
    assert len(found(stock.account, q="elan", per_page=100)) == len(stock.rows)


def test_a_search_finds_a_number_whole_and_begun(stock: Stock) -> None:
    row = next(row for row in stock.rows if row["number"])
    assert found(stock.account, q=row["number"]) == [row["id"]]
    assert found(stock.account, q=row["number"].lower()) == [row["id"]]
    assert row["id"] in found(stock.account, q=row["number"][:-2])
    assert row["id"] in found(stock.account, q=row["number"].rpartition("-")[2])


def test_a_draft_is_found_by_its_clients_new_name_and_a_sent_document_by_the_old(account: Account) -> None:
    client = account.client(name="Before")["id"]
    draft = account.document(client_id=client)["id"]
    sent = account.document(client_id=client, status="sent")["id"]
    assert found(account, q="before") == [sent, draft]
    account.http.put(f"/v1/clients/{client}", json={"name": "Afterwards"})
    assert found(account, q="after") == [draft]
    assert found(account, q="before") == [sent]
    account.http.delete(f"/v1/clients/{client}")
    assert found(account, q="after") == [draft]


def test_a_changed_draft_is_found_by_its_new_words(account: Account) -> None:
    draft = account.document(notes="alpha")["id"]
    account.put(draft, notes="omega " + "x" * 9_000)
    assert found(account, q="alpha") == []
    assert found(account, q="omega") == [draft]
    assert found(account, q="omega " + "x" * 90) == [draft]


def test_a_search_sees_no_neighbours_documents(stock: Stock, account: Account) -> None:
    own = account.document(notes="Projekt Élan")["id"]
    assert found(account, q="projekt") == [own]
    assert own not in found(stock.account, q="projekt", per_page=100)


def test_an_external_id_is_found(account: Account) -> None:
    account.document()
    named = account.document()["id"]
    account.sql("update api.documents set external_id = 'order 7/é' where id = $1", named)
    assert found(account, external_id="order 7/é") == [named]
    assert found(account, external_id="order 8") == []


def test_what_there_is_not_is_an_empty_list(stock: Stock) -> None:
    for query in (
        {"ids": new_id("doc")},
        {"client_id": new_id("cl")},
        {"number": "INV-1"},
        {"currency": "KWD"},
    ):
        assert found(stock.account, **query) == []


def test_documents_of_a_deleted_client_are_found_by_it(account: Account) -> None:
    client = account.client()["id"]
    kept = account.document(client_id=client)["id"]
    account.http.delete(f"/v1/clients/{client}")
    assert found(account, client_id=client) == [kept]


def test_a_sync_by_updated_at_sees_what_has_changed_since(account: Account) -> None:
    first, second = account.document(), account.document()
    third = account.document()
    seen = listed(account, sort="updated_at")["data"]
    assert [row["id"] for row in seen] == [first["id"], second["id"], third["id"]]
    account.sql("update api.documents set updated_at = '2020-01-01' where account_id = $1", account.id)
    changed = account.put(first["id"], notes="changed").json()
    since = listed(account, sort="updated_at", updated_since=changed["updated_at"])["data"]
    assert [row["id"] for row in since] == [first["id"]]
    assert since == [changed]


def test_a_moment_may_be_in_any_zone(account: Account) -> None:
    row = account.document()
    account.sql("update api.documents set updated_at = '2026-03-01T12:00:00Z' where id = $1", row["id"])
    for moment in (
        "2026-03-01T12:00:00Z",
        "2026-03-01t14:00:00.000000001+02:00",
        "2026-03-01T07:00:00-05:00",
    ):
        assert found(account, updated_since=moment) == [row["id"]], moment
    assert found(account, updated_since="2026-03-01T12:00:01Z") == []
    assert account.http.get("/v1/documents?updated_since=2026-03-01T14:00:00+02:00").json()["data"]


def test_a_cursor_is_bound_to_its_sort(stock: Stock) -> None:
    cursors = {
        sort: listed(stock.account, sort=sort, per_page=3)["pagination"]["next_cursor"]
        for name in SORTS
        for sort in (name, f"-{name}")
    }
    for (sort, _), (_, cursor) in combinations(cursors.items(), 2):
        query = {"sort": sort, "cursor": cursor}
        details = refused(stock.account.http.get("/v1/documents", params=query), 400, "invalid_parameter")
        assert details == {"cursor": "Must be a next_cursor of a list with the same sort"}


def test_a_walk_sees_each_document_once_while_others_come_and_go(account: Account) -> None:
    before = [account.document(items=[line(rate=rate)])["id"] for rate in (5, 4, 3, 3, 3, 2, 1)]
    seen, page = list[str](), listed(account, sort="-total", per_page=2)
    while True:
        seen += [row["id"] for row in page["data"]]
        account.document(items=[line(rate=9)])
        cursor = page["pagination"]["next_cursor"]
        if cursor is None:
            break
        account.http.delete(f"/v1/documents/{seen[-1]}")
        page = listed(account, sort="-total", per_page=2, cursor=cursor)
    assert sorted(seen) == sorted(before)


BAD = {
    "sort": ["", "id", "-", "--total", "Total", "total,number", "+total"],
    "ids": ["", ",", "x", "doc_" + "g" * 34, ",".join(new_id("doc") for _ in range(101)), new_id("cl")],
    "external_id": ["", "x" * 256, "a\x00", "a\n"],
    "client_id": ["", "x", "cl_", new_id("doc"), "%00"],
    "number": ["", "x" * 101, "\x00"],
    "currency": ["", "usd", "XXX", "EURO", "EUR,USD"],
    "issued_from": ["", "2026-3-1", "20260301", "2026-02-30", "2026-03-01T00:00:00Z", "1899-12-31", "3000-01-01"],
    "due_to": ["today", "infinity", "-infinity", "0001-01-01"],
    "min_total": ["", "-1", "1e3", "NaN", "Infinity", "1,5", "1" * 31, "\u0661"],
    "max_total": ["x", "+1"],
    "updated_since": ["", "2026-03-01", "2026-03-01T00:00:00", "1771000000", "2026-13-01T00:00:00Z", "now",
                      "2026-03-01T24:00:00Z", "2026-03-01T00:00:60Z", "0001-01-01T00:00:00+14:00",
                      "2999-12-31T23:59:59-14:00", "2026-03-01T00:00:00+99:99"],
    "q": ["", " ", "!!!", "—", "x" * 201, "a b c d e f g h i j k", "a\x00b", "a\tb"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_a_bad_value_is_400_and_names_the_parameter(house: Account, name: str, value: str) -> None:
    answer = house.http.get("/v1/documents", params={name: value})
    details = refused(answer, 400, "invalid_parameter")
    assert list(details) == [name]
    assert details[name].startswith("Must be")


@pytest.mark.parametrize(
    ("low", "high"), [("issued_from", "issued_to"), ("due_from", "due_to"), ("min_total", "max_total")]
)
def test_a_range_that_holds_nothing_is_told(house: Account, low: str, high: str) -> None:
    first, last = ("2026-03-02", "2026-03-01") if "total" not in low else ("2", "1.5")
    details = refused(
        house.http.get("/v1/documents", params={low: first, high: last}), 400, "invalid_parameter"
    )
    assert details == {high: f"Must not be below {low}"}


@pytest.mark.parametrize(
    "words", ["'", "a'b", "\\", "a\\", "a:*", "a & b", "a | !b", "<->", "a<b", "%_", "$1", "é'é", "㊗"]
)
def test_no_sign_in_a_search_is_an_operator(house: Account, words: str) -> None:
    answer = house.http.get("/v1/documents", params={"q": words})
    assert answer.status_code == (200 if any(map(str.isalnum, words)) else 400)


def test_a_list_that_is_shown_all_is_told_to_the_microsecond_in_order(stock: Stock) -> None:
    rows = listed(stock.account, sort="updated_at", per_page=100)["data"]
    times = [datetime.fromisoformat(row["updated_at"]) for row in rows]
    assert times == sorted(times)
