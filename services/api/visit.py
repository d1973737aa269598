"""The way of an authenticated request: read, admit, handle, and account for what came of it."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus

import asyncpg
import structlog
from starlette.types import Message, Receive, Scope

from services.api.admission import Decision, MeterAwayError, StaleGenerationError
from services.api.call import Call, State
from services.api.http import BODY_BYTES_MAX, Answer, Headers, read_body
from services.api.idempotency import answer_once, idempotency_key
from services.api.limits import limit_headers, refusal
from services.api.many import BULK_BYTES_MAX, many_of
from services.api.operation import Operation
from services.api.outage import UNCOUNTED
from services.api.problems import service_unavailable
from services.api.store.ids import new_block, new_id
from services.api.store.keys import Principal
from services.api.tags import tagged
from shared.errors import Problem
from shared.postgres import Connection

# Each change of the account that happens at the same moment may cost one.
ADMIT_ATTEMPTS_MAX = 10
_BODY_METHODS = frozenset({"POST", "PUT", "DELETE"})
# What a transaction surely ends with undone; after any other error it may have been committed.
_UNDONE = (
    Problem,
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.TransactionRollbackError,
)

log = structlog.get_logger()


class Visit:
    """One authenticated request: whether it was admitted, and what it must give back when it comes to nothing."""

    def __init__(self, state: State, operation: Operation, key: str, principal: Principal) -> None:
        self._state = state
        self._operation = operation
        self._key = key
        self._principal = principal
        self._documents = operation.documents
        self._size = 0
        self._decision: Decision | None = None
        self._asked = False

    async def answer(self, scope: Scope, receive: Receive) -> Answer:
        self._require_scope()
        if self._operation.many is None:
            return await self._answer(scope, receive)
        with self._state["lane"].body(self._principal.account_id) as hold:
            return await self._answer(scope, _held(receive, hold))

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        takes_body = scope["method"] in _BODY_METHODS
        body = await self._read(scope, receive) if takes_body else b""
        call = Call(scope, self._principal, body)
        key = idempotency_key(call)
        try:
            answer = await self._worked(call, key)
        except BaseException as error:
            await self._failed(call, error)
            raise
        await self._ended(call, answer)
        for act in call.afterwards:
            await _attempt(act)
        return tagged(scope, answer) if self._operation.tagged else answer

    async def limit_headers(self) -> Headers:
        """The RateLimit fields; a request that was not counted looks without counting.

        Raises unauthorized when that look finds the key revoked: no replay and no other refusal may hide it.
        """
        if self._decision is None and self._asked:  # the meter could not be reached: once is enough
            return []
        try:
            decision = self._decision or await self._ask(calls=0, documents=0)
        except Problem as problem:
            if problem.code == "unauthorized":
                raise
            return []
        return limit_headers(decision)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        most = BODY_BYTES_MAX if self._operation.many is None else BULK_BYTES_MAX
        return await read_body(scope, receive, self._operation.media_types, bytes_max=most)

    async def _worked(self, call: Call, key: str | None) -> Answer:
        if self._operation.many is None:
            return await (answer_once(call, key, self._admitted) if key else self._admitted(call))
        lane = self._state["lane"]
        with lane.place(self._principal.account_id):
            async with lane.turn:
                return await (answer_once(call, key, self._admitted) if key else self._admitted(call))

    async def _admitted(self, call: Call) -> Answer:
        if self._operation.reads and self._state["admission"].has_room(self._principal.account_id):
            with suppress(MeterAwayError, StaleGenerationError):
                return await self._read_ahead(call)
        await self._name(call)
        await self._admit(call)
        return await self._operation.handler(call)

    async def _admit(self, call: Call) -> None:
        """Raises rate_limited or quota_exceeded."""
        decision = self._decision = await self._ask(
            calls=1, documents=self._documents, reservation=call.reservation, connection=call.held
        )
        if not decision.granted:
            raise refusal(decision, self._documents)
        call.stand_for(self._principal)

    async def _read_ahead(self, call: Call) -> Answer:
        """Read while the meter decides, and tell what was found once it has: else nobody learns it.

        Raises MeterAwayError or StaleGenerationError where nothing was counted.
        """
        who, admission = self._principal, self._state["admission"]
        self._asked = True
        begun = admission.begin(who.account_id, who.generation)
        try:
            found = await _outcome(self._operation.handler(call))
            decision = admission.decision(who.account_id, await begun)
        finally:
            begun.cancel()
        self._decision = decision
        if not decision.granted:
            raise refusal(decision)
        if isinstance(found, Exception):
            raise found
        return found

    async def _name(self, call: Call) -> None:
        """What is reserved for a call that creates: a document by its id, or as many as the call has as one block."""
        operation = self._operation
        if operation.updates is not None and await operation.updates(call):
            self._documents = 0
        if operation.many is not None:
            call.many = many_of(operation.many, call.body)
            self._documents = self._size = operation.documents * (len(call.many.items) if call.many else 0)
        if self._documents:
            call.reservation = new_block() if self._size else new_id("doc")

    async def _ask(
        self, *, calls: int, documents: int, reservation: str = "", connection: Connection | None = None
    ) -> Decision:
        """Ask the meter, with a fresh key record when the one at hand has been overtaken by a revocation.

        ``connection`` is the one that the request holds: waiting for a second could wait for ever.
        """
        self._asked = True
        for _ in range(ADMIT_ATTEMPTS_MAX):
            who = self._principal
            try:
                return await self._state["admission"].admit(
                    who.account_id,
                    who.generation,
                    calls=calls,
                    documents=documents,
                    reservation=reservation,
                    size=self._size if reservation else 0,
                )
            except MeterAwayError:
                if not calls or not self._state["open_calls"].may_open():
                    raise
                return await self._let_through(connection)
            except StaleGenerationError as stale:
                who = self._principal = await self._state["keys"].reloaded(self._key, connection)
                if stale.unseeded:
                    await self._state["admission"].seed(who.account_id, who.generation)
        raise service_unavailable()

    async def _let_through(self, connection: Connection | None) -> Decision:
        """Without the meter only the database knows which keys are revoked."""
        self._principal = await self._state["keys"].reloaded(self._key, connection)
        self._state["open_calls"].owe(self._principal.account_id, "api_calls")
        return UNCOUNTED

    async def _ended(self, call: Call, answer: Answer) -> None:
        """Settle a create that succeeded, or give back what a stored refusal or an update had reserved."""
        if answer.status >= HTTPStatus.BAD_REQUEST or call.is_unused:
            await self._release(call)
        elif self._decision is None:
            return
        elif self._decision.uncounted and self._documents > call.missing:
            created = self._documents - call.missing
            self._state["open_calls"].owe(self._principal.account_id, "documents", created)
        elif call.missing:
            await self._release(call, call.missing)
        elif self._decision.reserved:
            self._state["admission"].settle(
                self._principal.account_id,
                call.reservation,
                period_start_s=self._decision.period_start_s,
                size=self._size,
            )

    async def _failed(self, call: Call, error: BaseException) -> None:
        """Give back what is known to have come to nothing; whether anything else did, the sweep finds out."""
        reserved = self._decision is not None and self._decision.reserved
        if isinstance(error, _UNDONE) or not (reserved and call.may_exist):
            await self._release(call)

    async def _release(self, call: Call, documents: int | None = None) -> None:
        """Give back so many documents, or all."""
        decision = self._decision
        if not self._documents or decision is None or not decision.granted or decision.uncounted:
            return
        reservation = call.reservation if decision.reserved else ""
        try:
            await self._state["admission"].release(
                self._principal.account_id,
                period_start_s=decision.period_start_s,
                reservation=reservation,
                documents=self._documents if documents is None else documents,
                size=self._size if reservation else 0,
            )
        except Problem as problem:
            log.warning("release_postponed", document=call.reservation, cause=str(problem.__cause__))

    def _require_scope(self) -> None:
        needed = self._operation.scope
        if needed is None or needed in self._principal.scopes:
            return
        raise Problem("forbidden", f"This key lacks the scope {needed}", {"required_scope": needed})


def _held(receive: Receive, hold: Callable[[int], None]) -> Receive:
    """What tells of the bytes of a body as they come."""

    async def receive_held() -> Message:
        message = await receive()
        hold(len(message.get("body", b"")))
        return message

    return receive_held


async def _outcome(work: Awaitable[Answer]) -> Answer | Exception:
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - raised again by who asked, if nothing else comes first
        return error


async def _attempt(act: Callable[[], Awaitable[None]]) -> None:
    """What follows a committed change must not turn its success into an error; it is logged and left."""
    try:
        await act()
    except Exception as error:
        log.exception("afterwards_failed", cause=str(error))
