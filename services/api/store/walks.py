"""The ways in which a page of documents is found, as pieces of statements.

- direct: in the order's own index, which serves all that the filter asks for
- merged: what is overdue, in the index of what has lapsed and beside it in that of the days since then
- fenced: by one of these, past what the rest of the filter refuses, and no further than some thousand entries
- matched: all that the filter finds, by whichever index is the best for that, and the first of these
"""

from collections.abc import Iterator

import msgspec

from services.api.store.conditions import DocumentFilter, Piece, condition_pieces
from services.api.store.orders import Order, Position, Segment, values_at

_STATUS_AND_CLIENT = """\
d.status, d.due_date, case when d.status = 'draft' then coalesce(
    (select c.profile from api.clients c where c.account_id = d.account_id and c.id = d.client_id), d.client
) end"""
# What an answer is made of; see Shown.
SHOWN = f"d.id, d.body, {_STATUS_AND_CLIENT}"
# The same of a page, without bodies of which a hundred would be too much to be read at once.
LISTED = f"d.id, case when octet_length(d.body) <= 16384 then d.body end, {_STATUS_AND_CLIENT}"
# The filters whose documents are counted as they are written.
COUNTED = frozenset({"type", "status"})
# So many are sorted without a walk before.
FEW = 2_000
# So many are skipped in a bounded walk, which is of so many entries.
SHALLOW_MAX = 1_000
FENCE_MAX = 4_000
# So many are enough to see whether a word is in most documents; for any other they are looked at in vain.
GLANCE_MAX = 250
# Filters that find a few documents at most.
RARE = frozenset({"ids", "number", "external_id"})

FENCED = """\
from (
    select d.id, d.type, d.status, d.lapsed, d.client_id, d.currency, d.issued_date, d.due_date, d.total, d.updated_at,
        d.number, d.external_id, d.search"""
FENCED_FROM = "from api.documents d where d.account_id = $1"
FENCE = "limit ?::bigint) d where true"
# The words are made out once, and not for each entry, whatever a plan knows of them.
FOUND_ONCE = "and d.search @@ (select api.search_query($1, ?::text))"
LAPSED = """\
select d.id, d.due_date from api.documents d where d.account_id = $1 and d.status = 'sent' and d.lapsed"""
PASSED = """\
select d.id, d.due_date from api.documents d
where d.account_id = $1 and d.status = 'sent' and not d.lapsed and d.due_date < ?::date"""
# Few, since folding marks what has lapsed; each of them is walked from where the order begins.
PASSED_DAYS = """\
with recursive days as (
    (select d.due_date from api.documents d
    where d.account_id = $1 and d.status = 'sent' and not d.lapsed and d.due_date < ?::date
    order by d.due_date desc limit 1)
    union all
    select (
        select d.due_date from api.documents d where d.account_id = $1 and d.status = 'sent' and not d.lapsed
            and d.due_date < days.due_date order by d.due_date desc limit 1
    ) from days where days.due_date is not null
)
select day.id, day.due_date from days cross join lateral (
    select d.id, d.due_date from api.documents d
    where d.account_id = $1 and d.status = 'sent' and not d.lapsed and d.due_date = days.due_date"""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a walk, within one segment of the order."""

    order: Order
    segment: Segment
    descending: bool
    after: Position | None
    limit: int
    offset: int

    @property
    def sorting(self) -> str:
        return self.segment.down if self.descending else self.segment.up


def ways(kept: DocumentFilter, step: Step, total: int | None) -> tuple[str, ...]:
    """Which way to try, and which one when that leads to less than was asked for."""
    names = kept.names()
    if is_merged(kept, step.order):
        return ("merged",)
    if names <= served(kept, step.order):
        return ("direct",)
    if names & RARE or (total is not None and total <= FEW) or step.offset > SHALLOW_MAX:
        return ("matched",)
    return "fenced", "matched"


def is_merged(kept: DocumentFilter, order: Order) -> bool:
    """Whether the list is of what is overdue alone, in an order that is walked on both sides of a sweep."""
    by_id = order.segments[0].key == "d.id"
    by_due_date = order.segments[0].key == "d.due_date"
    return kept.status == "overdue" and (
        (by_id and kept.names() <= COUNTED) or (by_due_date and kept.names() <= order.within | {"status"})
    )


def served(kept: DocumentFilter, order: Order) -> frozenset[str]:
    """The filters that an index has in front of the order, so that what it holds is all that is asked for."""
    names = kept.names()
    if order.segments[0].key != "d.id":
        by_due = order.segments[0].key == "d.due_date" and kept.status == "sent"
        return names & (order.within | {"status"} if by_due else order.within)
    if "client_id" in names:
        return frozenset({"client_id"})
    if "currency" in names and kept.status != "overdue":
        return frozenset({"currency"})
    return names & COUNTED


def step_pieces(kept: DocumentFilter, step: Step, way: str) -> Iterator[Piece]:
    """Skipped documents are counted in an index, and only those that are shown are read."""
    yield "from (select", ()
    yield from way_pieces(kept, step, way)
    yield "join api.documents d on d.account_id = $1 and d.id = page.id", ()
    yield "order by page.key desc, d.id desc" if step.descending else "order by page.key, d.id", ()


def way_pieces(kept: DocumentFilter, step: Step, way: str) -> Iterator[Piece]:
    """The keys and ids of a page, which begins in front of this."""
    yield step.segment.shown, ()
    yield from _WAYS[way](kept, step)
    yield step.sorting, ()
    yield "limit ?::bigint offset ?::bigint) page", (step.limit, step.offset)


def _direct(kept: DocumentFilter, step: Step) -> Iterator[Piece]:
    yield "from api.documents d where d.account_id = $1", ()
    yield from condition_pieces(kept)
    yield from bounds(kept, step)


def _merged(kept: DocumentFilter, step: Step) -> Iterator[Piece]:
    """Each side gives what the page could need of it."""
    first = step.limit + step.offset
    by_id = step.segment.key == "d.id"
    yield "from ((", ()
    yield LAPSED, ()
    yield from _side(kept, step, first)
    yield ") union all (", ()
    yield PASSED_DAYS if by_id else PASSED, (kept.today,)
    yield from _side(kept, step, first)
    yield ") day)) d" if by_id else ")) d", ()


def _side(kept: DocumentFilter, step: Step, first: int) -> Iterator[Piece]:
    yield from condition_pieces(kept, served(kept, step.order) - {"status"})
    yield from bounds(kept, step)
    yield step.sorting, ()
    yield "limit ?::bigint", (first,)


def _fenced(kept: DocumentFilter, step: Step) -> Iterator[Piece]:
    yield from stretch_pieces(kept, step, FENCE_MAX)
    yield from condition_pieces(kept, kept.names() - served(kept, step.order))


def _glanced(kept: DocumentFilter, step: Step) -> Iterator[Piece]:
    yield from stretch_pieces(kept, step, GLANCE_MAX + step.offset)
    yield from condition_pieces(kept, kept.names() - served(kept, step.order) - {"q"})
    yield FOUND_ONCE, (kept.q,)


def stretch_pieces(kept: DocumentFilter, step: Step, entries: int) -> Iterator[Piece]:
    """The next of the entries that have the order, of those that the rest of the filter is still to be asked of."""
    within = served(kept, step.order)
    yield FENCED, ()
    if kept.status == "overdue" and "status" in within:
        yield "from (select d.id", ()
        yield from _merged(kept, msgspec.structs.replace(step, limit=entries, offset=0))
        yield step.sorting, ()
        yield "limit ?::bigint) page join api.documents d on d.account_id = $1 and d.id = page.id", (entries,)
    else:
        yield FENCED_FROM, ()
        yield from condition_pieces(kept, within)
        yield from bounds(kept, step)
    yield step.sorting, ()
    yield FENCE, (entries,)


def _matched(kept: DocumentFilter, step: Step) -> Iterator[Piece]:
    """The offset keeps the order, which comes after it, from having a say in which index is walked."""
    yield "from (select d.id" if step.segment.key == "d.id" else "from (select d.id,", ()
    if step.segment.key != "d.id":
        yield step.segment.key, ()
    yield from _direct(kept, step)
    yield "offset 0) d", ()


_WAYS = {
    "direct": _direct,
    "merged": _merged,
    "fenced": _fenced,
    "glanced": _glanced,
    "matched": _matched,
}


def lapsed_and_passed_pieces(kept: DocumentFilter) -> Iterator[Piece]:
    """All that is overdue and found, in no order, and past nothing that is not due yet."""
    rest = kept.names() - {"status"}
    yield LAPSED, ()
    yield from condition_pieces(kept, rest)
    yield f"union all {PASSED}", (kept.today,)
    yield from condition_pieces(kept, rest)


def bounds(kept: DocumentFilter, step: Step) -> Iterator[Piece]:
    if step.segment.where:
        yield step.segment.where, ()
        if step.segment.where == "and d.due_date is not null" and kept.status == "sent":
            yield "and d.due_date >= ?::date", (kept.today,)
    yield from _after(step)


def _after(step: Step) -> Iterator[Piece]:
    if step.after is not None:
        stands = step.segment.below if step.descending else step.segment.above
        yield stands, values_at(step.segment, step.after)
