"""Lists in full, a batch of bounded bytes at a time, each from where the one before has ended."""

from collections.abc import Iterator

import msgspec

from services.api.store.listing import SHOWN, DocumentFilter, Piece, Shown, composed, condition_pieces
from shared.postgres import Connection

BATCH_ROWS_MAX = 1000
# A thousand ordinary documents; of the largest ones, two.
BATCH_BYTES_MAX = 1024 * 1024

LIMITED = """\
select d.id, d.body, d.status, d.due_date, d.client, d.sum_bytes from (
    select d.id, d.body, d.status, d.due_date, d.client, d.own_bytes,
        sum(d.own_bytes) over (order by d.id desc rows unbounded preceding) as sum_bytes
    from (select"""
# A body that is not stored is going to be made of the lines and little else.
OWN_BYTES = """\
as client, coalesce(octet_length(d.body), octet_length(d.items::text)) as own_bytes
from api.documents d where d.account_id = $1"""
LIMITS = """\
order by d.id desc limit ?::bigint) d) d
where d.sum_bytes - d.own_bytes < ?::bigint order by d.id desc"""


class Documents(msgspec.Struct, frozen=True):
    """``last_id`` is that of the last one, None when the list ends with it."""

    found: list[Shown]
    last_id: str | None


async def select_batch(
    connection: Connection, account_id: str, kept: DocumentFilter, *, below_id: str | None
) -> Documents:
    """The next documents, newest first: as many as are allowed by number, and by bytes all but the last."""
    statement, values = composed(batch_pieces(kept, below_id))
    rows = await connection.fetch(statement, account_id, *values)
    ends = len(rows) < BATCH_ROWS_MAX and (not rows or rows[-1][5] < BATCH_BYTES_MAX)
    return Documents([Shown(*row[:5]) for row in rows], None if ends else rows[-1][0])


def batch_pieces(kept: DocumentFilter, below_id: str | None) -> Iterator[Piece]:
    yield LIMITED, ()
    yield SHOWN, ()
    yield OWN_BYTES, ()
    yield from condition_pieces(kept)
    if below_id is not None:
        yield "and d.id < ?::text", (below_id,)
    yield LIMITS, (BATCH_ROWS_MAX, BATCH_BYTES_MAX)
