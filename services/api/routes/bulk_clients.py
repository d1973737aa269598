"""Up to a thousand clients in one call."""

from collections.abc import Sequence

import msgspec

from services.api.call import Call
from services.api.domain.client import new_client
from services.api.door import Door
from services.api.http import Answer, decode_json, encode_json
from services.api.many import Many, many_under
from services.api.operation import Operation
from services.api.routes.bulk import bulk_answer, read_items, require_all, tried_again, without_doubles
from services.api.routes.shapes import client_body, client_row
from services.api.store import bulk
from services.api.store.clients import ClientRow
from services.api.store.ids import ids_of, new_block
from shared.errors import Problem
from shared.postgres import Connection

read_many = many_under("clients")

Outcomes = Sequence[ClientRow | Problem]


async def create_clients(call: Call) -> Answer:
    many = call.many or read_many(call.body)
    ids = ids_of(new_block(), "cl", len(many.items))
    rows = await read_items(call, many, lambda at, item: _row(call, ids[at], item))
    return await tried_again(call, lambda connection: _created(connection, call, many, rows))


async def _created(connection: Connection, call: Call, many: Many, outcomes: Outcomes) -> Answer:
    outcomes = await _without_doubles(connection, call, outcomes)
    if many.atomic:
        require_all(outcomes, "clients")
    rows = [row for row in outcomes if isinstance(row, ClientRow)]
    if rows:
        columns = [*zip(*((row.id, row.profile, row.external_id, row.metadata) for row in rows), strict=True)]
        await bulk.insert_clients(connection, call.account_id, columns, now=call.now)
    return bulk_answer("client", await call.state["lane"].in_slices(_shown, outcomes))


async def _without_doubles(connection: Connection, call: Call, outcomes: Outcomes) -> Outcomes:
    given = [row.external_id for row in outcomes if isinstance(row, ClientRow)]
    named = [external_id for external_id in given if external_id is not None]
    if not named:
        return outcomes
    taken = await bulk.select_taken_by_clients(connection, call.account_id, named)
    return without_doubles(outcomes, lambda row: row.external_id, taken)


def _row(call: Call, client_id: str, item: msgspec.Raw) -> ClientRow:
    client = new_client(decode_json(bytes(item)))
    return client_row(client, client_id=client_id, created_at=call.now, updated_at=call.now)


def _shown(outcome: ClientRow | Problem) -> bytes | Problem:
    return outcome if isinstance(outcome, Problem) else encode_json(client_body(outcome))


DOORS = {
    "/v1/clients/bulk": Door(POST=Operation(create_clients, "clients:write", many=read_many)),
}
