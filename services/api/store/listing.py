"""Lists of documents: a page with its total, walked in an index, put together from this package's literals.

What a filter does not name leaves no trace in the statement, so that each combination has the plan that it needs.
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import date
from itertools import chain
from typing import Any

import msgspec
from asyncpg.transaction import Transaction

from services.api.domain.export import Choice
from services.api.store.conditions import DocumentFilter, Piece, composed, condition_pieces
from services.api.store.orders import NEWEST, Order, Position
from services.api.store.walks import (
    COUNTED,
    LISTED,
    SHALLOW_MAX,
    Step,
    lapsed_and_passed_pieces,
    step_pieces,
    ways,
)
from shared.postgres import Connection

__all__ = [
    "TOTAL_MAX",
    "DocumentFilter",
    "Page",
    "Piece",
    "Shown",
    "Span",
    "composed",
    "condition_pieces",
    "page_pieces",
    "select_choices",
    "select_page",
    "total_pieces",
]

# Of any other filter, so many are counted.
TOTAL_MAX = 10_000
# Where there are more documents, what a search has found is not counted if it fills the page at once: the postings of
# a word that many of them hold take longer to read than all the rest.
SEARCH_COUNTED_MAX = 100_000
COUNT = "(select coalesce(sum(n.amount), 0)::bigint from api.document_counts n where n.account_id = $1"
COUNT_DUE = """\
(select coalesce(sum(n.amount), 0)::bigint from api.due_counts n where n.account_id = $1 and n.due_date < ?::date"""
COUNT_FOUND = "select count(*) from ("
# For the rest of a transaction no table is read whole and no walk is sorted.
WALKED = """\
set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true), set_config('jit', 'off', true),
    set_config('max_parallel_workers_per_gather', '0', true)"""
# So long each statement is planned for its values, or once for any.
PLANNED_BY_VALUES = f"set_config('plan_cache_mode', 'force_custom_plan', true), {WALKED}"
PLANNED_ONCE = f"set_config('plan_cache_mode', 'force_generic_plan', true), {WALKED}"


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the documents a page shows, in which order; ``after`` is where a cursor stands."""

    limit: int
    offset: int
    order: Order = NEWEST
    after: Position | None = None


class Shown(msgspec.Struct, frozen=True):
    """What an answer is made of: the body as stored, if it is and was not too large to be read, and what it lacks.

    ``status`` is as stored; ``client`` is JSON, of a draft only; ``key`` is what the list is sorted by.
    """

    id: str
    body: str | None
    status: str
    due_date: date | None
    client: str | None
    key: Any = None


class Page(msgspec.Struct, frozen=True):
    """``total`` is how many documents the whole list has, None where only ``least`` is known of it."""

    total: int | None
    least: int
    rows: list[Shown]


async def select_page(connection: Connection, account_id: str, kept: DocumentFilter, span: Span) -> Page:
    if kept.names() <= COUNTED and span.order is NEWEST and span.offset <= SHALLOW_MAX:
        return await _select_newest(connection, account_id, kept, span)
    async with _one_state(connection):
        searched = kept.q is not None and span.offset <= SHALLOW_MAX
        rows = await _select_searched(connection, account_id, kept, span) if searched else []
        if len(rows) >= span.limit:
            return Page(None, span.offset + len(rows), rows)
        await plan_by_values(connection)
        total = await select_total(connection, account_id, kept)
        rows = await _select_span(connection, account_id, kept, span, total)
        return Page(total, TOTAL_MAX if total is None else total, rows)


async def select_total(connection: Connection, account_id: str, kept: DocumentFilter) -> int | None:
    """Exact, or None where it is beyond what is counted."""
    pieces = [("select", ()), *total_pieces(kept)] if kept.names() <= COUNTED else [*found_pieces(kept)]
    statement, values = composed(pieces)
    total = await connection.fetchval(statement, account_id, *values)
    return total if kept.names() <= COUNTED or total <= TOTAL_MAX else None


async def select_choices(
    connection: Connection, account_id: str, kept: DocumentFilter, *, limit: int
) -> list[Choice]:
    """In no order, so that the filter alone has a say in which index is walked; inside a transaction."""
    statement, values = composed(choice_pieces(kept, limit))
    await plan_by_values(connection)
    return [Choice(*row) for row in await connection.fetch(statement, account_id, *values)]


def page_pieces(kept: DocumentFilter, span: Span) -> Iterator[Piece]:
    """A page of the newest with its exact total, of a list that is counted."""
    yield "select", ()
    yield from total_pieces(kept)
    yield f", {LISTED}", ()
    if not span.offset and kept.status not in ("sent", "overdue"):
        yield "from api.documents d where d.account_id = $1", ()
        yield from condition_pieces(kept)
        if span.after is not None:
            yield "and d.id < ?::text", (span.after.id,)
        yield "order by d.id desc limit ?::bigint", (span.limit,)
        return
    yield from step_pieces(kept, _first_step(span), "merged" if kept.status == "overdue" else "direct")


def total_pieces(kept: DocumentFilter) -> Iterator[Piece]:
    """What is overdue is counted by the day that it was due; what else is sent is the rest."""
    of_type = [] if kept.type is None else [("and n.type = ?::text", (kept.type,))]
    due = [(COUNT_DUE, (kept.today,)), *of_type, (")", ())]
    if kept.status == "overdue":
        yield from due
        return
    yield COUNT, ()
    yield from of_type
    if kept.status is not None:
        yield "and n.status = ?::text", (kept.status,)
    yield ")", ()
    if kept.status == "sent":
        yield "-", ()
        yield from due


def found_pieces(kept: DocumentFilter) -> Iterator[Piece]:
    """How many there are, and no more than one beyond what is counted."""
    yield COUNT_FOUND, ()
    if kept.status == "overdue":
        yield from lapsed_and_passed_pieces(kept)
    else:
        yield "select d.id from api.documents d where d.account_id = $1", ()
        yield from condition_pieces(kept)
    yield "limit ?::bigint) n", (TOTAL_MAX + 1,)


def choice_pieces(kept: DocumentFilter, limit: int) -> Iterator[Piece]:
    yield "select d.id, d.number from api.documents d where d.account_id = $1", ()
    yield from condition_pieces(kept)
    yield "limit ?::bigint", (limit,)


async def _select_newest(connection: Connection, account_id: str, kept: DocumentFilter, span: Span) -> Page:
    statement, values = composed(page_pieces(kept, span))
    rows = await connection.fetch(statement, account_id, *values)
    total = rows[0][0] if rows else await select_total(connection, account_id, kept) or 0
    return Page(total, total, [Shown(*row[1:]) for row in rows])


async def _select_searched(
    connection: Connection, account_id: str, kept: DocumentFilter, span: Span
) -> list[Shown]:
    """What the search finds at a glance, of a list so long that it may be left uncounted.

    The glance is the same for any words, and would be planned for longer than it lasts.
    """
    everything = total_pieces(DocumentFilter(today=kept.today))
    statement, values = composed([("select", ()), *everything, (f", {PLANNED_ONCE}", ())])
    if await connection.fetchval(statement, account_id, *values) <= SEARCH_COUNTED_MAX:
        return []
    return await _select_step(connection, account_id, kept, _first_step(span), "glanced")


def _first_step(span: Span) -> Step:
    return Step(
        order=span.order,
        segment=span.order.starts(span.after)[0],
        descending=span.order.descending,
        after=span.after,
        limit=span.limit,
        offset=span.offset,
    )


async def _select_span(
    connection: Connection, account_id: str, kept: DocumentFilter, span: Span, total: int | None
) -> list[Shown]:
    """From the other end where that is nearer."""
    if span.after is None and total is not None and span.offset >= total:
        return []
    if span.after is not None or total is None or span.offset <= total / 2:
        return await _select_walk(connection, account_id, kept, span, total, backwards=False)
    limit = min(span.limit, total - span.offset)
    mirrored = msgspec.structs.replace(span, limit=limit, offset=total - span.offset - limit)
    return (await _select_walk(connection, account_id, kept, mirrored, total, backwards=True))[::-1]


async def _select_walk(
    connection: Connection,
    account_id: str,
    kept: DocumentFilter,
    span: Span,
    total: int | None,
    *,
    backwards: bool,
) -> list[Shown]:
    rows: list[Shown] = []
    after, offset = span.after, span.offset
    segments = span.order.starts(after)
    for segment in segments[::-1] if backwards else segments:
        step = Step(
            order=span.order,
            segment=segment,
            descending=span.order.descending != backwards,
            after=after,
            limit=span.limit - len(rows),
            offset=offset,
        )
        found = await _select_first(connection, account_id, kept, step, total)
        rows += found
        if len(rows) >= span.limit or segment is segments[0 if backwards else -1]:
            break
        offset = 0 if found or not offset else offset - await _count(connection, account_id, kept, step)
        after = None
    return rows


async def _select_first(
    connection: Connection, account_id: str, kept: DocumentFilter, step: Step, total: int | None
) -> list[Shown]:
    """By the first way that leads as far as it should: what falls short is walked again by the next."""
    rows: list[Shown] = []
    for way in ways(kept, step, total):
        rows = await _select_step(connection, account_id, kept, step, way)
        if len(rows) >= step.limit:
            break
    return rows


async def _select_step(
    connection: Connection, account_id: str, kept: DocumentFilter, step: Step, way: str
) -> list[Shown]:
    statement, values = composed([(f"select {LISTED}, page.key", ()), *step_pieces(kept, step, way)])
    return [Shown(*row) for row in await connection.fetch(statement, account_id, *values)]


async def _count(connection: Connection, account_id: str, kept: DocumentFilter, step: Step) -> int:
    """How many the segment has in all, which are fewer than were to be skipped."""
    counted = chain(
        [("select count(*) from api.documents d where d.account_id = $1", ())],
        condition_pieces(kept),
        [(step.segment.where, ())],
    )
    statement, values = composed(counted)
    return await connection.fetchval(statement, account_id, *values)


@asynccontextmanager
async def planned(connection: Connection) -> AsyncGenerator[None]:
    """One state of the database for all statements, each planned for its values."""
    async with _one_state(connection):
        await plan_by_values(connection)
        yield


def _one_state(connection: Connection) -> Transaction:
    return connection.transaction(isolation="repeatable_read", readonly=True)


async def plan_by_values(connection: Connection) -> None:
    await connection.execute(f"select {PLANNED_BY_VALUES}")
