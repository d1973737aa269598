"""Bulk creates of documents in tests: send them, and read what has come of each item."""

from typing import Any

import httpx2
from account import Account

BULK = "/v1/documents/bulk"


def post(
    account: Account, *documents: Any, headers: dict[str, str] | None = None, **fields: Any
) -> httpx2.Response:
    return account.http.post(BULK, json={"documents": documents, **fields}, headers=headers)


def results(answer: httpx2.Response) -> list[dict[str, Any]]:
    """Of a call that was worked on, whose sums are right."""
    assert answer.status_code == 200, answer.text
    told = answer.json()
    created = sum(result["status"] == 201 for result in told["results"])
    assert (told["created"], told["failed"]) == (created, len(told["results"]) - created)
    return told["results"]


def made(answer: httpx2.Response) -> list[dict[str, Any]]:
    """The documents of a call of which nothing failed."""
    found = results(answer)
    assert all(result["status"] == 201 for result in found), answer.text
    return [result["document"] for result in found]


def used(account: Account) -> int:
    return account.usage()["documents"]["used"]
