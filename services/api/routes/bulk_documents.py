"""Up to a thousand documents in one call: read one by one, looked up and written in a statement each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

import msgspec

from services.api.call import Call
from services.api.domain.document import Content, Defaults, Documents
from services.api.domain.lifecycle import NUMBERED_STATUSES
from services.api.domain.numbering import document_number
from services.api.domain.rules import validation_error
from services.api.door import Door
from services.api.http import Answer, decode_json, encode_json
from services.api.many import Many, many_under
from services.api.operation import Operation
from services.api.routes.bodies import new_body, shown_body
from services.api.routes.bulk import bulk_answer, read_items, require_all, tried_again, without_doubles
from services.api.routes.documents import NO_SUCH_CLIENT, defaults_of
from services.api.routes.shapes import metadata_text
from services.api.store import bulk
from services.api.store.accounts import select_profile
from services.api.store.bulk import NewDocument
from services.api.store.ids import ids_of, is_id
from services.api.store.listing import Shown
from services.api.store.reservations import claim_block
from shared.errors import Problem
from shared.postgres import Connection

read_many = many_under("documents")


class New(msgspec.Struct, frozen=True, gc=False):
    """An item that is sound: where it stands, what it says, and its number once it has one."""

    at: int
    content: Content
    status: str
    number: str | None = None


class Faulty(msgspec.Struct, frozen=True):
    """An item that is not, whose client nothing is wrong with so far."""

    problem: Problem
    client_id: str


Outcomes = Sequence[New | Problem]


async def create_documents(call: Call) -> Answer:
    many = call.many or read_many(call.body)
    read = await read_items(call, many, partial(_read_item, call.state["documents"], defaults_of(call)))
    return await tried_again(call, lambda connection: _created(connection, call, many, read))


def _read_item(documents: Documents, defaults: Defaults, at: int, item: msgspec.Raw) -> New | Faulty:
    if found := documents.ordinary(item, defaults):
        return New(at, *found)
    body = decode_json(bytes(item))
    try:
        return New(at, *documents.new(body, defaults))
    except Problem as problem:
        if not problem.details or "client_id" in problem.details:
            raise
        return Faulty(problem, body["client_id"])


async def _created(
    connection: Connection, call: Call, many: Many, read: Sequence[New | Faulty | Problem]
) -> Answer:
    profiles = await _profiles(connection, call, read)
    outcomes = [_with_client(each, profiles) for each in read]
    outcomes = await _without_doubles(connection, call, outcomes)
    if many.atomic:
        require_all(outcomes, "documents")
    sound = [outcome for outcome in outcomes if isinstance(outcome, New)]
    results: list[bytes | Problem] = [each if isinstance(each, Problem) else b"" for each in outcomes]
    ids = ids_of(call.reservation, "doc", len(outcomes))
    for new, body in zip(sound, await _written(connection, call, sound, profiles, ids), strict=True):
        results[new.at] = body
    call.missing = len(outcomes) - len(sound)
    return bulk_answer("document", results)


async def _profiles(
    connection: Connection, call: Call, read: Sequence[New | Faulty | Problem]
) -> dict[str, str]:
    """Those of all clients that are named, by items that are sound or not."""
    named = {each.content.client_id for each in read if isinstance(each, New)}
    named |= {each.client_id for each in read if isinstance(each, Faulty)}
    ids = [client_id for client_id in named if is_id(client_id, "cl")]
    return await bulk.select_profiles(connection, call.account_id, ids) if ids else {}


def _with_client(read: New | Faulty | Problem, profiles: Mapping[str, str]) -> New | Problem:
    """An unknown client is among the item's faults, so that all of them are told at once."""
    if isinstance(read, New):
        return read if read.content.client_id in profiles else validation_error(NO_SUCH_CLIENT)
    if isinstance(read, Problem):
        return read
    if read.client_id in profiles:
        return read.problem
    faults = {path: str(sentence) for path, sentence in (read.problem.details or {}).items()}
    return validation_error(faults | NO_SUCH_CLIENT)


async def _without_doubles(connection: Connection, call: Call, outcomes: Outcomes) -> Outcomes:
    given = [new.content.external_id for new in outcomes if isinstance(new, New)]
    named = [external_id for external_id in given if external_id is not None]
    if not named:
        return outcomes
    taken = await bulk.select_taken_by_documents(connection, call.account_id, named)
    return without_doubles(outcomes, lambda new: new.content.external_id, taken)


async def _written(
    connection: Connection, call: Call, sound: Sequence[New], profiles: Mapping[str, str], ids: Sequence[str]
) -> list[bytes]:
    """The documents as answered, once they are there."""
    if not sound:
        return []
    numbered = await _numbered(connection, call, sound)
    second = call.now.replace(microsecond=0)
    written = await call.state["lane"].in_slices(
        lambda new: _written_as(call, new, ids[new.at], profiles[new.content.client_id], second), numbered
    )
    rows, shown = zip(*written, strict=True)
    is_sent = any(new.status != "draft" for new in numbered)
    seller = await select_profile(connection, call.account_id) if is_sent else None
    await claim_block(connection, call.account_id, call.reservation)
    call.may_exist = True
    await bulk.insert_documents(connection, call.account_id, rows, seller=seller, now=call.now)
    return [*shown]


async def _numbered(connection: Connection, call: Call, sound: Sequence[New]) -> Sequence[New]:
    """Those that leave draft get the next numbers of their sequences, in their order."""
    wanted = Counter(_sequence(new) for new in sound if new.status in NUMBERED_STATUSES)
    if not wanted:
        return sound
    asked = [(kind, year, amount) for (kind, year), amount in wanted.items()]
    following = await bulk.take_numbers(connection, call.account_id, asked)
    numbered: list[New] = []
    for new in sound:
        if new.status not in NUMBERED_STATUSES:
            numbered.append(new)
            continue
        sequence = _sequence(new)
        number = document_number(*sequence, following[sequence])
        numbered.append(msgspec.structs.replace(new, number=number))
        following[sequence] += 1
    return numbered


def _sequence(new: New) -> tuple[str, int]:
    return new.content.type, new.content.issued_date.year


def _written_as(
    call: Call, new: New, document_id: str, client: str, second: datetime
) -> tuple[NewDocument, bytes]:
    """The document as stored, and as answered."""
    content, items = new.content, encode_json(new.content.items)
    body = new_body(
        content,
        document_id=document_id,
        number=new.number,
        status=new.status,
        client=client,
        items=items,
        second=second,
    )
    row = NewDocument(
        id=document_id,
        status=new.status,
        number=new.number,
        content=content,
        client=client,
        items=items.decode(),
        metadata=metadata_text(content.metadata),
        body=body,
    )
    live = client if new.status == "draft" else None
    return row, shown_body(Shown(document_id, body, new.status, content.due_date, live), call.today)


DOORS = {
    "/v1/documents/bulk": Door(
        POST=Operation(create_documents, "documents:write", documents=1, many=read_many),
    ),
}
