"""Load on gateways, every call of which is remembered: that it was sent, and how it ended."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from random import Random
from urllib.parse import urlsplit

import bodies
import msgspec
from bodies import document

ANSWER_TIMEOUT_S = 60.0
AFTER_REFUSAL_S = 0.03
# What is refused before it is counted, for certain.
REFUSED = frozenset({401, 403, 429})
SERVER_ERROR = 500

GONE = (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError)


class Tally(msgspec.Struct):
    """One account's calls as its callers saw them; ``statuses`` has 0 for a connection that died under way."""

    sent: int = 0
    creates: int = 0
    created: int = 0
    statuses: Counter[int] = msgspec.field(default_factory=Counter)

    @property
    def admitted(self) -> int:
        return sum(n for status, n in self.statuses.items() if 0 < status < SERVER_ERROR) - self.refused

    @property
    def refused(self) -> int:
        return sum(self.statuses[status] for status in REFUSED)

    @property
    def possible(self) -> int:
        """How many calls may have been counted: an unanswered one and a 503 may have been."""
        return self.sent - self.refused


class Caller(msgspec.Struct):
    """An account with a key, one of its documents and one of its clients."""

    account_id: str
    key: str
    document_id: str = ""
    client_id: str = ""
    limit: int | None = None
    tally: Tally = msgspec.field(default_factory=Tally)

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {self.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class Kind(msgspec.Struct, frozen=True):
    """A kind of call: its method, and its path and body for a caller."""

    method: str
    path: Callable[[Caller], str]
    body: Callable[[Caller], bytes] = lambda _: b""


TEMPLATES = Kind("GET", lambda _: "/v1/templates")
DOCUMENT = Kind("GET", lambda caller: f"/v1/documents/{caller.document_id}")
PDF = Kind("GET", lambda caller: f"/v1/documents/{caller.document_id}/pdf")
CREATE = Kind(
    "POST", lambda _: "/v1/documents", lambda caller: msgspec.json.encode(document(caller.client_id))
)
UPDATE = Kind(
    "PUT",
    lambda caller: f"/v1/documents/{caller.document_id}",
    lambda _: msgspec.json.encode({"notes": f"Changed at {time.time_ns()}"}),
)
CLIENT = Kind("POST", lambda _: "/v1/clients", lambda _: msgspec.json.encode(bodies.CLIENT))


class Line:
    """One keep-alive connection to a gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.body = b""  # of the last answer

    async def call(self, caller: Caller, kind: Kind) -> int:
        """The status; raises one of GONE when no answer comes. Either is in the caller's tally."""
        tally = caller.tally
        tally.sent += 1
        tally.creates += kind is CREATE
        status = 0
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                self._writer.write(caller.request(kind.method, kind.path(caller), kind.body(caller)))
                status = await self._read_answer()
        finally:
            tally.statuses[status] += 1
        tally.created += kind is CREATE and status == 201
        return status

    async def _read_answer(self) -> int:
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        self.body = await self._reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
        return int(head[9:12])

    def close(self) -> None:
        self._writer.transport.abort()


async def open_line(gateway: str) -> Line:
    """Raises OSError."""
    parts = urlsplit(gateway)
    return Line(*await asyncio.open_connection(parts.hostname, parts.port))


class Load:
    """``lines`` connections, spread over callers and gateways; each calls again after ``think_s`` or less."""

    def __init__(
        self,
        gateways: Sequence[str],
        callers: Sequence[Caller],
        kinds: Sequence[Kind],
        *,
        lines: int,
        think_s: float,
        seed: str,
    ) -> None:
        self._gateways = gateways
        self._callers = callers
        self._kinds = kinds
        self._lines = lines
        self._think_s = think_s
        self._seed = seed
        self._tasks: list[asyncio.Task[None]] = []
        self._is_over = False

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._keep_calling(at)) for at in range(self._lines)]

    async def stop(self) -> None:
        """Return when each call under way has ended."""
        self._is_over = True
        await asyncio.gather(*self._tasks)

    async def _keep_calling(self, at: int) -> None:
        """Again and again, on the next gateway when one is gone."""
        caller = self._callers[at % len(self._callers)]
        random = Random(f"{self._seed}:{at}")
        for turn in count(at // len(self._callers) + at):
            if self._is_over:
                return
            with suppress(*GONE):
                line = await open_line(self._gateways[turn % len(self._gateways)])
                try:
                    await self._converse(line, caller, random)
                finally:
                    line.close()
            await asyncio.sleep(AFTER_REFUSAL_S)

    async def _converse(self, line: Line, caller: Caller, random: Random) -> None:
        while not self._is_over:
            status = await line.call(caller, random.choice(self._kinds))
            refused = status >= SERVER_ERROR or status in REFUSED
            await asyncio.sleep(AFTER_REFUSAL_S if refused else random.uniform(0, self._think_s))
