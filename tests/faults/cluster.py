"""Three Valkey nodes as one cluster on this machine, without replicas: a killed node comes back with its data."""

import asyncio
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from redis.asyncio import Redis

from deploy.local.store import free_port
from deploy.local.valkey import valkey_store
from tests.faults.processes import Server

NODES = 3
SLOTS = 16_384
JOIN_S = 20.0
PASSWORD = "a-password-of-the-cluster"


class Cluster:
    def __init__(self, folder: Path) -> None:
        home = Path(tempfile.mkdtemp(prefix="cluster-", dir=folder))
        home.chmod(0o711)
        self._buses = [free_port() for _ in range(NODES)]
        self.nodes = [_node(home, f"node-{at + 1}", bus) for at, bus in enumerate(self._buses)]

    @property
    def url(self) -> str:
        return self.nodes[0].url

    async def start(self) -> None:
        """Return when each node knows the others and all slots."""
        await asyncio.gather(*(asyncio.to_thread(node.start) for node in self.nodes))
        for at, node in enumerate(self.nodes):
            async with Redis.from_url(node.url) as redis:
                first, last = at * SLOTS // NODES, (at + 1) * SLOTS // NODES - 1
                await redis.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
                await redis.execute_command("CLUSTER MEET", "127.0.0.1", _port(self.nodes[0]), self._buses[0])
        for node in self.nodes:
            await _whole(node)

    async def stop(self) -> None:
        for node in self.nodes:
            await asyncio.to_thread(node.stop)


def _node(folder: Path, name: str, bus_port: int) -> Server:
    home = folder / name
    data = home / "valkey"
    data.mkdir(parents=True, mode=0o700)
    home.chmod(0o711)
    (data / "password").write_text(PASSWORD)
    store = valkey_store(home)
    settings = (
        "cluster-enabled yes",
        f"cluster-port {bus_port}",
        "cluster-node-timeout 2000",
        "cluster-require-full-coverage no",  # one node's death is nothing to the others' slots
    )
    with (data / "valkey.conf").open("a") as configuration:
        configuration.write("\n".join(settings) + "\n")
    return Server(store, home, data / "valkey.pid", name=name)


def _port(node: Server) -> int:
    port = urlsplit(node.url).port
    assert port is not None
    return port


async def _whole(node: Server) -> None:
    deadline = time.monotonic() + JOIN_S
    async with Redis.from_url(node.url) as redis:
        while not await _is_whole(redis):
            assert time.monotonic() < deadline, f"{node.name} has not joined"
            await asyncio.sleep(0.05)


async def _is_whole(redis: Redis) -> bool:
    info = dict(await redis.cluster("INFO"))  # type: ignore[arg-type] - the client reads the lines
    return info["cluster_state"] == "ok" and info["cluster_slots_ok"] == str(SLOTS)
