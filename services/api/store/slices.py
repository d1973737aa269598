"""Documents of a page that are too large to be read with it, a slice of bounded bytes at a time."""

from collections.abc import Sequence

import msgspec

from services.api.store.listing import Shown
from shared.postgres import Connection

# Of documents that are larger, each is a slice of its own.
SLICE_BYTES_MAX = 256 * 1024


class Slice(msgspec.Struct, frozen=True):
    """``found`` by their ids; ``rest`` are the ids behind them."""

    found: dict[str, Shown]
    rest: Sequence[str]


async def select_slice(connection: Connection, account_id: str, document_ids: Sequence[str]) -> Slice:
    """The first of these, in their order: all but the last within the bound; one that is gone is left out."""
    rows = await connection.fetch(
        """
        select
            d.id, d.body, d.status, d.due_date, case when d.status = 'draft' then coalesce(
                (select c.profile from api.clients c where c.account_id = d.account_id and c.id = d.client_id),
                d.client
            ) end, s.at, s.sum_bytes
        from (
            select l.account_id, l.id, l.at, l.own_bytes, sum(l.own_bytes) over (order by l.at) as sum_bytes
            from (
                select
                    d.account_id, d.id, array_position($2::text[], d.id) as at,
                    coalesce(octet_length(d.body), octet_length(d.items::text)) as own_bytes
                from api.documents d where d.account_id = $1 and d.id = any($2::text[])
            ) l
        ) s
        join api.documents d on d.account_id = s.account_id and d.id = s.id
        where d.account_id = $1 and s.sum_bytes - s.own_bytes < $3::bigint
        order by s.at
        """,
        account_id, document_ids, SLICE_BYTES_MAX,
    )  # fmt: skip
    is_cut = bool(rows) and rows[-1][6] >= SLICE_BYTES_MAX
    return Slice({row[0]: Shown(*row[:5]) for row in rows}, document_ids[rows[-1][5] :] if is_cut else [])
