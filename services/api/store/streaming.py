"""Lists in full, a batch of bounded bytes at a time, each from where the one before has ended.

Between two batches nothing is kept but a place. What a batch looks at is bounded too: in a list of which little is left
by its filter, some batches are empty.
"""

from collections.abc import Iterable, Iterator

import msgspec
from asyncpg import Record

from services.api.store.conditions import DocumentFilter, Piece, composed, condition_pieces
from services.api.store.listing import Shown, planned
from services.api.store.orders import NEWEST, Order, Position
from services.api.store.walks import (
    COUNTED,
    SHOWN,
    Step,
    is_merged,
    served,
    step_pieces,
    stretch_pieces,
    way_pieces,
)
from shared.postgres import Connection

BATCH_ROWS_MAX = 1_000
# A thousand ordinary documents; of the largest ones, two.
BATCH_BYTES_MAX = 1024 * 1024
# So many entries of an index a batch looks at, where there is more to be asked of each of them: some 50 ms.
STRETCH = 10_000
# Of lists that are no longer than this, no matter how many documents there are, so many are found at once: a megabyte.
FEW_MAX = 100_000
FOUND_MAX = 10_000

LIMITED = """\
select d.id, d.body, d.status, d.due_date, d.client, d.key, d.sum_bytes from (
    select d.id, d.body, d.status, d.due_date, d.client, d.key, d.own_bytes, sum(d.own_bytes) over ("""
LIMITED_FROM = "rows unbounded preceding) as sum_bytes from (select"
# A body that is not stored is going to be made of the lines and little else.
OWN_BYTES = "as client, coalesce(octet_length(d.body), octet_length(d.items::text)) as own_bytes,"
LIMIT = ") d) d where d.sum_bytes - d.own_bytes < ?::bigint"
DOWN, UP = "order by d.key desc, d.id desc", "order by d.key, d.id"


class Place(msgspec.Struct, frozen=True):
    """Behind which document of which of the order's segments; ``few`` is whether they are found ahead of being read.

    Then ``found`` are those that come next, up to the one that is named.
    """

    after: Position | None = None
    segment: int = 0
    few: bool = False
    found: tuple[str, ...] = ()


class Documents(msgspec.Struct, frozen=True):
    """``place`` is where the next batch begins, None when the list ends with this one."""

    found: list[Shown]
    place: Place | None


async def select_batch(
    connection: Connection,
    account_id: str,
    kept: DocumentFilter,
    *,
    order: Order = NEWEST,
    place: Place | None = None,
) -> Documents:
    """The next documents: as many as are allowed by number, and by bytes all but the last."""
    if is_plain(kept, order):
        return await _select_newest(connection, account_id, kept, place or Place())
    async with planned(connection):
        place = place or Place(few=await _are_few(connection, account_id, kept, order))
        if place.few:
            return await _select_few(connection, account_id, kept, order, place)
        return await _select_part(connection, account_id, kept, order, place)


def is_plain(kept: DocumentFilter, order: Order) -> bool:
    """Whether an index has all that is asked for in its order, and nothing else, whatever the values are."""
    return order is NEWEST and (kept.names() <= COUNTED or kept.names() <= served(kept, order))


def is_whole(kept: DocumentFilter, order: Order) -> bool:
    """Whether what is walked along the order is all shown."""
    return is_merged(kept, order) or kept.names() <= served(kept, order)


async def _are_few(connection: Connection, account_id: str, kept: DocumentFilter, order: Order) -> bool:
    """Whether they are better found by whichever index is best than looked for along the order."""
    if is_whole(kept, order):
        return False
    statement, values = composed(few_pieces(kept))
    return await connection.fetchval(statement, account_id, *values) <= FEW_MAX


async def _select_newest(
    connection: Connection, account_id: str, kept: DocumentFilter, place: Place
) -> Documents:
    statement, values = composed(newest_pieces(kept, place.after))
    rows = await connection.fetch(statement, account_id, *values)
    return Documents(_shown(rows), _behind(rows, place) if _is_cut(rows) else None)


async def _select_few(
    connection: Connection, account_id: str, kept: DocumentFilter, order: Order, place: Place
) -> Documents:
    """Those that were found and still are what is asked for."""
    place = place if place.found else await _select_found(connection, account_id, kept, order, place)
    named = msgspec.structs.replace(kept, ids=place.found[:BATCH_ROWS_MAX])
    statement, values = composed(few_part_pieces(named, order, place))
    rows = await connection.fetch(statement, account_id, *values)
    is_cut = bool(rows) and rows[-1][6] >= BATCH_BYTES_MAX
    read = place.found.index(rows[-1][0]) + 1 if is_cut else BATCH_ROWS_MAX
    left = msgspec.structs.replace(place, found=place.found[read:])
    return Documents(_shown(rows), left if left.found else _next(left, order))


async def _select_found(
    connection: Connection, account_id: str, kept: DocumentFilter, order: Order, place: Place
) -> Place:
    """The same place with what comes next, which is less than can be found at once only where a segment ends."""
    statement, values = composed(found_pieces(kept, order, place))
    rows = await connection.fetch(statement, account_id, *values)
    after = Position(rows[-1][0], rows[-1][1]) if len(rows) == FOUND_MAX else None
    return msgspec.structs.replace(place, found=tuple(row[1] for row in rows), after=after)


def _next(place: Place, order: Order) -> Place | None:
    if place.after is not None:
        return place
    return Place(segment=place.segment + 1, few=True) if place.segment + 1 < len(order.segments) else None


async def _select_part(
    connection: Connection, account_id: str, kept: DocumentFilter, order: Order, place: Place
) -> Documents:
    statement, values = composed(part_pieces(kept, order, place))
    rows = await connection.fetch(statement, account_id, *values)
    if _is_cut(rows):
        return Documents(_shown(rows), _behind(rows, place))
    end = None if is_whole(kept, order) else await _select_end(connection, account_id, kept, order, place)
    if end is None and place.segment + 1 < len(order.segments):
        return Documents(_shown(rows), Place(segment=place.segment + 1))
    return Documents(_shown(rows), end and msgspec.structs.replace(place, after=end))


async def _select_end(
    connection: Connection, account_id: str, kept: DocumentFilter, order: Order, place: Place
) -> Position | None:
    """Where the stretch that was looked at has ended, None when that was the segment's end."""
    statement, values = composed(end_pieces(kept, order, place))
    end = await connection.fetchrow(statement, account_id, *values)
    return Position(end[0], end[1]) if end is not None and end[2] == STRETCH else None


def _is_cut(rows: list[Record]) -> bool:
    """Whether there may be more where these come from."""
    return bool(rows) and (len(rows) == BATCH_ROWS_MAX or rows[-1][6] >= BATCH_BYTES_MAX)


def _behind(rows: list[Record], place: Place) -> Place:
    return msgspec.structs.replace(place, after=Position(rows[-1][5], rows[-1][0]))


def _shown(rows: list[Record]) -> list[Shown]:
    return [Shown(*row[:5]) for row in rows]


def newest_pieces(kept: DocumentFilter, after: Position | None) -> Iterator[Piece]:
    if is_merged(kept, NEWEST):
        found = step_pieces(kept, _step(NEWEST, Place(after)), "merged")
        yield from _limited("page.key", found, DOWN)
        return
    found = _newest(kept, after)
    yield from _limited("d.id as key from api.documents d where d.account_id = $1", found, DOWN)


def part_pieces(kept: DocumentFilter, order: Order, place: Place) -> Iterator[Piece]:
    step = _step(order, place)
    if is_whole(kept, order):
        found = step_pieces(kept, step, "merged" if is_merged(kept, order) else "direct")
    else:
        found = _walked(kept, step)
    yield from _limited("page.key", found, DOWN if order.descending else UP)


def few_pieces(kept: DocumentFilter) -> Iterator[Piece]:
    """How many there are, and no more than one beyond few."""
    yield "select count(*) from (select d.id from api.documents d where d.account_id = $1", ()
    yield from condition_pieces(kept)
    yield "limit ?::bigint) n", (FEW_MAX + 1,)


def found_pieces(kept: DocumentFilter, order: Order, place: Place) -> Iterator[Piece]:
    """What comes next, of an order's segment."""
    step = msgspec.structs.replace(_step(order, place), limit=FOUND_MAX)
    yield "select page.key, page.id from (select", ()
    yield from way_pieces(kept, step, "matched")


def few_part_pieces(kept: DocumentFilter, order: Order, place: Place) -> Iterator[Piece]:
    """The documents that are named."""
    step = msgspec.structs.replace(_step(order, place), after=None)
    yield from _limited("page.key", step_pieces(kept, step, "matched"), DOWN if order.descending else UP)


def end_pieces(kept: DocumentFilter, order: Order, place: Place) -> Iterator[Piece]:
    step = _step(order, place)
    segment = step.segment
    yield "select", ()
    yield segment.key, ()
    yield "as key, d.id, count(*) over () as looked_at", ()
    yield from stretch_pieces(kept, step, STRETCH)
    yield segment.up if order.descending else segment.down, ()
    yield "limit 1", ()


def _limited(key: str, found: Iterable[Piece], sorting: str) -> Iterator[Piece]:
    yield LIMITED, ()
    yield sorting, ()
    yield LIMITED_FROM, ()
    yield SHOWN, ()
    yield OWN_BYTES, ()
    yield key, ()
    yield from found
    yield LIMIT, (BATCH_BYTES_MAX,)
    yield sorting, ()


def _newest(kept: DocumentFilter, after: Position | None) -> Iterator[Piece]:
    yield from condition_pieces(kept)
    if after is not None:
        yield "and d.id < ?::text", (after.id,)
    yield "order by d.id desc limit ?::bigint", (BATCH_ROWS_MAX,)


def _walked(kept: DocumentFilter, step: Step) -> Iterator[Piece]:
    """What of the stretch passes the filter."""
    yield "from (select", ()
    yield step.segment.shown, ()
    yield from stretch_pieces(kept, step, STRETCH)
    yield from condition_pieces(kept, kept.names() - served(kept, step.order))
    yield step.sorting, ()
    yield "limit ?::bigint) page join api.documents d on d.account_id = $1 and d.id = page.id", (step.limit,)


def _step(order: Order, place: Place) -> Step:
    return Step(
        order=order,
        segment=order.segments[place.segment],
        descending=order.descending,
        after=place.after,
        limit=BATCH_ROWS_MAX,
        offset=0,
    )
