"""The account over HTTP: what its documents say of the seller, and what they take over where they are silent."""

from functools import partial
from typing import Any

import msgspec

from services.api.admission import StaleGenerationError
from services.api.call import Call
from services.api.domain.account import LOCALE, OWN_RULES, PAGE_SIZE, PROFILE_RULES, changed_account
from services.api.door import Door
from services.api.http import Answer, decode_json, encode_json, json_answer
from services.api.operation import Operation
from services.api.routes.shapes import profile_of
from services.api.store import accounts, logos
from services.api.store.accounts import AccountRow
from services.api.store.logos import LogoSize
from services.api.tags import is_conditional, require_conditions
from shared.errors import Problem
from shared.postgres import Connection

PATH = "/v1/account"
LOGO_PATH = f"{PATH}/logo"


async def read_account(call: Call) -> Answer:
    async with call.connection() as connection:
        row = found_account(await accounts.select_account(connection, call.account_id))
        return json_answer(await _body(connection, row))


async def update_account(call: Call) -> Answer:
    body = decode_json(call.body)
    async with call.transaction() as connection:
        row = await locked_account(connection, call)
        if is_conditional(call.scope):
            require_conditions(call.scope, encode_json(await _body(connection, row)))
        changed = await write_account(connection, call, row, changed_account(fields_of(row), body))
        return json_answer(await _body(connection, changed))


async def locked_account(connection: Connection, call: Call) -> AccountRow:
    return found_account(await accounts.select_account_for_update(connection, call.account_id))


async def write_account(
    connection: Connection, call: Call, row: AccountRow, fields: dict[str, Any]
) -> AccountRow:
    """The row with these fields, which hold on every gateway by the time that the call is answered."""
    own = {name: fields[name] for name in OWN_RULES}
    profile = {name: value for name, value in fields.items() if name not in OWN_RULES}
    changed = msgspec.structs.replace(
        row, **own, name=fields["name"], profile=encode_json(profile).decode(), updated_at=call.now
    )
    generation = await accounts.update_account(connection, changed)
    call.afterwards.append(partial(_publish, call, generation))
    return changed


async def _publish(call: Call, generation: int) -> None:
    """Ask the meter under the new generation, so that it tells every gateway whose key record is older."""
    admission = call.state["admission"]
    try:
        await admission.admit(call.account_id, generation, calls=0, documents=0)
    except StaleGenerationError as stale:
        if stale.unseeded:
            await admission.seed(call.account_id, generation)


def fields_of(row: AccountRow) -> dict[str, Any]:
    """All that the owner decides, and the logo's SHA-256, as one table."""
    own = {"currency": row.currency, "template": row.template, "time_zone": row.time_zone}
    return {**profile_of(row), **own}


async def _body(connection: Connection, row: AccountRow) -> dict[str, Any]:
    fields = fields_of(row)
    return {
        "id": row.id,
        **{name: fields.get(name) for name in (*PROFILE_RULES, *OWN_RULES)},
        "locale": fields.get("locale") or LOCALE,
        "page_size": fields.get("page_size") or PAGE_SIZE,
        "logo": await _logo(connection, row.id, fields.get("logo")),
        "created_at": row.created_at.replace(microsecond=0),
        "updated_at": row.updated_at.replace(microsecond=0),
    }


async def _logo(connection: Connection, account_id: str, sha256: str | None) -> dict[str, Any] | None:
    size = sha256 and await logos.select_logo_size(connection, account_id, sha256)
    return logo_body(sha256, size) if sha256 and size else None


def logo_body(sha256: str, size: LogoSize) -> dict[str, Any]:
    return {"sha256": sha256, "width": size.width, "height": size.height, "url": LOGO_PATH}


def found_account(row: AccountRow | None) -> AccountRow:
    if row is None:
        raise Problem("not_found", "There is no such account")
    return row


DOORS = {
    PATH: Door(
        GET=Operation(read_account, "account:read", tagged=True),
        PUT=Operation(update_account, "account:write", tagged=True),
    )
}
