"""Documents and clients by the id that their owner gave them: read, created or changed, deleted."""

from services.api.call import Call
from services.api.domain.metadata import NO_EXTERNAL_ID, is_external_id
from services.api.domain.rules import validation_error
from services.api.door import Door
from services.api.http import Answer, decode_json
from services.api.operation import Operation
from services.api.routes.clients import (
    changed_client,
    created_client,
    deleted_client,
    no_such_client,
    shown_client,
)
from services.api.routes.documents import (
    changed_document,
    created_document,
    deleted_document,
    no_such_document,
    shown_document,
)
from services.api.store import clients, documents
from services.api.tags import require_no_match
from shared.errors import Problem
from shared.postgres import Connection

# Each time somebody else created or deleted it between our look and our write.
ATTEMPTS_MAX = 5


async def read_document(call: Call) -> Answer:
    external_id = _external_id(call, no_such_document())
    async with call.connection() as connection:
        document_id = await documents.select_id(connection, call.account_id, external_id)
        if document_id is None:
            raise no_such_document()
        return await shown_document(connection, call, document_id)


async def put_document(call: Call) -> Answer:
    """A document was reserved if there was none at first; should there be one by now, it is changed."""
    external_id = _external_id(call, validation_error({"external_id": NO_EXTERNAL_ID}))
    body = decode_json(call.body)
    if call.reservation:
        require_no_match(call.scope)
        try:
            return await created_document(call, body, external_id)
        except Problem as problem:
            if problem.code != "external_id_taken":
                raise
        call.is_unused, call.may_exist = True, False
    async with call.transaction() as connection:
        document_id = await documents.select_id_for_update(connection, call.account_id, external_id)
        if document_id is None:
            raise _changing()
        return await changed_document(connection, call, document_id, body, external_id)


async def delete_document(call: Call) -> Answer:
    external_id = _external_id(call, no_such_document())
    async with call.transaction() as connection:
        document_id = await documents.select_id_for_update(connection, call.account_id, external_id)
        if document_id is None:
            raise no_such_document()
        return await deleted_document(connection, call, document_id)


async def creates_no_document(call: Call) -> bool:
    external_id = call.path("external_id")
    if not is_external_id(external_id):
        return True
    async with call.connection() as connection:
        return await documents.select_id(connection, call.account_id, external_id) is not None


async def read_client(call: Call) -> Answer:
    external_id = _external_id(call, no_such_client())
    async with call.connection() as connection:
        client_id = await clients.select_id(connection, call.account_id, external_id)
        if client_id is None:
            raise no_such_client()
        return await shown_client(connection, call, client_id)


async def put_client(call: Call) -> Answer:
    external_id = _external_id(call, validation_error({"external_id": NO_EXTERNAL_ID}))
    body = decode_json(call.body)
    for _ in range(ATTEMPTS_MAX):
        async with call.transaction() as connection:
            client_id = await clients.select_id_for_update(connection, call.account_id, external_id)
            if client_id is not None:
                return await changed_client(connection, call, client_id, body, external_id)
        require_no_match(call.scope)
        try:
            return await created_client(call, body, external_id)
        except Problem as problem:
            if problem.code != "external_id_taken":
                raise
    raise _changing()


async def delete_client(call: Call) -> Answer:
    external_id = _external_id(call, no_such_client())

    async def named(connection: Connection) -> str:
        client_id = await clients.select_id_for_update(connection, call.account_id, external_id)
        if client_id is None:
            raise no_such_client()
        return client_id

    return await deleted_client(call, named)


def _external_id(call: Call, otherwise: Problem) -> str:
    external_id = call.path("external_id")
    if not is_external_id(external_id):
        raise otherwise
    return external_id


def _changing() -> Problem:
    return Problem(
        "unavailable", "It is being created and deleted at this very moment; try again", retry_after_s=1
    )


# What has a slash in it is one id all the same.
DOORS = {
    "/v1/documents/by-external-id/{external_id:path}": Door(
        GET=Operation(read_document, "documents:read", tagged=True),
        PUT=Operation(put_document, "documents:write", documents=1, updates=creates_no_document, tagged=True),
        DELETE=Operation(delete_document, "documents:write"),
    ),
    "/v1/clients/by-external-id/{external_id:path}": Door(
        GET=Operation(read_client, "clients:read", tagged=True),
        PUT=Operation(put_client, "clients:write", tagged=True),
        DELETE=Operation(delete_client, "clients:write"),
    ),
}
