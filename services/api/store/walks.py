"""The ways in which a page of documents is found, as pieces of statements.

- direct: in the order's own index, which serves all that the filter asks for
- fenced: in the order's own index, past what the rest of the filter refuses, and no further than some thousand entries
- merged: of what is sent, the first of each due day
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
# So many are skipped in a bounded walk, and so many among the first of each due day.
SHALLOW_MAX = 1_000
MERGED_MAX = 50
# Statuses of which only time knows which documents are in them.
DUE_STATUSES = ("sent", "overdue")
# Filters that find a few documents at most.
RARE = frozenset({"ids", "number", "external_id"})

FENCED = """\
from (
    select d.id, d.type, d.status, d.client_id, d.currency, d.issued_date, d.due_date, d.total, d.updated_at,
        d.number, d.external_id, d.search
    from api.documents d where d.account_id = $1"""
FENCED_SENT = "from (select d.id, d.due_date, d.status from api.documents d where d.account_id = $1"
FENCE = "limit 4000) d where true"
OVERDUE_DAYS = """\
from (
    with recursive days as (
        (select d.due_date from api.documents d where d.account_id = $1 and d.status = 'sent' and d.due_date < ?::date
        order by d.due_date desc limit 1)
        union all
        select (
            select d.due_date from api.documents d where d.account_id = $1 and d.status = 'sent'
                and d.due_date < days.due_date order by d.due_date desc limit 1
        ) from days where days.due_date is not null
    )
    select day.id from (select days.due_date from days cross join lateral ("""
SENT_DAYS = """\
from (
    with recursive days as (
        (select d.due_date from api.documents d where d.account_id = $1 and d.status = 'sent' and d.due_date >= ?::date
        order by d.due_date limit 1)
        union all
        select (
            select d.due_date from api.documents d where d.account_id = $1 and d.status = 'sent'
                and d.due_date > days.due_date order by d.due_date limit 1
        ) from days where days.due_date is not null
    )
    select day.id from (select days.due_date from days cross join lateral ("""
OF_DAY = """\
select d.id from api.documents d where d.account_id = $1 and d.status = 'sent' and d.due_date = days.due_date"""
OF_NO_DAY = """\
select d.id from api.documents d where d.account_id = $1 and d.status = 'sent' and d.due_date is null"""


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
    if names <= served(kept, step.order):
        return ("direct",)
    if names <= COUNTED and step.segment.key == "d.id" and not step.segment.where:
        return ("fenced", "merged") if step.offset <= MERGED_MAX else ("direct",)
    if names & RARE or (total is not None and total <= FEW) or step.offset > SHALLOW_MAX:
        return ("matched",)
    return "fenced", "matched"


def step_pieces(kept: DocumentFilter, step: Step, way: str) -> Iterator[Piece]:
    """Skipped documents are counted in an index, and only those that are shown are read."""
    yield "from (select", ()
    yield step.segment.shown, ()
    yield from _WAYS[way](kept, step)
    yield step.sorting, ()
    yield (
        "limit ?::bigint offset ?::bigint) page join api.documents d on d.account_id = $1",
        (step.limit, step.offset),
    )
    yield step.segment.joined, ()
    yield "order by page.key desc, d.id desc" if step.descending else "order by page.key, d.id", ()


def _direct(kept: DocumentFilter, step: Step) -> Iterator[Piece]:
    yield "from api.documents d where d.account_id = $1", ()
    yield from condition_pieces(kept)
    yield from bounds(kept, step)


def _fenced(kept: DocumentFilter, step: Step) -> Iterator[Piece]:
    within = served(kept, step.order)
    by_id = step.segment.key == "d.id"
    sent_alone = kept.names() <= COUNTED and by_id
    yield FENCED_SENT if sent_alone else FENCED, ()
    yield from condition_pieces(kept, within)
    if by_id and kept.status in DUE_STATUSES and not within & {"client_id", "currency"}:
        yield "and d.status = 'sent'", ()
    yield from bounds(kept, step)
    yield step.sorting, ()
    yield FENCE, ()
    yield from condition_pieces(kept, kept.names() - within)


def _matched(kept: DocumentFilter, step: Step) -> Iterator[Piece]:
    """The offset keeps the order, which comes after it, from having a say in which index is walked."""
    yield "from (select d.id" if step.segment.key == "d.id" else "from (select d.id,", ()
    if step.segment.key != "d.id":
        yield step.segment.key, ()
    yield from _direct(kept, step)
    yield "offset 0) d", ()


def _merged(kept: DocumentFilter, step: Step) -> Iterator[Piece]:
    """Of the days whose first document comes first, which no document of another day can come before."""
    first = (step.limit + step.offset,)
    yield OVERDUE_DAYS if kept.status == "overdue" else SENT_DAYS, (kept.today,)
    yield from _of_day(kept, step, OF_DAY)
    yield step.sorting, ()
    yield (
        "limit 1) best order by best.id desc limit"
        if step.descending
        else "limit 1) best order by best.id limit",
        (),
    )
    yield "?::bigint) days cross join lateral (", first
    yield from _of_day(kept, step, OF_DAY)
    yield step.sorting, ()
    yield "limit ?::bigint) day", first
    if kept.status != "overdue":
        yield "union all (", ()
        yield from _of_day(kept, step, OF_NO_DAY)
        yield "order by d.due_date desc, d.id desc" if step.descending else "order by d.due_date, d.id", ()
        yield "limit ?::bigint)", first
    yield ") d", ()


def _of_day(kept: DocumentFilter, step: Step, which: str) -> Iterator[Piece]:
    yield which, ()
    yield from condition_pieces(kept, kept.names() - {"status"})
    yield from _after(step)


_WAYS = {"direct": _direct, "fenced": _fenced, "matched": _matched, "merged": _merged}


def served(kept: DocumentFilter, order: Order) -> frozenset[str]:
    """The filters that an index has in front of the order, so that what it holds is all that is asked for."""
    names = kept.names()
    if order.segments[0].key != "d.id":
        by_due = order.segments[0].key == "d.due_date" and kept.status in DUE_STATUSES
        return names & (order.within | {"status"} if by_due else order.within)
    for alone in ("client_id", "currency"):
        if alone in names:
            return frozenset({alone})
    return names & ({"type"} if kept.status in DUE_STATUSES else {"type", "status"})


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
