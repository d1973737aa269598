"""The metering service as the gateway sees it: two calls over HTTP, neither on the path of an ordinary request."""

from http import HTTPStatus
from typing import Any

import httpx2

from shared.errors import Problem

TIMEOUT_S = 5.0


class Metering:
    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def usage(self, account_id: str) -> dict[str, Any]:
        """The documented shape of `/v1/usage`; raises unavailable."""
        answer = await self._call("GET", f"/internal/v1/usage/{account_id}")
        return answer.json()

    async def seed(self, account_id: str) -> None:
        """Have the account's limits and counters put into the meter; raises unavailable."""
        await self._call("POST", f"/internal/v1/accounts/{account_id}/seed")

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _call(self, method: str, path: str) -> httpx2.Response:
        try:
            answer = await self._http.request(method, path)
        except httpx2.HTTPError as error:
            raise unavailable() from error
        if answer.status_code >= HTTPStatus.BAD_REQUEST:
            raise unavailable() from RuntimeError(f"{method} {path} was answered {answer.status_code}")
        return answer


def open_metering(url: str, service_token: str) -> Metering:
    headers = {"authorization": f"Bearer {service_token}"}
    return Metering(httpx2.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False))


def unavailable() -> Problem:
    return Problem("unavailable", "Usage metering is not reachable right now; try again", retry_after_s=1)
