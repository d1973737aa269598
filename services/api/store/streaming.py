"""Lists in full, a batch of bounded bytes at a time, each from where the one before has ended.

Between two batches nothing is kept but a place. What a batch looks at is bounded too: in a list of which little is left
by its filter, some batches are empty.
"""

from collections.abc import Iterable, Iterator

import msgspec
from asyncpg import Record

from services.api.store.conditions import DocumentFilter, Piece, composed, condition_pieces
from services.api.store.listing import TOTAL_MAX, Shown, planned, select_total
from services.api.store.orders import NEWEST, Order, Position
from services.api.store.walks import COUNTED, FENCED, SHOWN, Step, bounds, served, step_pieces
from shared.postgres import Connection

BATCH_ROWS_MAX = 1_000
# A thousand ordinary documents; of the largest ones, two.
BATCH_BYTES_MAX = 1024 * 1024
# So many entries of an index a batch looks at, where there is more to be asked of each of them: some 50 ms.
STRETCH = 10_000

LIMITED = """\
select d.id, d.body, d.status, d.due_date, d.client, d.key, d.sum_bytes from (
    select d.id, d.body, d.status, d.due_date, d.client, d.key, d.own_bytes, sum(d.own_bytes) over ("""
LIMITED_FROM = "rows unbounded preceding) as sum_bytes from (select"
# A body that is not stored is going to be made of the lines and little else.
OWN_BYTES = "as client, coalesce(octet_length(d.body), octet_length(d.items::text)) as own_bytes,"
LIMIT = ") d) d where d.sum_bytes - d.own_bytes < ?::bigint"
DOWN, UP = "order by d.key desc, d.id desc", "order by d.key, d.id"


class Place(msgspec.Struct, frozen=True):
    """Behind which document of which of the order's segments; ``few`` is whether what is found is no long list."""

    after: Position | None = None
    segment: int = 0
    few: bool = False


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
        return await _select_part(connection, account_id, kept, order, place)


def is_plain(kept: DocumentFilter, order: Order) -> bool:
    """Whether an index has all that is asked for in its order, and nothing else, whatever the values are."""
    return order is NEWEST and (kept.names() <= COUNTED or kept.names() <= served(kept, order))


async def _are_few(connection: Connection, account_id: str, kept: DocumentFilter, order: Order) -> bool:
    """Whether they are better all found and sorted for each batch than looked for along the order."""
    if kept.names() <= served(kept, order):
        return False
    total = await select_total(connection, account_id, kept)
    return total is not None and total <= TOTAL_MAX


async def _select_newest(
    connection: Connection, account_id: str, kept: DocumentFilter, place: Place
) -> Documents:
    statement, values = composed(newest_pieces(kept, place.after))
    rows = await connection.fetch(statement, account_id, *values)
    return Documents(_shown(rows), _behind(rows, place) if _is_cut(rows) else None)


async def _select_part(
    connection: Connection, account_id: str, kept: DocumentFilter, order: Order, place: Place
) -> Documents:
    statement, values = composed(part_pieces(kept, order, place))
    rows = await connection.fetch(statement, account_id, *values)
    if _is_cut(rows):
        return Documents(_shown(rows), _behind(rows, place))
    end = None if place.few else await _select_end(connection, account_id, kept, order, place)
    if end is None and place.segment + 1 < len(order.segments):
        return Documents(_shown(rows), Place(segment=place.segment + 1, few=place.few))
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
    found = _newest(kept, after)
    yield from _limited("d.id as key from api.documents d where d.account_id = $1", found, DOWN)


def part_pieces(kept: DocumentFilter, order: Order, place: Place) -> Iterator[Piece]:
    step = _step(order, place)
    found = step_pieces(kept, step, "matched") if place.few else _walked(kept, step)
    yield from _limited("page.key", found, DOWN if order.descending else UP)


def end_pieces(kept: DocumentFilter, order: Order, place: Place) -> Iterator[Piece]:
    step = _step(order, place)
    segment = step.segment
    yield "select", ()
    yield segment.key, ()
    yield "as key, d.id, count(*) over () as looked_at", ()
    yield from _stretch(kept, step)
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
    yield from _stretch(kept, step)
    yield from condition_pieces(kept, kept.names() - served(kept, step.order))
    yield step.sorting, ()
    yield "limit ?::bigint) page join api.documents d on d.account_id = $1", (step.limit,)
    yield step.segment.joined, ()


def _stretch(kept: DocumentFilter, step: Step) -> Iterator[Piece]:
    """The next entries of the index that has the order."""
    yield FENCED, ()
    yield from condition_pieces(kept, served(kept, step.order))
    yield from bounds(kept, step)
    yield step.sorting, ()
    yield "limit ?::bigint) d where true", (STRETCH,)


def _step(order: Order, place: Place) -> Step:
    return Step(
        order=order,
        segment=order.segments[place.segment],
        descending=order.descending,
        after=place.after,
        limit=BATCH_ROWS_MAX,
        offset=0,
    )
