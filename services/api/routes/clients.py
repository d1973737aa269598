"""Clients over HTTP: create, list, read, change, delete."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from services.api.call import Call
from services.api.domain.client import new_client, with_changes
from services.api.door import Door
from services.api.http import Answer, decode_json, encode_json, json_answer
from services.api.operation import Operation
from services.api.routes.holders import held_once, named_in
from services.api.routes.lists import WINDOW_PARAMETERS, list_body, read_window
from services.api.routes.shapes import client_body, client_of, client_row
from services.api.store import clients
from services.api.store.clients import ClientRow
from services.api.store.drafts import write_client
from services.api.store.ids import is_id, new_id
from services.api.tags import is_conditional, require_conditions
from shared.errors import Problem
from shared.postgres import Connection

# Of a client's documents, whose drafts are written in one statement.
DRAFTS_AT_ONCE = 500
# What has been done by then is not done again, but for a call under an Idempotency-Key, which is one transaction.
DELETE_S_MAX = 30.0


async def create_client(call: Call) -> Answer:
    return await created_client(call, decode_json(call.body))


async def created_client(call: Call, body: Any, external_id: str | None = None) -> Answer:
    """``external_id`` is the one in the path, if so; raises external_id_taken."""
    client = new_client(body, external_id)
    row = client_row(client, client_id=new_id("cl"), created_at=call.now, updated_at=call.now)
    opened = call.connection() if client.external_id is None else call.transaction()
    async with held_once(call, client.external_id), opened as connection:
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
    client_id = path_client_id(call)
    async with call.connection() as connection:
        return await shown_client(connection, call, client_id)


async def shown_client(connection: Connection, call: Call, client_id: str) -> Answer:
    row = await clients.select_client(connection, call.account_id, client_id)
    return json_answer(client_body(_found(row)))


async def update_client(call: Call) -> Answer:
    body = decode_json(call.body)
    client_id = path_client_id(call)
    async with held_once(call, named_in(body)), call.transaction() as connection:
        return await changed_client(connection, call, client_id, body)


async def changed_client(
    connection: Connection, call: Call, client_id: str, body: Any, external_id: str | None = None
) -> Answer:
    """``external_id`` is the one in the path, if so."""
    row = await _locked_client(connection, call, client_id)
    changed = client_row(
        with_changes(client_of(row), body, external_id),
        client_id=client_id,
        created_at=row.created_at,
        updated_at=call.now,
    )
    await clients.update_client(connection, call.account_id, changed)
    return json_answer(client_body(changed))


async def delete_client(call: Call) -> Answer:
    client_id = path_client_id(call)

    async def named(_connection: Connection) -> str:
        return client_id

    return await deleted_client(call, named)


async def deleted_client(call: Call, find: Callable[[Connection], Awaitable[str]]) -> Answer:
    """Of many drafts some at a time keep the client, each time in a transaction; it is deleted with the last ones."""
    end_s = time.monotonic() + DELETE_S_MAX
    kept, after_id = None, ""
    while True:
        async with call.transaction() as connection:
            row = await _locked_client(connection, call, await find(connection))
            if row != kept:
                kept, after_id = row, ""
            last_id = await write_client(
                connection, call.account_id, row.id, row.profile, after_id=after_id, limit=DRAFTS_AT_ONCE
            )
            if last_id is None:
                await clients.delete_client(connection, call.account_id, row.id)
                return json_answer({"id": row.id, "deleted": True})
            after_id = last_id
        if not call.held and time.monotonic() >= end_s:
            raise Problem("unavailable", "Its drafts are many; send this again to go on", retry_after_s=1)


async def _locked_client(connection: Connection, call: Call, client_id: str) -> ClientRow:
    row = _found(await clients.select_client_for_update(connection, call.account_id, client_id))
    if is_conditional(call.scope):
        require_conditions(call.scope, encode_json(client_body(row)))
    return row


def path_client_id(call: Call) -> str:
    client_id = call.path("client_id")
    if not is_id(client_id, "cl"):
        raise no_such_client()
    return client_id


def _found(row: ClientRow | None) -> ClientRow:
    if row is None:
        raise no_such_client()
    return row


def no_such_client() -> Problem:
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
