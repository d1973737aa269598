"""Lists of documents, a page with its exact total in one statement, put together from this file's literals.

What a filter does not name leaves no trace in the statement, so that each combination has the plan that it needs.
"""

from collections.abc import Iterator
from datetime import date
from functools import cache
from itertools import chain, count
from typing import Any

import msgspec

from services.api.domain.export import Choice
from shared.postgres import Connection


class DocumentFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a list shows; ``today`` decides which sent documents are overdue."""

    type: str | None
    status: str | None
    today: date


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the documents a page shows, newest first; ``below_id`` is where a cursor stands."""

    below_id: str | None
    limit: int
    offset: int


class Shown(msgspec.Struct, frozen=True):
    """What an answer is made of: the body as stored, if it is, and what it lacks.

    ``status`` is as stored; ``client`` is JSON, of a draft only.
    """

    id: str
    body: str | None
    status: str
    due_date: date | None
    client: str | None


# A piece of a statement, and the values for its question marks.
Piece = tuple[str, tuple[Any, ...]]

SHOWN = """\
d.id, d.body, d.status, d.due_date, case when d.status = 'draft' then coalesce(
    (select c.profile from api.clients c where c.account_id = d.account_id and c.id = d.client_id), d.client
) end"""
NEWEST = "order by d.id desc limit ?::bigint offset ?::bigint"
# What a list's statement asks of a document in each status; the question mark is today.
STATUS_IS = {
    "draft": "and d.status = 'draft'",
    "sent": "and d.status = 'sent' and (d.due_date is null or d.due_date >= ?::date)",
    "overdue": "and d.status = 'sent' and d.due_date < ?::date",
    "paid": "and d.status = 'paid'",
    "cancelled": "and d.status = 'cancelled'",
}
COUNT = "(select coalesce(sum(n.amount), 0)::bigint from api.document_counts n where n.account_id = $1"
COUNT_DUE = """\
(select coalesce(sum(n.amount), 0)::bigint from api.due_counts n where n.account_id = $1 and n.due_date < ?::date"""


async def select_page(
    connection: Connection, account_id: str, kept: DocumentFilter, span: Span
) -> tuple[int, list[Shown]]:
    """How many documents the whole list has, and those of the span."""
    statement, values = composed(page_pieces(kept, span))
    rows = await connection.fetch(statement, account_id, *values)
    if rows:
        return rows[0][0], [Shown(*row[1:]) for row in rows]
    statement, values = composed([("select", ()), *total_pieces(kept)])
    return await connection.fetchval(statement, account_id, *values), []


async def select_choices(
    connection: Connection, account_id: str, kept: DocumentFilter, *, limit: int
) -> list[Choice]:
    """Newest first."""
    statement, values = composed(
        [
            ("select d.id, d.number from api.documents d where d.account_id = $1", ()),
            *condition_pieces(kept),
            ("order by d.id desc limit ?::bigint", (limit,)),
        ]
    )
    return [Choice(*row) for row in await connection.fetch(statement, account_id, *values)]


def page_pieces(kept: DocumentFilter, span: Span) -> Iterator[Piece]:
    """Skipped documents are counted in an index, and only those that are shown are read."""
    yield "select", ()
    yield from total_pieces(kept)
    found = chain(
        [("from api.documents d where d.account_id = $1", ())],
        condition_pieces(kept),
        [("and d.id < ?::text", (span.below_id,))] if span.below_id else [],
        [(NEWEST, (span.limit, span.offset))],
    )
    yield f", {SHOWN}", ()
    if not span.offset:
        yield from found
        return
    yield "from (select d.id", ()
    yield from found
    yield ") page join api.documents d on d.account_id = $1 and d.id = page.id order by d.id desc", ()


def condition_pieces(kept: DocumentFilter) -> Iterator[Piece]:
    if kept.type is not None:
        yield "and d.type = ?::text", (kept.type,)
    if kept.status is not None:
        condition = STATUS_IS[kept.status]
        yield condition, (kept.today,) * condition.count("?")


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


def composed(pieces: Iterator[Piece] | list[Piece]) -> tuple[str, list[Any]]:
    """The statement and its values after the account, which is $1."""
    texts, values = zip(*pieces, strict=True)
    return _numbered(texts), list(chain.from_iterable(values))


@cache
def _numbered(texts: tuple[str, ...]) -> str:
    """One text for each combination, so that the driver finds the statement that it has prepared."""
    numbers = count(2)
    head, *tails = " ".join(texts).split("?")
    return head + "".join(f"${next(numbers)}{tail}" for tail in tails)
