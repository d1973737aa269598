"""The edge of every request: who asks, and what is refused, in JSON, whatever went wrong."""

from http import HTTPStatus

import asyncpg
import structlog
from obstore.exceptions import BaseError as ObjectStoreError
from redis.exceptions import RedisError
from starlette.types import Receive, Scope, Send

from services.api.auth import bearer_key
from services.api.http import Answer, ClientDisconnectedError, Headers, begun, request_id, send_answer
from services.api.operation import Operation
from services.api.problems import internal_error, problem_answer, service_unavailable, status_of
from services.api.visit import Visit
from shared.errors import Problem

# What the stores raise when they are away, overloaded or not migrated yet: the caller may try again.
_PASSING = (
    OSError,
    RedisError,
    ObjectStoreError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that died between two states
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
)

log = structlog.get_logger()


class Door:
    """The ASGI application of one path: an operation for each of its methods."""

    def __init__(self, **operations: Operation) -> None:
        self.operations = operations
        if "GET" in operations:
            self.operations["HEAD"] = operations["GET"]
        self._allow = ", ".join(sorted(self.operations))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        extra: Headers = [(b"x-request-id", request_id(scope))]
        try:
            answer = await self._answer(scope, receive, extra)
        except ClientDisconnectedError:
            return
        try:
            await send_answer(answer, extra, send, head=scope["method"] == "HEAD")
        except Exception as error:  # noqa: BLE001 - the server breaks the connection off, for the answer is not whole
            _log_broken_off(error, extra, scope)

    async def _answer(self, scope: Scope, receive: Receive, extra: Headers) -> Answer:
        try:
            answer = await self._served(scope, receive, extra)
            return answer if answer.stream is None or scope["method"] == "HEAD" else await begun(answer)
        except Problem as problem:
            refused = problem
        except _PASSING as error:
            refused = service_unavailable()
            refused.__cause__ = error
        except ClientDisconnectedError:
            raise
        except Exception as error:  # noqa: BLE001 - the process's edge: the caller gets a sentence, the log the cause
            refused = internal_error()
            refused.__cause__ = error
        if status_of(refused) >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("request_failed", request_id=extra[0][1].decode(), path=scope["path"], exc_info=refused)
        return problem_answer(refused)

    async def _served(self, scope: Scope, receive: Receive, extra: Headers) -> Answer:
        operation = self.operations.get(scope["method"])
        if operation is None:
            raise Problem("method_not_allowed", f"This path answers to: {self._allow}", allow=self._allow)
        key = bearer_key(scope)
        principal = await scope["state"]["keys"].principal(key)
        visit = Visit(scope["state"], operation, key, principal)
        try:
            return await visit.answer(scope, receive)
        finally:
            extra += await visit.limit_headers()


def _log_broken_off(error: Exception, extra: Headers, scope: Scope) -> None:
    log.error("answer_broken_off", request_id=extra[0][1].decode(), path=scope["path"], exc_info=error)
