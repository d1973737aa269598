"""What became of reserved documents; the database decides it once and for all."""

from typing import Literal, cast

from shared.postgres import Connection

Fate = Literal["created", "busy", "void"]


async def resolve_document(connection: Connection, account_id: str, document_id: str) -> Fate:
    """Whether the document was created; one that was not is void from now on, and can be created no more."""
    return cast(
        "Fate", await connection.fetchval("select api.resolve_document($1, $2)", account_id, document_id)
    )
