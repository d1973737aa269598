"""Counts what the gateway's admission writes to Redis in each tick of an event loop."""

import asyncio
import time
from collections import Counter
from typing import Any

import msgspec

from services.api.admission import StaleGenerationError
from services.api.app import open_state
from services.api.call import State
from services.api.settings import Settings
from tests.faults.world import World

ACCOUNTS = 40
ASKING = 64
SECONDS = 2.0


class RoundTrips(msgspec.Struct, frozen=True):
    """``most`` is the largest number of writes in one tick."""

    accounts: int
    admissions: int
    writes: int
    ticks: int
    most: int


class TickingLoop(asyncio.SelectorEventLoop):
    """Knows its tick, and how many writes each one had by the port that they went to."""

    def __init__(self) -> None:
        super().__init__()
        self.tick = 0
        self.writes: dict[int, Counter[int]] = {}

    def _run_once(self) -> None:
        self.tick += 1
        super()._run_once()  # type: ignore[misc] - asyncio's own step, which has no public name

    def _make_socket_transport(self, *arguments: Any, **options: Any) -> Any:
        transport = super()._make_socket_transport(*arguments, **options)  # type: ignore[misc]
        write, port = transport.write, transport.get_extra_info("peername")[1]

        def counted(data: Any) -> None:
            self.writes.setdefault(port, Counter())[self.tick] += 1
            write(data)

        transport.write = counted
        transport.writelines = lambda parts: counted(b"".join(parts))
        return transport


async def count_round_trips(world: World) -> RoundTrips:
    accounts = [(await world.caller()).account_id for _ in range(ACCOUNTS)]
    environment = world.gateways[0].environment
    settings = Settings(
        database_url=world.postgres.url,
        redis_url=world.valkey.url,
        object_store_url=environment["OBJECT_STORE_URL"],
        service_token=environment["SERVICE_TOKEN"],
        metering_url=world.metering_url,
    )
    return await asyncio.to_thread(
        _counted, settings, accounts, int(world.valkey.url.rsplit(":", 1)[1].split("/")[0])
    )


def _counted(settings: Settings, accounts: list[str], port: int) -> RoundTrips:
    with asyncio.Runner(loop_factory=TickingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, TickingLoop)
        return runner.run(_ask_all(loop, settings, accounts, port))


async def _ask_all(loop: TickingLoop, settings: Settings, accounts: list[str], port: int) -> RoundTrips:
    async with open_state(settings) as state:
        for account in accounts:
            await _admit(state, account)
        loop.writes.clear()
        began = loop.tick
        counts = await asyncio.gather(*(_keep_asking(state, accounts[at % ACCOUNTS]) for at in range(ASKING)))
        writes = loop.writes[port]
        return RoundTrips(ACCOUNTS, sum(counts), writes.total(), loop.tick - began, max(writes.values()))


async def _keep_asking(state: State, account: str) -> int:
    end, count = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        await _admit(state, account)
        count += 1
    return count


async def _admit(state: State, account: str) -> None:
    """An account without counters is seeded by the first question, which is to be asked again."""
    for _ in range(3):
        try:
            await state["admission"].admit(account, 0, calls=1, documents=0)
        except StaleGenerationError:
            continue
        return
