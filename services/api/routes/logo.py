"""The account's logo over HTTP: given as an image, kept and answered as a PNG of our own."""

from typing import Any

from services.api.call import Call
from services.api.door import Door
from services.api.http import Answer, Headers, is_known, json_answer, media_type
from services.api.logos import MEDIA_TYPES
from services.api.operation import Operation
from services.api.routes.account import LOGO_PATH, fields_of, locked_account, logo_body, write_account
from services.api.store import accounts, logos
from services.api.tags import require_no_match, require_tag
from shared.errors import Problem
from shared.postgres import Connection


async def read_logo(call: Call) -> Answer:
    async with call.connection() as connection:
        row = await accounts.select_account(connection, call.account_id)
        sha256 = row and fields_of(row).get("logo")
        if sha256 is None:
            raise no_logo()
        headers: Headers = [(b"etag", f'"{sha256}"'.encode()), (b"cache-control", b"private, no-cache")]
        if is_known(call.scope, sha256):
            return Answer(status=304, headers=tuple(headers))
        png = await logos.select_logo(connection, call.account_id, sha256)
    return Answer(body=png or b"", headers=((b"content-type", b"image/png"), *headers))


async def replace_logo(call: Call) -> Answer:
    """Draw first, so that the account is not locked meanwhile."""
    logo = await call.state["logos"].draw(call.body, media_type(call.scope))
    async with call.transaction() as connection:
        row = await locked_account(connection, call)
        if (held := fields_of(row).get("logo")) is None:
            require_no_match(call.scope)
        else:
            require_tag(call.scope, held)
        await logos.insert_logo(
            connection, call.account_id, logo.sha256, png=logo.png, size=logo.size, now=call.now
        )
        await _take_down(connection, call, fields_of(row), taken=logo.sha256)
        await write_account(connection, call, row, fields_of(row) | {"logo": logo.sha256})
    return json_answer(logo_body(logo.sha256, logo.size))


async def delete_logo(call: Call) -> Answer:
    """The account has none from now on; what was sent keeps it."""
    async with call.transaction() as connection:
        row = await locked_account(connection, call)
        fields = fields_of(row)
        if fields.get("logo") is None:
            raise no_logo()
        require_tag(call.scope, fields["logo"])
        await _take_down(connection, call, fields)
        await write_account(connection, call, row, fields | {"logo": None})
    return json_answer({"deleted": True})


async def _take_down(
    connection: Connection, call: Call, fields: dict[str, Any], *, taken: str | None = None
) -> None:
    """The logo so far leaves when nothing was sent under it, unless it is the one that is ``taken``."""
    if (held := fields.get("logo")) not in (None, taken):
        await logos.mark_replaced(connection, call.account_id, held, now=call.now)


def no_logo() -> Problem:
    return Problem("not_found", "The account has no logo")


DOORS = {
    LOGO_PATH: Door(
        GET=Operation(read_logo, "account:read"),
        PUT=Operation(replace_logo, "account:write", media_types=MEDIA_TYPES),
        DELETE=Operation(delete_logo, "account:write"),
    )
}
