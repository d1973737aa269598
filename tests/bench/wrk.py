"""Throughput of one URL at a fixed number of keep-alive connections: by wrk, or by this process where there is none."""

import asyncio
import re
import shutil
import time
from collections.abc import Mapping

from load import DOCUMENT, Caller, Kind, open_line

CONNECTIONS = 32


async def calls_per_s(gateway: str, caller: Caller, *, seconds: float, kind: Kind = DOCUMENT) -> float:
    """GET of the caller's document, or another kind of call; raises AssertionError when any fails."""
    if shutil.which("wrk"):
        return await _by_wrk(
            f"{gateway}{kind.path(caller)}", {"authorization": f"Bearer {caller.key}"}, seconds
        )
    return await _by_asyncio(gateway, caller, seconds, kind)


async def _by_wrk(url: str, headers: Mapping[str, str], seconds: float) -> float:
    given = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    process = await asyncio.create_subprocess_exec(
        "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", *given, url, stdout=asyncio.subprocess.PIPE
    )
    text = (await process.communicate())[0].decode()
    found = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert found, text
    assert "Non-2xx" not in text, text
    assert "Socket errors" not in text, text
    return float(found[1])


async def _by_asyncio(gateway: str, caller: Caller, seconds: float, kind: Kind) -> float:
    end = time.monotonic() + seconds
    counts = await asyncio.gather(*(_call_until(end, gateway, caller, kind) for _ in range(CONNECTIONS)))
    return sum(counts) / seconds


async def _call_until(end: float, gateway: str, caller: Caller, kind: Kind) -> int:
    line = await open_line(gateway)
    count = 0
    while time.monotonic() < end:
        assert await line.call(caller, kind) == 200
        count += 1
    line.close()
    return count
