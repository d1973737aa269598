"""The product as the suite breaks it: both stores durable, and each process at hand for itself."""

import asyncio
import random
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx2
import msgspec
from load import Caller
from product import Urls, service_environment
from proxy import Proxy
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from cli.main import build_parser
from cli.migrate import migrate
from cli.stores import Settings, Stores
from deploy.local.postgres import postgres_store
from deploy.local.valkey import valkey_store
from tests.faults.cluster import Cluster
from tests.faults.processes import Process, Server, Service

PATIENCE_S = 60.0
POLL_S = 0.02
LASTING_PORTS = (20_000, 32_000)
CLIENT_TIMEOUT_S = 5.0
CLOCK = Path(__file__).with_name("clock")


class Setup(msgspec.Struct, frozen=True):
    """How many gateways there are and what lies between the processes.

    ``clock_s`` sets the last gateway's clock off. Proxies stand before the gateways' Redis, or metering's stores.
    ``cluster`` has three nodes for the meter, beside the Redis of the queue.
    """

    gateways: int = 2
    clock_s: int = 0
    renderer: bool = False
    proxied_gateways: bool = False
    proxied_metering: bool = False
    cluster: bool = False
    environment: tuple[tuple[str, str], ...] = ()


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = Server(postgres_store(folder), folder, folder / "postgres" / "postmaster.pid")
        self.valkey = Server(valkey_store(folder), folder, folder / "valkey" / "valkey.pid")
        self.meter_proxy = Proxy(self.valkey.url)
        self.ledger_proxy = Proxy(self.postgres.url)
        self.cluster: Cluster | None = None
        self._ports = _lasting_ports(4)
        self.metering: Service = self._metering(Setup())
        self.renderer: Service | None = None
        self.gateways: list[Service] = []
        self._setup: Setup | None = None

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self._ports[: len(self.gateways)]]

    @property
    def metering_url(self) -> str:
        return f"http://127.0.0.1:{self._ports[-1]}"

    @property
    def services(self) -> list[Service]:
        return [*self.gateways, self.metering, *([self.renderer] if self.renderer else [])]

    async def arrange(self, setup: Setup) -> None:
        """Have the processes run as ``setup`` says; those that run otherwise are ended first."""
        if setup == self._setup:
            return
        await asyncio.gather(*(asyncio.to_thread(service.stop) for service in self.services))
        await self.arrange_cluster(wanted=setup.cluster)
        self.metering = self._metering(setup)
        self.gateways = [self._gateway(setup, at) for at in range(setup.gateways)]
        self.renderer = self._renderer() if setup.renderer else None
        self._setup = setup
        for service in self.services:
            service.start()
        for url in (self.metering_url, *self.urls):
            await ready(url)

    async def arrange_cluster(self, *, wanted: bool) -> None:
        """A new and empty one, or none."""
        if self.cluster is not None:
            await self.cluster.stop()
            self.cluster = None
        if wanted:
            self.cluster = Cluster(self.folder)
            await self.cluster.start()

    @property
    def meter_url(self) -> str:
        """The Redis of admission and counting, as the services and the command are told."""
        if self.cluster is None:
            return self.valkey.url
        return self.cluster.url.replace("redis://", "redis+cluster://")

    def meter(self) -> Redis | RedisCluster:
        """A client of the meter's Redis, to be used as a context."""
        if self.cluster is None:
            return Redis.from_url(self.valkey.url, socket_timeout=CLIENT_TIMEOUT_S)
        return RedisCluster.from_url(self.cluster.url, socket_timeout=CLIENT_TIMEOUT_S)

    async def rebuild(self) -> None:
        """After a case that broke off: mend and end everything, and start the stores again."""
        for proxy in (self.meter_proxy, self.ledger_proxy):
            proxy.disarm()
            proxy.mend()
        for process in (*self.services, self.valkey, self.postgres):
            await asyncio.to_thread(process.kill)
        await self.arrange_cluster(wanted=False)
        for server in (self.valkey, self.postgres):
            await asyncio.to_thread(server.start)
        self._setup = None

    def _environment(self, setup: Setup, *, proxied: bool) -> dict[str, str]:
        urls = Urls(self.postgres.url, self.valkey.url, (self.folder / "objects").as_uri())
        given = service_environment(urls, metering=self.metering_url)
        given["TMPDIR"] = str(self.folder)
        given["METER_REDIS_URL"] = self.meter_proxy.url if proxied else self.meter_url
        return {**given, **dict(setup.environment)}

    def _gateway(self, setup: Setup, at: int) -> Service:
        given = self._environment(setup, proxied=setup.proxied_gateways) | {"PORT": str(self._ports[at])}
        if setup.clock_s and at == setup.gateways - 1:
            given |= {"PYTHONPATH": str(CLOCK), "CLOCK_OFFSET_S": str(setup.clock_s)}
        return Service(f"gateway-{at + 1}", "services.api", given, self.folder)

    def _metering(self, setup: Setup) -> Service:
        given = self._environment(setup, proxied=setup.proxied_metering)
        given |= {"METERING_PORT": str(self._ports[-1])}
        given |= {"DATABASE_URL": self.ledger_proxy.url} if setup.proxied_metering else {}
        return Service("metering", "services.metering", given, self.folder)

    def _renderer(self) -> Service:
        return Service(
            "renderer", "services.renderer", self._environment(Setup(), proxied=False), self.folder
        )

    async def caller(self, limits: Mapping[str, int] | None = None) -> Caller:
        """A new account with a key; its limits are ``limits``, and none beside them."""
        stores = Stores(Settings(database_url=self.postgres.url, redis_url=self.meter_url))
        cells = {
            "burst_per_min": "unlimited",
            "api_calls": "unlimited",
            "documents": "unlimited",
            **(limits or {}),
        }
        options = [part for name, cell in cells.items() for part in ("--limit", f"{name}={cell}")]
        try:
            account = await command(stores, "accounts", "create", "--name", "Studio")
            await command(stores, "accounts", "set-plan", account["id"], "enterprise", *options)
            key = await command(stores, "keys", "create", "--account", account["id"])
        finally:
            await stores.aclose()
        return Caller(account["id"], key["key"], limit=(limits or {}).get("api_calls"))

    def log(self, last_chars: int = 1500) -> str:
        """The end of each process's log."""
        return "\n".join(
            f"== {path.name}\n{path.read_text()[-last_chars:]}" for path in self.folder.glob("*.log")
        )


@asynccontextmanager
async def opened_world() -> AsyncGenerator[World]:
    """Stores that are migrated and proxies that pass; the services are started by arranging them."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(_folder())
        world = World(folder)
        for server in (world.postgres, world.valkey):
            stack.push_async_callback(asyncio.to_thread, server.stop)
            await asyncio.to_thread(server.start)
        for proxy in (world.meter_proxy, world.ledger_proxy):
            await proxy.start()
            stack.push_async_callback(proxy.aclose)
        await asyncio.to_thread(migrate, world.postgres.url)
        stack.push_async_callback(world.arrange_cluster, wanted=False)
        stack.push_async_callback(stop_services, world)
        yield world


@contextmanager
def _folder() -> Generator[Path]:
    """A temporary one, through which the stores' user reaches what is its own."""
    folder = Path(tempfile.mkdtemp(prefix="invouno-faults-"))
    try:
        folder.chmod(0o711)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lasting_ports(count: int) -> list[int]:
    """Ports below those of outgoing connections, so that each is still free when its service is started again."""
    offered = random.sample(range(*LASTING_PORTS), 100)
    return [port for port in offered if _is_free(port)][:count]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


async def stop_services(world: World) -> None:
    await asyncio.gather(*(asyncio.to_thread(service.stop) for service in world.services))


async def command(stores: Stores, *arguments: str) -> dict[str, str]:
    options = build_parser().parse_args(arguments)
    return await options.perform(stores, options)


async def ready(url: str) -> None:
    """Return when the service says that it lacks nothing; raises TimeoutError."""
    async with httpx2.AsyncClient(trust_env=False, verify=False) as http:

        async def is_ready() -> bool:
            with suppress(httpx2.HTTPError):
                return (await http.get(f"{url}/health/ready")).status_code == 200
            return False

        await until(is_ready)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE_S
    while not await holds():
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(POLL_S)


def process_of(world: World, name: str) -> Process:
    nodes = world.cluster.nodes if world.cluster else []
    processes: list[Process] = [*world.services, *nodes, world.postgres, world.valkey]
    return next(process for process in processes if process.name == name)
