"""Who may use the internal API: the bearer of the environment's token, or of a live one that an operator has made."""

import hmac

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from services.metering.http import problem_answer
from services.metering.tokens import ENVIRONMENT, hash_token, is_token, select_token_name
from shared.errors import Problem
from shared.postgres import Pool, acquired


class ServiceAuth:
    """Lets a request pass only with a token; a made one is looked up at each call, so that a revoked one is refused."""

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        self._app = app
        self._expected = hash_token(token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = await self._caller(scope["state"]["stores"].pool, _bearer(scope))
        if caller is None:
            problem = Problem("unauthorized", "Send a service token as Authorization: Bearer <token>")
            await problem_answer(problem)(scope, receive, send)
            return
        with structlog.contextvars.bound_contextvars(caller=caller):
            await self._app(scope, receive, send)

    async def _caller(self, pool: Pool, token: str) -> str | None:
        """The token's name, None for one that is not ours or not live. Raises what the store raises."""
        if hmac.compare_digest(hash_token(token), self._expected):
            return ENVIRONMENT
        if not is_token(token):
            return None
        async with acquired(pool) as connection:
            return await select_token_name(connection, hash_token(token))


def _bearer(scope: Scope) -> str:
    """The header's bytes as the environment holds them, which may be UTF-8."""
    shown = Headers(scope=scope).get("authorization", "").strip().encode("latin-1")
    scheme, _, token = shown.decode("utf-8", "surrogateescape").partition(" ")
    return token if scheme == "Bearer" else ""
