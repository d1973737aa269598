"""Pages of documents: whole where they are small, as nearly all are, else sent a slice at a time as they are read.

So no reader, however slow, keeps more of a page than a slice.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec

from services.api.call import Call
from services.api.http import JSON, Answer, encode_json
from services.api.routes.bodies import shown_bodies
from services.api.store.listing import Shown
from services.api.store.slices import select_slice
from services.api.streams import STREAM_S_MAX
from shared.postgres import Connection


class Part(msgspec.Struct, frozen=True):
    """The next bodies, and the rows behind them."""

    bodies: list[bytes]
    rest: Sequence[Shown]


async def next_part(connection: Connection, call: Call, rows: Sequence[Shown]) -> Part:
    """All of the rows where the bodies that were too large to come with them are one slice."""
    lacking = [row.id for row in rows if row.body is None]
    if not lacking:
        return Part(await shown_bodies(connection, call, rows), [])
    part = await select_slice(connection, call.account_id, lacking)
    end = len(rows) if not part.rest else next(at for at, row in enumerate(rows) if row.id == part.rest[0])
    known = [part.found.get(row.id, row) for row in rows[:end]]
    return Part(await shown_bodies(connection, call, known), rows[end:])


def page_answer(call: Call, first: Part, page: dict[str, Any]) -> Answer:
    """The page with these documents for its data."""
    if not first.rest:
        return Answer(body=encode_json({**page, "data": list(map(msgspec.Raw, first.bodies))}), headers=JSON)
    return Answer(headers=JSON, stream=_pieces(call, first, page), stream_s_max=STREAM_S_MAX)


async def _pieces(call: Call, part: Part, page: dict[str, Any]) -> AsyncGenerator[bytes]:
    before, after = encode_json({**page, "data": []}).split(b"[]", 1)
    separator = before + b"["
    while True:
        for body in part.bodies:
            yield separator + body
            separator = b","
        if not part.rest:
            break
        async with call.connection() as connection:
            part = await next_part(connection, call, part.rest)
    yield (b"]" if separator == b"," else separator + b"]") + after
