"""The template catalogue over HTTP, and what each template looks like."""

from services.api.call import Call
from services.api.domain.kinds import KINDS
from services.api.door import Door
from services.api.http import Answer, Headers, is_known, json_answer
from services.api.operation import Operation
from services.api.pdf import Render
from services.api.previews import FORMATS, Look, as_render, preview_job, with_account
from services.api.routes.account import found_account
from services.api.routes.lists import choice
from services.api.routes.pdfs import file_answer
from services.api.routes.shapes import profile_of
from services.api.store import accounts
from shared.errors import Problem
from shared.locales import LOCALES, PAGE_SIZES
from shared.templates import TEMPLATES

DATA = ("sample", "account")


async def list_templates(_call: Call) -> Answer:
    return json_answer({"data": TEMPLATES})


async def preview_template(call: Call) -> Answer:
    """A template's sample as PDF, or its first page as a picture."""
    query = call.query("format", "type", "locale", "page_size", "data")
    look = _look(call.path("template_id"), query)
    render = await _render(call, look, choice(query, "data", DATA) or "sample")
    headers = _headers(look, render.key)
    if is_known(call.scope, render.key):
        return Answer(status=304, headers=tuple(headers))
    headers.append((b"content-type", FORMATS[look.format]))
    return file_answer(headers, await call.state["pdfs"].get(render))


def _look(template_id: str, query: dict[str, str]) -> Look:
    if template_id not in {template.id for template in TEMPLATES}:
        raise Problem("not_found", "There is no such template")
    return Look(
        template=template_id,
        format=choice(query, "format", tuple(FORMATS)) or "pdf",
        type=choice(query, "type", tuple(KINDS)),
        locale=choice(query, "locale", LOCALES),
        page_size=choice(query, "page_size", PAGE_SIZES),
    )


async def _render(call: Call, look: Look, data: str) -> Render:
    if data == "sample":
        return as_render(preview_job(look))
    call.require_scope("account:read")
    async with call.connection() as connection:
        row = found_account(await accounts.select_account(connection, call.account_id))
    job = with_account(preview_job(look), row.id, profile_of(row), currency=row.currency)
    return as_render(job, row.id)


def _headers(look: Look, key: str) -> Headers:
    return [
        (b"etag", f'"{key}"'.encode()),
        (b"cache-control", b"private, no-cache"),
        (b"content-disposition", f'inline; filename="{look.template}.{look.format}"'.encode()),
    ]


DOORS = {
    "/v1/templates": Door(GET=Operation(list_templates, None)),
    "/v1/templates/{template_id}/preview": Door(GET=Operation(preview_template, None)),
}
