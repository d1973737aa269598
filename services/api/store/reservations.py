"""What became of reserved documents; the database decides it once and for all."""

from collections.abc import Sequence
from typing import Literal, cast

from shared.postgres import Connection

Fate = Literal["created", "busy", "void"]


async def resolve_document(connection: Connection, account_id: str, document_id: str) -> Fate:
    """Whether the document was created; one that was not is void from now on, and can be created no more."""
    return cast(
        "Fate", await connection.fetchval("select api.resolve_document($1, $2)", account_id, document_id)
    )


async def claim_block(connection: Connection, account_id: str, block: str) -> None:
    """Nobody can void the block until this transaction ends.

    Raises SerializationError for one that was given back meanwhile.
    """
    await connection.execute("select api.claim_document($1, $2)", account_id, block)


async def resolve_block(
    connection: Connection, account_id: str, block: str, document_ids: Sequence[str]
) -> int | None:
    """How many of a block's documents were created, None while they are being; without any it is void from now on."""
    async with connection.transaction():
        if not await _try_lock(connection, account_id, block):
            return None
        created = await _count_created(connection, account_id, document_ids)
        if not created:
            await _insert_void(connection, account_id, block)
        return created


async def _try_lock(connection: Connection, account_id: str, block: str) -> bool:
    """Until this transaction ends; what comes after it sees all that was committed under the claim."""
    return await connection.fetchval(
        "select pg_try_advisory_xact_lock(hashtextextended($1, 0))", f"document {account_id} {block}"
    )


async def _count_created(connection: Connection, account_id: str, document_ids: Sequence[str]) -> int:
    """Those that are there, and those that once were."""
    return await connection.fetchval(
        """
        select count(*) from (
            select id from api.documents where account_id = $1 and id = any($2::text[])
            union
            select document_id from api.deleted_documents where account_id = $1 and document_id = any($2::text[])
        ) as created
        """,
        account_id, document_ids,
    )  # fmt: skip


async def _insert_void(connection: Connection, account_id: str, block: str) -> None:
    await connection.execute(
        """
        insert into api.void_documents (account_id, document_id) values ($1, $2)
        on conflict on constraint void_documents_pkey do nothing
        """,
        account_id, block,
    )  # fmt: skip
