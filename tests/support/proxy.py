"""A TCP proxy that breaks what passes: it cuts, slows, loses replies, and holds a call at a chosen moment."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

CHUNK_BYTES = 64 * 1024


class Trap:
    """Holds the first call that has ``needle`` in it: before it reaches the server, or when its reply has come back."""

    def __init__(self, needle: bytes, *, after: bool) -> None:
        self.needle = needle
        self.after = after
        self.sprung = asyncio.Event()


class Proxy:
    """In front of the server of ``url``; to be started once, on the loop that it shall run on.

    ``delay_s`` holds every reply back. ``replies_to_lose`` are thrown away after the server has executed what they
    answer: with the connection, or silently when ``hangs``.
    """

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._conversations: set[asyncio.Task[None]] = set()
        self._is_cut = False
        self._trap: Trap | None = None
        self.url = ""
        self.delay_s = 0.0
        self.replies_to_lose = 0
        self.hangs = False

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        login, _, _ = self._target.netloc.rpartition("@")
        netloc = f"{login}@127.0.0.1:{port}" if login else f"127.0.0.1:{port}"
        self.url = urlunsplit(self._target._replace(netloc=netloc))

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        conversations = list(self._conversations)
        for conversation in conversations:
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection, and each new one, until it is mended."""
        self._is_cut = True
        self._reset()

    def arm(self, trap: Trap) -> Trap:
        self._trap = trap
        return trap

    def disarm(self) -> None:
        """Let go of what the trap holds, by resetting it."""
        self._trap = None
        self._reset()

    def mend(self) -> None:
        self._is_cut = False
        self.delay_s = 0.0
        self.replies_to_lose = 0

    def _reset(self) -> None:
        for conversation in self._conversations:
            conversation.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        try:
            if not self._is_cut:
                with suppress(OSError, asyncio.CancelledError):
                    await self._converse(reader, writer)
        finally:
            writer.transport.abort()
            self._conversations.discard(task)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(self._target.hostname, self._target.port)
        caught = asyncio.Event()
        pumps = {
            asyncio.create_task(self._pass_calls(reader, there[1], caught)),
            asyncio.create_task(self._pass_replies(there[0], writer, caught)),
        }
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            there[1].transport.abort()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pass_calls(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, caught: asyncio.Event
    ) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            trap = self._trap
            if trap and trap.needle in chunk and not trap.sprung.is_set():
                caught.set()
                if not trap.after:
                    await _hold(trap)
            writer.write(chunk)
            await writer.drain()

    async def _pass_replies(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, caught: asyncio.Event
    ) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            if self._trap and caught.is_set():
                await _hold(self._trap)
            if self.replies_to_lose > 0:
                self.replies_to_lose -= 1
                if self.hangs:
                    continue
                return
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            writer.write(chunk)
            await writer.drain()


async def _hold(trap: Trap) -> None:
    """Until the connection is reset."""
    trap.sprung.set()
    await asyncio.Event().wait()
