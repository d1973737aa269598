"""A small application for tests of the server before it, and the requests that it understands."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable

from raw import RawAnswer
from starlette.types import Receive, Scope, Send

from services.api.http import Answer, read_body, send_answer
from shared.errors import Problem


class Application:
    """Answers with path and body; what else its paths do, each says."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.most_at_once = 0
        self.at_once = 0
        self.chunks = 0
        self.open = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        self.begun.append(path)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await send_answer(
                await self._answer(path, scope, receive), [], send, head=scope["method"] == "HEAD"
            )
        finally:
            self.at_once -= 1

    async def _answer(self, path: str, scope: Scope, receive: Receive) -> Answer:
        if path.startswith("/unread"):
            return Answer(body=path.encode())
        if path.startswith("/slow"):
            await asyncio.to_thread(self.open.wait)
        if path.startswith("/stream"):
            return Answer(stream=self._stream(int(scope["query_string"] or b"3")))
        if path.startswith("/large"):
            return Answer(body=b"x" * int(scope["query_string"]))
        try:
            body = await read_body(scope, receive, ("text/plain", ""))
        except Problem as problem:
            return Answer(status=413, body=problem.code.encode())
        return Answer(body=path.encode() + body)

    async def _stream(self, count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            self.chunks += 1
            yield b"x" * 1000
            await asyncio.sleep(0)


def get(path: str, *headers: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"GET {path} HTTP/{version}", "Host: x", *headers, "", ""]).encode()


def post(path: str, body: bytes, *headers: str) -> bytes:
    return get(path, f"Content-Length: {len(body)}", *headers).replace(b"GET", b"POST", 1) + body


def bodies(found: list[RawAnswer]) -> list[str]:
    return [answer.body.decode() for answer in found]


def eventually(holds: Callable[[], bool], timeout_s: float = 8) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
