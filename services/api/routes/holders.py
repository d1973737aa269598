"""Who holds an external id: each is given once in an account to documents, and once to clients."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from asyncpg import UniqueViolationError

from services.api.call import Call
from services.api.store import clients, documents
from shared.errors import Problem

_HOLDERS = {
    "documents_external_id_unique": documents.select_id,
    "clients_external_id_unique": clients.select_id,
}


@asynccontextmanager
async def held_once(call: Call, external_id: str | None) -> AsyncGenerator[None]:
    """To be around the transaction that gives the external id; raises external_id_taken."""
    try:
        yield
    except UniqueViolationError as error:
        select_holder = _HOLDERS.get(error.constraint_name or "")
        if select_holder is None or external_id is None:
            raise
        async with call.connection() as connection:
            holder = await select_holder(connection, call.account_id, external_id)
        raise external_id_taken(holder) from error


def external_id_taken(holder: str | None) -> Problem:
    """``holder`` is the id of what has it, or None where that has just been deleted."""
    details: dict[str, object] = {"external_id": "Taken" if holder is None else f"Taken by {holder}"}
    return Problem(
        "external_id_taken",
        "Another one has this external_id already; change that one, or choose another external_id",
        details if holder is None else details | {"id": holder},
    )


def named_in(body: Any) -> str | None:
    """The external id that a body gives, before it has been read by its rule."""
    given = body.get("external_id") if isinstance(body, dict) else None
    return given if isinstance(given, str) else None
