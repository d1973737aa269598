"""How PostgreSQL goes about each list and read of a million documents: by an index, and past few rows that it drops.

Every statement is explained as it is asked, with the plan for its values and with the one for any values.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import asyncpg
import million
import pytest
from plans import GROWING, Ask, looks_at
from store_statements import statements, touched

from deploy.local.stores import StoreUrls
from services.api.domain.export import DOCUMENTS_MAX
from services.api.domain.kinds import KINDS
from services.api.domain.lifecycle import STATUSES
from services.api.store import bulk, clients, documents, drafts, exports, listing, slices, streaming
from services.api.store.listing import DocumentFilter, Span, select_page
from services.api.store.orders import NEWEST, ORDERS, Order, Position
from services.api.store.streaming import Place
from shared.postgres import Connection

pytestmark = pytest.mark.timeout(400)

LIMIT = 26
# By type and status a list reads its page, the counts, and as much again for each of the days since the last sweep; and
# what is sent is found past what was due on these days.
PAGE_ROWS_MAX = 1_000
# Of these days' pages, and of the page itself.
PAGE_SORTED_MAX = 4 * LIMIT
# By other filters a list is counted up to a bound, walked to a fence; what is rare is sorted, and a stream's batch.
FLAT_ROWS_MAX = 40_000
SORTED_MAX = 1_000
# Deep pages skip half a list, in an index.
DEEP_ROWS_MAX = million.DOCUMENTS // 2 + FLAT_ROWS_MAX
PAGE_400 = 399 * 25
MODES = ("force_custom_plan", "force_generic_plan")


@pytest.fixture(scope="module")
async def full(stores: StoreUrls, template_database: str) -> AsyncIterator[str]:
    """The URL of a database of a million documents, shared by this file's tests, which only read it."""
    server = await asyncpg.connect(stores.database)
    try:
        await server.execute(f"create database invouno_million template {template_database}")
        url = stores.database.rpartition("/")[0] + "/invouno_million"
        await million.fill(url)
        yield url
        await server.execute("drop database invouno_million with (force)")
    finally:
        await server.close()


async def assert_flat(
    url: str, ask: Ask, *, rows_max: int = FLAT_ROWS_MAX, sorted_max: int = SORTED_MAX
) -> None:
    for mode in MODES:
        for look in await looks_at(url, ask, mode):
            told = f"{mode}: {look.rows_read():,} rows, {look.sorted_rows():,} sorted\n{look.sql}"
            assert look.whole_tables() == set(), told
            assert look.rows_read() <= rows_max, told
            assert look.sorted_rows() <= sorted_max, told


def page(
    kept: DocumentFilter, *, offset: int = 0, after: Position | None = None, order: Order = NEWEST
) -> Ask:
    asked = Span(limit=LIMIT, offset=offset, after=after, order=order)
    return lambda connection: select_page(connection, million.BIG, kept, asked)


def kept_by(**fields: Any) -> DocumentFilter:
    return DocumentFilter(today=million.TODAY, **fields)


def document(at: int) -> str:
    return f"doc_{at:034x}"


MIDDLE = million.DOCUMENTS // 2
COUNTED = [kept_by(type=kind, status=status) for kind, status in product((None, *KINDS), (None, *STATUSES))]
CURSORS = [Position(None, document(at)) for at in (million.DOCUMENTS, MIDDLE, 300, 1)]


@pytest.mark.parametrize("kept", COUNTED, ids=lambda kept: f"{kept.type}-{kept.status}")
async def test_every_type_and_status_is_flat_from_any_cursor(full: str, kept: DocumentFilter) -> None:
    for offset in (0, 25, 50):
        await assert_flat(
            full, page(kept, offset=offset), rows_max=PAGE_ROWS_MAX, sorted_max=PAGE_SORTED_MAX + 4 * offset
        )
    for cursor in CURSORS:
        await assert_flat(full, page(kept, after=cursor), rows_max=PAGE_ROWS_MAX, sorted_max=PAGE_SORTED_MAX)


@pytest.mark.parametrize("kept", COUNTED, ids=lambda kept: f"{kept.type}-{kept.status}")
async def test_page_400_skips_nothing_but_its_own_list(full: str, kept: DocumentFilter) -> None:
    await assert_flat(
        full,
        page(kept, offset=PAGE_400),
        rows_max=PAGE_400 + PAGE_ROWS_MAX,
        sorted_max=PAGE_ROWS_MAX,
    )


@pytest.mark.parametrize("kept", COUNTED, ids=lambda kept: f"{kept.type}-{kept.status}")
async def test_a_deep_page_skips_in_an_index_and_from_the_nearer_end(full: str, kept: DocumentFilter) -> None:
    connection = await asyncpg.connect(full)
    try:
        total = await listing.select_total(connection, million.BIG, kept) or 0
    finally:
        await connection.close()
    for offset in (total // 2, max(0, total - 10)):
        for mode in MODES:
            for look in await looks_at(full, page(kept, offset=offset), mode):
                assert look.whole_tables() == set()
                assert look.rows_read() <= total // 2 + PAGE_ROWS_MAX, look.sql
                assert look.sorted_rows() <= PAGE_ROWS_MAX, look.sql
                assert all(
                    scan["Node Type"] == "Index Only Scan"
                    or scan["Actual Rows"] * scan["Actual Loops"] <= PAGE_ROWS_MAX
                    for scan in look.scans()
                ), look.sql


DAY = million.FIRST_DAY + timedelta(days=300)
MOMENT = datetime(2022, 3, 8, tzinfo=UTC) + timedelta(days=500)
RARE = [
    kept_by(ids=tuple(document(at) for at in range(1, 100_001, 1_000))),
    kept_by(external_id="order 5000"),
    kept_by(number="INV-2025-500000"),
    kept_by(number="INV-2025-9999999"),
    kept_by(client_id="cl_" + f"{5:034x}"),
    kept_by(client_id="cl_none"),
    kept_by(currency="USD"),
    kept_by(currency="JPY"),
    kept_by(currency="KWD"),
    kept_by(currency="CLF"),
    kept_by(min_total=Decimal(100_000)),
    kept_by(min_total=Decimal(10)),
    kept_by(max_total=Decimal(50_000)),
    kept_by(issued_from=DAY, issued_to=DAY),
    kept_by(issued_from=DAY),
    kept_by(due_to=million.TODAY + timedelta(days=600)),
    kept_by(due_from=DAY, due_to=DAY),
    kept_by(updated_since=MOMENT),
    kept_by(updated_since=datetime(2022, 3, 8, tzinfo=UTC)),
    kept_by(q="common"),
    kept_by(q="w0077"),
    kept_by(q="w0077 common"),
    kept_by(q="nothing"),
    kept_by(client_id="cl_" + f"{5:034x}", status="paid"),
]


@pytest.mark.parametrize("kept", RARE, ids=lambda kept: "-".join(sorted(kept.names())))
async def test_a_filter_is_flat_from_any_cursor(full: str, kept: DocumentFilter) -> None:
    for offset in (0, 25):
        await assert_flat(full, page(kept, offset=offset))
    await assert_flat(full, page(kept, after=Position(None, document(MIDDLE + 100_000))))


async def test_what_is_overdue_is_counted_past_nothing_that_is_not_due_yet(full: str) -> None:
    async def ask(connection: Connection) -> None:
        async with listing.planned(connection):
            kept = kept_by(status="overdue", currency="USD")
            assert await listing.select_total(connection, million.BIG, kept) is None

    await assert_flat(full, ask, rows_max=listing.TOTAL_MAX + 100)


@pytest.mark.parametrize(
    "kept", [*COUNTED, *RARE, kept_by(issued_to=DAY)], ids=lambda kept: "-".join(sorted(kept.names()))
)
async def test_what_an_export_is_to_hold_is_found_by_an_index(full: str, kept: DocumentFilter) -> None:
    async def ask(connection: Connection) -> None:
        async with connection.transaction():
            await listing.select_choices(connection, million.BIG, kept, limit=DOCUMENTS_MAX + 1)

    await assert_flat(full, ask, rows_max=million.DOCUMENTS // 4)


@pytest.mark.parametrize(
    "kept",
    [
        kept_by(issued_to=DAY),
        kept_by(due_to=DAY),
        kept_by(max_total=Decimal(50_000), issued_to=DAY),
        kept_by(status="overdue", issued_to=DAY),
        kept_by(q="common", issued_to=DAY),
        kept_by(type="quote", status="overdue", currency="USD"),
    ],
    ids=lambda kept: "-".join(sorted(kept.names())),
)
async def test_what_only_old_documents_have_is_read_once_and_never_the_whole_table(
    full: str, kept: DocumentFilter
) -> None:
    for mode in MODES:
        for look in await looks_at(full, page(kept), mode):
            assert look.whole_tables() == set(), look.sql
            assert look.rows_read() <= 3 * million.DOCUMENTS, look.sql


def value_of(order: Order, at: int) -> Any:
    """What the document is sorted by."""
    day = million.FIRST_DAY + timedelta(days=round(at / million.PER_DAY))
    return {
        "d.id": None,
        "d.issued_date": day,
        "d.due_date": day + timedelta(days=30),
        "d.total": Decimal(at * 7919 % 100_003),
        "d.updated_at": datetime(2022, 3, 8, tzinfo=UTC) + timedelta(seconds=at),
        "d.number": f"INV-2025-{at:06}",
    }[order.segments[0].key]


@pytest.mark.parametrize("order", ORDERS.values(), ids=lambda order: order.name)
async def test_every_sort_is_flat_from_any_cursor_and_at_both_ends(full: str, order: Order) -> None:
    places = [Position(value_of(order, at), document(at)) for at in (MIDDLE, 50, million.DOCUMENTS - 50)]
    bare = [Position(None, document(MIDDLE))] if len(order.segments) > 1 else []
    for place in (None, *places, *bare):
        await assert_flat(full, page(kept_by(), order=order, after=place))
    total = 1_000_000
    for offset in (25, total - 10):
        await assert_flat(full, page(kept_by(), order=order, offset=offset))


@pytest.mark.parametrize("order", ORDERS.values(), ids=lambda order: order.name)
async def test_a_deep_page_of_every_sort_skips_in_an_index(full: str, order: Order) -> None:
    await assert_flat(full, page(kept_by(), order=order, offset=400_000), rows_max=DEEP_ROWS_MAX)


WITHIN = [
    ("issued_date", kept_by(issued_to=DAY)),
    ("issued_date", kept_by(issued_from=DAY)),
    ("due_date", kept_by(due_to=DAY)),
    ("due_date", kept_by(due_from=DAY)),
    ("due_date", kept_by(status="overdue")),
    ("due_date", kept_by(status="sent")),
    ("total", kept_by(max_total=Decimal(10_000))),
    ("total", kept_by(min_total=Decimal(10_000))),
    ("updated_at", kept_by(updated_since=MOMENT)),
]


@pytest.mark.parametrize(("name", "kept"), WITHIN, ids=str)
async def test_a_range_is_flat_in_the_order_of_what_it_is_of(
    full: str, name: str, kept: DocumentFilter
) -> None:
    for sort in (name, f"-{name}"):
        await assert_flat(full, page(kept, order=ORDERS[sort]))


IDS = [document(at) for at in range(1, 1_000_000, 10_000)]
CLIENT = "cl_" + f"{700:034x}"
CLIENTS = ["cl_" + f"{at:034x}" for at in range(1, 1_000, 10)]
EXTERNAL_IDS = [f"order {at}" for at in range(1_000, 100_000, 1_000)]
READS: dict[str, Ask] = {
    "documents.select_shown": lambda c: documents.select_shown(c, million.BIG, IDS[5]),
    "documents.select_document_for_update": (
        lambda c: documents.select_document_for_update(c, million.BIG, IDS[5])
    ),
    "documents.select_document_with_seller": (
        lambda c: documents.select_document_with_seller(c, million.BIG, IDS[5])
    ),
    "documents.select_rows": lambda c: documents.select_rows(c, million.BIG, IDS),
    "documents.select_id": lambda c: documents.select_id(c, million.BIG, "order 5000"),
    "documents.select_id_for_update": lambda c: documents.select_id_for_update(c, million.BIG, "order 5000"),
    "slices.select_slice": lambda c: slices.select_slice(c, million.BIG, IDS),
    "bulk.select_profiles": lambda c: bulk.select_profiles(c, million.BIG, CLIENTS),
    "bulk.select_taken_by_documents": lambda c: bulk.select_taken_by_documents(c, million.BIG, EXTERNAL_IDS),
    "bulk.select_taken_by_clients": lambda c: bulk.select_taken_by_clients(c, million.BIG, EXTERNAL_IDS),
    "drafts.select_following": (
        lambda c: drafts.select_following(c, million.BIG, CLIENT, "{}", after_id=document(5_000), limit=500)
    ),
    "exports.select_choices": lambda c: exports.select_choices(c, million.BIG, IDS),
    "exports.select_weights": lambda c: exports.select_weights(c, million.BIG, IDS),
    "exports.select_documents_with_sellers": (
        lambda c: exports.select_documents_with_sellers(c, million.BIG, IDS)
    ),
    "exports.select_export": lambda c: exports.select_export(c, million.BIG, "exp_1"),
    "exports.count_unfinished": lambda c: exports.count_unfinished(c, million.BIG),
    "clients.select_client": lambda c: clients.select_client(c, million.BIG, CLIENT),
    "clients.select_client_for_update": lambda c: clients.select_client_for_update(c, million.BIG, CLIENT),
    "clients.select_id": lambda c: clients.select_id(c, million.BIG, "customer 5000"),
    "clients.select_id_for_update": lambda c: clients.select_id_for_update(c, million.BIG, "customer 5000"),
    "clients.count_clients": lambda c: clients.count_clients(c, million.BIG),
}
# In tests of their own, below.
LISTED = {"clients.select_clients", "exports.select_exports", "exports.count_exports"}


def test_no_read_of_what_grows_is_forgotten() -> None:
    """But those on nobody's behalf, and those that no caller waits for."""
    behind = {
        "counts.count_created", "export_parts.claim_part", "exports.select_uncleaned",
        "logos.may_be_shown", "logos.select_replaced", "reservations._count_created",
    }  # fmt: skip
    reads = {
        statement.function
        for statement in statements()
        if touched(statement.sql) & GROWING and statement.sql.startswith("select ")
    }
    assert reads - behind == {*READS, *LISTED}


@pytest.mark.parametrize("name", READS)
async def test_a_read_is_of_what_it_reads(full: str, name: str) -> None:
    await assert_flat(full, READS[name], rows_max=600)


@pytest.mark.parametrize(
    ("select", "below_id"),
    [
        *product([clients.select_clients], [None, "cl_" + f"{500:034x}", "cl_" + f"{90_000:034x}"]),
        *product([exports.select_exports], [None, "exp_" + f"{500:034x}", "exp_" + f"{40_000:034x}"]),
    ],
)
async def test_clients_and_exports_are_listed_flat(full: str, select: Any, below_id: str | None) -> None:
    await assert_flat(
        full,
        lambda c: select(c, million.BIG, below_id=below_id, limit=LIMIT, offset=0),
        rows_max=LIMIT,
    )


@pytest.mark.parametrize("offset", [25, PAGE_400])
async def test_pages_of_clients_and_exports_skip_along_their_index(full: str, offset: int) -> None:
    for select in (clients.select_clients, exports.select_exports):
        await assert_flat(
            full,
            lambda c, select=select: select(c, million.BIG, below_id=None, limit=LIMIT, offset=offset),
            rows_max=offset + LIMIT,
            sorted_max=0,
        )


async def test_counting_exports_reads_no_more_than_there_are_of_them(full: str) -> None:
    """They are counted one by one, since they are forgotten after some weeks: here nearly all are of one account."""
    for mode in MODES:
        (look,) = await looks_at(full, lambda c: exports.count_exports(c, million.BIG), mode)
        assert look.rows_read() <= million.EXPORTS
        assert look.sorted_rows() == 0


@pytest.mark.parametrize("below_id", [None, document(MIDDLE), document(50)])
async def test_a_whole_list_is_read_batch_by_batch(full: str, below_id: str | None) -> None:
    place = Place(Position(None, below_id)) if below_id else None
    for kept in (
        kept_by(),
        kept_by(type="quote"),
        kept_by(status="paid"),
        kept_by(status="sent"),
        kept_by(status="overdue"),
        kept_by(type="invoice", status="overdue"),
        kept_by(client_id=CLIENT),
    ):
        await assert_flat(
            full,
            lambda c, kept=kept: streaming.select_batch(c, million.BIG, kept, place=place),
            rows_max=3_000,
        )


@pytest.mark.parametrize(
    ("sort", "value", "fields"),
    [
        ("-created_at", document(MIDDLE), {"currency": "USD", "status": "paid"}),
        ("-created_at", document(MIDDLE), {"min_total": Decimal(90_000)}),
        ("-created_at", document(MIDDLE), {"q": "common"}),
        ("total", Decimal(50_000), {}),
        ("-total", Decimal(50_000), {"status": "paid"}),
        ("due_date", million.TODAY, {"status": "overdue"}),
        ("-issued_date", million.TODAY, {"status": "sent"}),
        ("number", "INV-2025-500000", {"currency": "USD"}),
        ("-updated_at", datetime(2022, 3, 14, tzinfo=UTC), {"type": "quote"}),
    ],
    ids=str,
)
async def test_a_batch_of_a_long_list_looks_at_a_stretch_and_no_more(
    full: str, sort: str, value: Any, fields: dict[str, Any]
) -> None:
    kept, order = kept_by(**fields), ORDERS[sort]
    place = Place(Position(value, document(MIDDLE)))
    await assert_flat(
        full,
        lambda c: streaming.select_batch(c, million.BIG, kept, order=order, place=place),
        rows_max=2 * streaming.STRETCH + 4_000,
        sorted_max=streaming.STRETCH,
    )


async def test_a_statement_that_reads_everything_is_seen_to(full: str) -> None:
    (look,) = await looks_at(full, lambda c: c.fetchval("select sum(total) from api.documents"), MODES[0])
    assert look.whole_tables() == {"documents"}
    assert look.rows_read() >= million.DOCUMENTS
