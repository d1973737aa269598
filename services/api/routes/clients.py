"""Clients over HTTP: create, list, read, change, delete."""

import msgspec

from services.api.call import Call
from services.api.domain.client import changed_profile, new_profile
from services.api.door import Door, Operation
from services.api.http import Answer, decode_json, encode_json, json_answer
from services.api.routes.lists import WINDOW_PARAMETERS, list_body, read_window
from services.api.routes.shapes import client_body, profile_of
from services.api.store import clients, documents
from services.api.store.clients import ClientRow
from services.api.store.ids import is_id, new_id
from services.api.tags import is_conditional, require_conditions
from shared.errors import Problem
from shared.postgres import Connection


async def create_client(call: Call) -> Answer:
    profile = encode_json(new_profile(decode_json(call.body))).decode()
    row = ClientRow(new_id("cl"), profile, call.now, call.now)
    async with call.connection() as connection:
        await clients.insert_client(connection, call.account_id, row)
    return json_answer(client_body(row), 201)


async def list_clients(call: Call) -> Answer:
    window = read_window(call.query(*WINDOW_PARAMETERS), "cl")
    async with call.connection() as connection:
        total = await clients.count_clients(connection, call.account_id)
        rows = await clients.select_clients(
            connection,
            call.account_id,
            below_id=window.below_id,
            limit=window.per_page + 1,
            offset=window.offset,
        )
    return json_answer(list_body(window, [client_body(row) for row in rows], total, [row.id for row in rows]))


async def read_client(call: Call) -> Answer:
    client_id = _client_id(call)
    async with call.connection() as connection:
        row = await clients.select_client(connection, call.account_id, client_id)
    return json_answer(client_body(_found(row)))


async def update_client(call: Call) -> Answer:
    body = decode_json(call.body)
    client_id = _client_id(call)
    async with call.transaction() as connection:
        row = await _locked_client(connection, call, client_id)
        profile = encode_json(changed_profile(profile_of(row), body)).decode()
        changed = msgspec.structs.replace(row, profile=profile, updated_at=call.now)
        await clients.update_client(connection, call.account_id, changed)
    return json_answer(client_body(changed))


async def delete_client(call: Call) -> Answer:
    client_id = _client_id(call)
    async with call.transaction() as connection:
        await _locked_client(connection, call, client_id)
        await documents.freeze_drafts_of_client(connection, call.account_id, client_id)
        await clients.delete_client(connection, call.account_id, client_id)
    return json_answer({"id": client_id, "deleted": True})


async def _locked_client(connection: Connection, call: Call, client_id: str) -> ClientRow:
    row = _found(await clients.select_client_for_update(connection, call.account_id, client_id))
    if is_conditional(call.scope):
        require_conditions(call.scope, encode_json(client_body(row)))
    return row


def _client_id(call: Call) -> str:
    client_id = call.path("client_id")
    if not is_id(client_id, "cl"):
        raise _no_such_client()
    return client_id


def _found(row: ClientRow | None) -> ClientRow:
    if row is None:
        raise _no_such_client()
    return row


def _no_such_client() -> Problem:
    return Problem("not_found", "There is no such client")


DOORS = {
    "/v1/clients": Door(
        GET=Operation(list_clients, "clients:read", reads=True),
        POST=Operation(create_client, "clients:write", tagged=True),
    ),
    "/v1/clients/{client_id}": Door(
        GET=Operation(read_client, "clients:read", reads=True, tagged=True),
        PUT=Operation(update_client, "clients:write", tagged=True),
        DELETE=Operation(delete_client, "clients:write"),
    ),
}
