"""A browser's process, and the DevTools protocol with it over a socket of its own, without a driver in between.

Messages are JSON that ends with a zero byte, on descriptors 3 and 4 of the browser (`--remote-debugging-pipe`). It ends
by itself as soon as nobody holds the other end.
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Self, cast

import msgspec

CLOSE_TIMEOUT_S = 3.0
FOLDER_PREFIX = "invouno-browser-"
# A folder of this age has been locked by its worker, if that is alive.
SWEPT_AFTER_S = 60.0
COMPLAINTS = "complaints"
COMPLAINT_CHARS_MAX = 300
# Above those that the browser reads from and writes to.
DESCRIPTOR_MIN = 10
END = b"\0"


class DevToolsError(Exception):
    """The browser refused, or it has ended."""


class Refusal(msgspec.Struct):
    message: str = ""


class Message(msgspec.Struct, rename={"session": "sessionId"}):
    """An answer by its ``id``, or an event by its ``method``."""

    id: int = 0
    method: str = ""
    session: str = ""
    result: msgspec.Raw = msgspec.Raw(b"{}")
    error: Refusal | None = None


_decode = msgspec.json.Decoder(Message).decode


class Folder:
    """A browser's own, which is locked while its worker lives and removed when the browser has ended."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
        self._descriptor = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._descriptor)


class Browser(asyncio.Protocol):
    """A browser's process; when the socket ends it is killed, its process waited for, and its folder removed."""

    def __init__(self, process_id: int, folder: Folder) -> None:
        self._process_id = process_id
        self._folder = folder
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._crash: dict[str, Callable[[], None]] = {}
        self._parts: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._is_lost = False
        self._buried = self._loop.create_future()
        self.last_words = ""

    @classmethod
    async def launch(cls, path: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Self:
        """The executable, also by its name on the PATH, once it answers; raises DevToolsError or OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                browser = cls._started(path, arguments, environment, theirs)
            except BaseException:
                ours.close()
                raise
        connecting = asyncio.get_running_loop().create_unix_connection(lambda: browser, sock=ours)
        try:
            await asyncio.shield(connecting)
            await browser.ask("Browser.getVersion")
        except DevToolsError as error:
            raise DevToolsError(f"The browser has ended at once: {browser.last_words}") from error
        except BaseException:
            browser.kill()  # of which the connection hears, also one that is only being made
            raise
        return browser

    @classmethod
    def _started(
        cls, path: str, arguments: Sequence[str], environment: Mapping[str, str], theirs: socket.socket
    ) -> Self:
        folder = Folder()
        try:
            return cls(_spawn(path, arguments, environment, folder.path, theirs), folder)
        except BaseException:
            folder.remove()
            raise

    @property
    def is_up(self) -> bool:
        return self._transport is not None

    @property
    def is_gone(self) -> bool:
        """With all that it left behind."""
        return self._buried.done()

    async def ask(self, method: str, params: Mapping[str, object] | None = None, *, session: str = "") -> Any:
        """The browser's answer, or the session's; raises DevToolsError."""
        return msgspec.json.decode(await self.ask_raw(method, params, session=session))

    async def ask_raw(
        self, method: str, params: Mapping[str, object] | None = None, *, session: str = ""
    ) -> msgspec.Raw:
        """The same as JSON."""
        if self._transport is None:
            raise DevToolsError("The browser has ended")
        number = next(self._numbers)
        asked = {"id": number, "method": method, "params": params or {}}
        answer = self._asked[number] = self._loop.create_future()
        try:
            text = msgspec.json.encode(asked | {"sessionId": session} if session else asked)
            self._transport.writelines((text, END))
            return await answer
        finally:
            del self._asked[number]

    def on_crash(self, session: str, act: Callable[[], None]) -> None:
        """What to do when the session's page has crashed; what was asked of it then is never answered."""
        self._crash[session] = act

    def kill(self) -> None:
        """End it and all that it has started, at once."""
        if not self._is_lost:  # whoever is not waited for keeps the id
            # To macOS a group of processes that have ended already is somebody else's.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process_id, signal.SIGKILL)

    async def close(self) -> None:
        """Have it end, by force if it must be; until it is gone, and its folder."""
        with contextlib.suppress(DevToolsError, TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.ask("Browser.close")
                await asyncio.shield(self._buried)
        self.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await asyncio.shield(self._buried)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        first, *others = data.split(END)
        self._parts.append(first)
        for part in others:
            self._heard(b"".join(self._parts))
            self._parts = [part]

    def connection_lost(self, exc: Exception | None) -> None:
        self.kill()
        self._is_lost, self._transport = True, None
        self.last_words = _last_line(self._folder.path / COMPLAINTS) or str(exc or "without a word")
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(DevToolsError("The browser has ended"))
        burying = self._loop.run_in_executor(None, _bury, self._process_id, self._folder)
        burying.add_done_callback(lambda _: self._buried.set_result(None))

    def _heard(self, text: bytes) -> None:
        message = _decode(text)
        answer = self._asked.get(message.id)
        if answer is not None and not answer.done():
            if message.error is None:
                answer.set_result(message.result)
            else:
                answer.set_exception(DevToolsError(message.error.message))
        elif message.method == "Inspector.targetCrashed" and message.session in self._crash:
            self._crash[message.session]()


def sweep() -> None:
    """Remove the folders of browsers whose worker has been killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > SWEPT_AFTER_S and not _is_locked(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _spawn(
    path: str, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, theirs: socket.socket
) -> int:
    """In a process group of its own, so that a signal for the worker's group lets it finish what is under way."""
    descriptor = fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, DESCRIPTOR_MIN)
    complaints = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    try:
        return os.posix_spawnp(
            path,
            (path, *arguments, f"--user-data-dir={folder}", "--remote-debugging-pipe"),
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, str(folder / COMPLAINTS), complaints, 0o600),
                (os.POSIX_SPAWN_DUP2, descriptor, 3),
                (os.POSIX_SPAWN_DUP2, descriptor, 4),
            ],
            setpgroup=0,
        )
    finally:
        os.close(descriptor)


def _bury(process_id: int, folder: Folder) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process_id, 0)
    folder.remove()


def _is_locked(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _last_line(path: Path) -> str:
    with contextlib.suppress(OSError):
        lines = path.read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")[:COMPLAINT_CHARS_MAX]
    return ""
