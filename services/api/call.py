"""What a handler is given: who calls, with what, and the means to answer."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import UTC, date, datetime
from functools import cached_property
from typing import TypedDict
from zoneinfo import ZoneInfo

from starlette.types import Scope

from services.api.admission import Admission
from services.api.auth import Keys
from services.api.domain.document import Documents
from services.api.exports import Exports
from services.api.http import Answer, query_parameters
from services.api.lane import Lane
from services.api.logos import Logos
from services.api.many import Many
from services.api.metering import Metering
from services.api.outage import OpenCalls
from services.api.pdf import Pdfs
from services.api.store.keys import Principal
from services.api.streams import Streams
from shared.errors import Problem
from shared.postgres import Connection, Pool, acquired


class State(TypedDict):
    """The lifespan's state: built once in app.py, and all that is shared between requests."""

    pool: Pool
    keys: Keys
    admission: Admission
    metering: Metering
    open_calls: OpenCalls
    pdfs: Pdfs
    exports: Exports
    documents: Documents
    lane: Lane
    logos: Logos
    streams: Streams


class Call:
    """One request at its handler; ``afterwards`` is done once its transaction has committed.

    ``reservation`` is the id that a created document is to have; from ``may_exist`` on, only the database knows
    whether it was created. It ``is_unused`` when the call succeeds without creating one. For a call of many,
    ``reservation`` is the block that their ids follow from, ``many`` what it holds once that has been looked at, and
    ``missing`` how many of those reserved are not created though the call succeeds.
    """

    def __init__(self, scope: Scope, principal: Principal, body: bytes) -> None:
        self.scope = scope
        self.principal = principal
        self.account_id = principal.account_id
        self.body = body
        self.state: State = scope["state"]
        self.now = datetime.now(UTC)
        self.afterwards: list[Callable[[], Awaitable[None]]] = []
        self.held: Connection | None = None
        self.reservation = ""
        self.may_exist = False
        self.is_unused = False
        self.many: Many | None = None
        self.missing = 0

    def stand_for(self, principal: Principal) -> None:
        """Go on as the account is now, in whose time zone it may be another day."""
        self.principal = principal
        self.__dict__.pop("today", None)

    @cached_property
    def today(self) -> date:
        """The date in the account's time zone."""
        return self.now.astimezone(ZoneInfo(self.principal.time_zone)).date()

    def require_scope(self, scope: str) -> None:
        """Raises forbidden."""
        if scope not in self.principal.scopes:
            raise Problem("forbidden", f"This key lacks the scope {scope}", {"required_scope": scope})

    def path(self, name: str) -> str:
        return self.scope["path_params"][name]

    def query(self, *allowed: str) -> dict[str, str]:
        return query_parameters(self.scope, frozenset(allowed))

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """For a single statement, which is a transaction by itself."""
        return acquired(self.state["pool"]) if self.held is None else nullcontext(self.held)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """The request's one transaction; inside an idempotent request, a part of that one's."""
        async with self.connection() as connection, connection.transaction():
            yield connection


Handler = Callable[[Call], Awaitable[Answer]]
