"""The internal API: usage, admission, seeding and limits, for services that show the token; and the health checks."""

import asyncio
import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, TypedDict

import msgspec
import structlog
from msgspec import Meta
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.metering.accounts import read_account, read_usage, set_plan
from services.metering.admission import Admission, Ask
from services.metering.billing import Agreed, Change, read_billing, select_billing, set_billing
from services.metering.dirty import clean_accounts
from services.metering.entries import Name
from services.metering.events import EVENTS_MAX, Receipt, read_events, take_events
from services.metering.history import read_history, read_range
from services.metering.http import json_answer, problem_answer, read_json, read_query
from services.metering.ledger import is_migrated
from services.metering.library import revision_of
from services.metering.limits import Limits, Overrides, bad_parameter, check_terms
from services.metering.metrics import CONTENT_TYPE, read_metrics
from services.metering.seeding import Seeder
from services.metering.stores import STORE_ERRORS, Stores
from shared.errors import Problem
from shared.postgres import Connection, acquired

ITEMS_MAX = 1000
# An item or an event with the longest of everything has about 500 bytes.
ADMIT_BYTES_MAX = 640 * 1024
EVENTS_BYTES_MAX = 6 * 1024 * 1024
# A gateway waits five seconds for an answer, and the ledger's shall come within them.
STATE_TIMEOUT_S = 1.5
_PERIOD_QUERY = frozenset({"period", "history"})
_RANGE_QUERY = frozenset({"from", "to", "granularity"})
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,64}")

log = structlog.get_logger(__name__)


class State(TypedDict):
    """What app.py builds for the routes."""

    stores: Stores
    seeder: Seeder
    admission: Admission


class AdmitBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    items: Annotated[tuple[Ask, ...], Meta(max_length=ITEMS_MAX)]


class EventsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    events: Annotated[tuple[msgspec.Raw, ...], Meta(max_length=EVENTS_MAX)]


class SeedBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``generation``: of the key records as the caller has just read them."""

    generation: Annotated[int, Meta(ge=0, lt=2**53)] = 0


class Unseeded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``generation``: as the caller has just read it; None where no key is involved."""

    id: Name
    generation: Annotated[int, Meta(ge=0, lt=2**53)] | None = None


class SeedsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    accounts: Annotated[tuple[Unseeded, ...], Meta(max_length=ITEMS_MAX)]


class LimitsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``billing`` stays as it is when it is absent, ``overrides`` do not."""

    plan: str
    overrides: dict[str, Any] = {}
    billing: Change = Change()


class LimitsAnswer(msgspec.Struct, frozen=True):
    plan: str
    overrides: Overrides
    limits: Limits
    billing: Agreed


async def get_usage(request: Request[State]) -> Response:
    """The documented shape, of a period and with its days when they are asked for; or sums over any time."""
    account_id = _account(request)
    query = read_query(request, frozenset({*_PERIOD_QUERY, *_RANGE_QUERY}))
    if query.keys() & _RANGE_QUERY and query.keys() & _PERIOD_QUERY:
        raise bad_parameter("period", "Not together with from, to or granularity")
    if query.keys() & _RANGE_QUERY:
        return await _range_answer(request, account_id, query)
    if query.get("history", "day") != "day":
        raise bad_parameter("history", "Must be day")
    return await _usage_answer(request, account_id, query)


async def _usage_answer(request: Request[State], account_id: str, query: dict[str, str]) -> Response:
    """Counters that are gone or out of date are put right before they are read; without Redis the ledger answers."""
    stores = request.state["stores"]
    with suppress(Problem, *STORE_ERRORS):
        async with asyncio.timeout(STATE_TIMEOUT_S):
            await request.state["admission"].state(account_id)
    async with acquired(stores.pool) as connection:
        usage = await read_usage(
            connection, stores.redis, account_id, period=query.get("period"), with_days="history" in query
        )
    return json_answer(usage)


async def _range_answer(request: Request[State], account_id: str, query: dict[str, str]) -> Response:
    async with acquired(request.state["stores"].pool) as connection:
        asked = read_range(
            query.get("from"),
            query.get("to"),
            query.get("granularity", "day"),
            now=datetime.now(UTC),
            terms=await select_billing(connection, account_id),
        )
        return json_answer(await read_history(connection, account_id, asked))


async def post_admit(request: Request[State]) -> Response:
    body = await read_json(request, AdmitBody, bytes_max=ADMIT_BYTES_MAX)
    return json_answer({"items": await request.state["admission"].admit(body.items)})


async def post_events(request: Request[State]) -> Response:
    """Answered once the ledger has the events; what Redis cannot be told now it is told by the background work."""
    body = await read_json(request, EventsBody, bytes_max=EVENTS_BYTES_MAX)
    events, refused = read_events(body.events, datetime.now(UTC))
    stores = request.state["stores"]
    async with acquired(stores.pool) as connection:
        accepted, dirty = await take_events(connection, events)
    try:
        await clean_accounts(stores, dirty)
    except STORE_ERRORS as error:
        log.warning("accounts stay dirty", accounts=len(dirty), error=f"{type(error).__name__}: {error}")
    return json_answer(Receipt(accepted=accepted, duplicates=len(events) - accepted, refused=refused))


async def post_seed(request: Request[State]) -> Response:
    """One account, as gateways of the release before ask for it; a generation that they leave out counts as told."""
    account_id = _account(request)
    body = await read_json(request, SeedBody, default=SeedBody())
    await request.state["seeder"].seed(account_id, body.generation)
    return Response(status_code=204)


async def post_seeds(request: Request[State]) -> Response:
    body = await read_json(request, SeedsBody)
    seeder = request.state["seeder"]
    await asyncio.gather(*(seeder.seed(wanted.id, wanted.generation) for wanted in body.accounts))
    return Response(status_code=204)


class AccountLimits(HTTPEndpoint):
    async def get(self, request: Request[State]) -> Response:
        account_id = _account(request)
        async with acquired(request.state["stores"].pool) as connection:
            return json_answer(await _limits_answer(connection, account_id))

    async def put(self, request: Request[State]) -> Response:
        account_id, stores = _account(request), request.state["stores"]
        body = await read_json(request, LimitsBody)
        async with acquired(stores.pool) as connection:
            if body.billing != Change():
                check_terms(body.plan, body.overrides)
                await set_billing(connection, stores.redis, account_id, body.billing)
            await set_plan(connection, stores.redis, account_id, body.plan, body.overrides)
            return json_answer(await _limits_answer(connection, account_id))


async def _limits_answer(connection: Connection, account_id: str) -> LimitsAnswer:
    account = await read_account(connection, account_id)
    agreed = await read_billing(connection, account_id, datetime.now(UTC))
    return LimitsAnswer(account.plan, account.overrides, account.limits, agreed)


async def get_live(_: Request[State]) -> Response:
    return json_answer({"status": "live"})


async def get_metrics(request: Request[State]) -> Response:
    return Response(await read_metrics(request.state["stores"]), media_type=CONTENT_TYPE)


async def get_ready(request: Request[State]) -> Response:
    """Ready: both stores answer, the schema is there, and Redis has the functions."""
    away = await _away(request.state["stores"])
    if away:
        sentence = f"Not ready: {', '.join(away)}"
        return problem_answer(Problem("unavailable", sentence, {**away}, retry_after_s=1))
    return json_answer({"status": "ready"})


async def _away(stores: Stores) -> dict[str, str]:
    away: dict[str, str] = {}
    try:
        async with acquired(stores.pool) as connection:
            if not await is_migrated(connection):
                away["postgres"] = "The migrations of metering are missing"
    except STORE_ERRORS as error:
        away["postgres"] = type(error).__name__
    try:
        if await revision_of(stores.redis) is None:
            away["redis"] = "The function library is missing"
    except STORE_ERRORS as error:
        away["redis"] = type(error).__name__
    return away


def _account(request: Request[State]) -> str:
    account_id = request.path_params["account"]
    if not _ACCOUNT.fullmatch(account_id):
        raise Problem("not_found", "No account has an id of this form")
    return account_id


INTERNAL = [
    Route("/usage/{account}", get_usage),
    Route("/admit", post_admit, methods=["POST"]),
    Route("/events", post_events, methods=["POST"]),
    Route("/seed", post_seeds, methods=["POST"]),
    Route("/accounts/{account}/seed", post_seed, methods=["POST"]),
    Route("/accounts/{account}/limits", AccountLimits),
]
HEALTH = [
    Route("/health/live", get_live),
    Route("/health/ready", get_ready),
    Route("/metrics", get_metrics),
]
