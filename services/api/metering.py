"""The metering service as the gateway sees it: calls over HTTP, none on the path of an ordinary request."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import httpx2
import structlog
from msgspec import to_builtins

from services.api.outage import Event
from shared.errors import Problem

TIMEOUT_S = 5.0

log = structlog.get_logger()


class Metering:
    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def usage(self, account_id: str, *, period: str | None, with_days: bool) -> dict[str, Any]:
        """The documented shape of `/v1/usage`, perhaps of another period; raises unavailable, or invalid_parameter."""
        query = {"period": period, "history": "day" if with_days else None}
        given = urlencode({name: value for name, value in query.items() if value is not None})
        answer = await self._send("GET", f"/internal/v1/usage/{account_id}" + (f"?{given}" if given else ""))
        if answer.status_code == HTTPStatus.BAD_REQUEST:
            refused = answer.json()
            raise Problem("invalid_parameter", refused["message"], refused["details"])
        _succeeded(answer)
        return answer.json()

    async def seed(self, accounts: Mapping[str, int | None]) -> None:
        """Have limits and counters put into the meter, and each generation that is known; raises unavailable."""
        wanted = [
            {"id": account_id} if generation is None else {"id": account_id, "generation": generation}
            for account_id, generation in accounts.items()
        ]
        answer = await self._send("POST", "/internal/v1/seed", {"accounts": wanted})
        if answer.status_code != HTTPStatus.NOT_FOUND:
            _succeeded(answer)
            return
        for account_id, generation in accounts.items():  # a metering of the release before
            await self._call(
                "POST", f"/internal/v1/accounts/{account_id}/seed", {"generation": generation or 0}
            )

    async def take_events(self, events: Sequence[Event]) -> None:
        """Have events counted, each once however often it is sent; raises unavailable."""
        body = {"events": [to_builtins(event) for event in events]}
        receipt = (await self._call("POST", "/internal/v1/events", body)).json()
        for refused in receipt["refused"]:
            event = events[refused["index"]]
            log.error("event_refused", account=event.account, amount=event.amount, cause=refused["message"])

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _call(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        answer = await self._send(method, path, body)
        _succeeded(answer)
        return answer

    async def _send(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        try:
            return await self._http.request(method, path, json=body)
        except httpx2.HTTPError as error:
            raise unavailable() from error


def _succeeded(answer: httpx2.Response) -> None:
    if answer.status_code >= HTTPStatus.BAD_REQUEST:
        request = answer.request
        raise unavailable() from RuntimeError(f"{request.method} {request.url.path}: {answer.status_code}")


def open_metering(url: str, service_token: str) -> Metering:
    headers = {"authorization": f"Bearer {service_token}"}
    return Metering(httpx2.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False))


def unavailable() -> Problem:
    return Problem("unavailable", "Usage metering is not reachable right now; try again", retry_after_s=1)
