"""A Redis Cluster as a client of single keys needs it: which node has a key, and each node left alone by the others.

Every node has a client of its own, so that one that is away breaks no connection to another.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from redis.asyncio import Redis
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

SCHEMES = {"redis+cluster": "redis", "rediss+cluster": "rediss"}
_ELSEWHERE = ("MOVED ", "ASK ", "CLUSTERDOWN ", "TRYAGAIN ")


def is_cluster_url(url: str) -> bool:
    return urlsplit(url).scheme in SCHEMES


def is_elsewhere(reply: object) -> bool:
    """Whether the node has refused a command, because the key is another's by now, or nobody's for a moment."""
    refused = isinstance(reply, ResponseError) and str(reply).startswith(_ELSEWHERE)
    return refused or isinstance(reply, ReadOnlyError)


class Cluster:
    """``url`` may name several nodes, `redis+cluster://user:password@host:port,host:port`; one that is up will do."""

    def __init__(self, url: str, open_node: Callable[[str], "Redis"]) -> None:
        parts = urlsplit(url)
        user, at, hosts = parts.netloc.rpartition("@")
        self._form = parts._replace(scheme=SCHEMES[parts.scheme], netloc=user + at, path="")
        self._open_node = open_node
        self._nodes: dict[str, Redis] = {}
        self._named = hosts.split(",")
        self._informant = self._named[0]
        self._ranges: list[tuple[int, int, str]] = []

    def of(self, key: str) -> "Redis":
        """The node that has the key, as far as is known; any that answered last for the empty key."""
        if not key:
            return self._node(self._informant)
        slot = key_slot(key.encode())
        for first, last, address in self._ranges:
            if first <= slot <= last:
                return self._node(address)
        return self._node(self._informant)

    async def learn(self) -> None:
        """Find out who has which keys, unless something is known; raises as ``refresh`` does."""
        if not self._ranges:
            await self.refresh()

    async def primaries(self) -> "list[Redis]":
        await self.learn()
        return [self._node(address) for address in sorted({address for _, _, address in self._ranges})]

    async def refresh(self) -> None:
        """Learn anew who has which keys, from the first node that answers; raises what the last one raised."""
        problem: Exception = RedisConnectionError("The cluster has no node")
        known = [address for _, _, address in self._ranges]
        for address in dict.fromkeys([self._informant, *known, *self._named]):
            try:
                slots: Any = await self._node(address).execute_command("CLUSTER SLOTS")
            except (RedisError, OSError) as error:
                problem = error
                continue
            self._informant, self._ranges = address, [*_ranges(slots, address)]
            return
        raise problem

    async def execute_command(self, *parts: Any) -> Any:
        (reply,) = await self.pipeline().execute_command(*parts).execute()
        return reply

    def pipeline(self, *, transaction: bool = False) -> "ClusterPipeline":
        assert not transaction  # noqa: S101 - there is none across nodes
        return ClusterPipeline(self)

    async def aclose(self) -> None:
        for node in self._nodes.values():
            await node.aclose()

    def _node(self, address: str) -> "Redis":
        if address not in self._nodes:
            form = self._form._replace(netloc=self._form.netloc + address)
            self._nodes[address] = self._open_node(urlunsplit(form))
        return self._nodes[address]


def _ranges(slots: Iterable[Any], informant: str) -> Iterable[tuple[int, int, str]]:
    """A node that does not know its own name is the one that was asked."""
    for first, last, (host, port, *_), *_replicas in slots:
        name = (host or b"").decode() or informant.rpartition(":")[0]
        yield first, last, f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


class ClusterPipeline:
    """Commands that are sent together, each node's in one round trip; each names its key or is any node's to answer."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._commands: list[tuple[Any, ...]] = []

    def execute_command(self, *parts: Any) -> Self:
        self._commands.append(parts)
        return self

    async def execute(self, *, raise_on_error: bool = True) -> list[Any]:
        """Raises what is lost on the way; what a node refused because the key is another's is sent there."""
        try:
            await self._cluster.learn()
            replies = await self._send(range(len(self._commands)))
            moved = [at for at, reply in replies.items() if is_elsewhere(reply)]
            if moved:
                await self._cluster.refresh()
                replies |= await self._send(moved)
        except (RedisConnectionError, RedisTimeoutError, OSError):
            await self._relearn()
            if any(map(_key, self._commands)):
                raise
            replies = await self._send(range(len(self._commands)))  # another node knows as well
        results = [replies[at] for at in range(len(self._commands))]
        for result in results:
            if raise_on_error and isinstance(result, Exception):
                raise result
        return results

    async def _send(self, places: Iterable[int]) -> dict[int, Any]:
        by_node: dict[Redis, list[int]] = {}
        for at in places:
            by_node.setdefault(self._cluster.of(_key(self._commands[at])), []).append(at)
        sent = (self._send_to(node, mine) for node, mine in by_node.items())
        return {at: reply for replies in await asyncio.gather(*sent) for at, reply in replies.items()}

    async def _send_to(self, node: "Redis", places: Sequence[int]) -> dict[int, Any]:
        pipeline = node.pipeline(transaction=False)
        for at in places:
            pipeline.execute_command(*self._commands[at])
        return dict(zip(places, await pipeline.execute(raise_on_error=False), strict=True))

    async def _relearn(self) -> None:
        try:
            await self._cluster.refresh()
        except (RedisError, OSError):
            return  # as long as no node answers, the last that was known holds


def _key(parts: Sequence[Any]) -> str:
    """The key that decides where a command goes; all further ones share its slot."""
    if parts[0] == "FCALL":
        return str(parts[3])
    if parts[0] == "XREAD":
        return str(parts[parts.index("STREAMS") + 1])
    return str(parts[1]) if len(parts) > 1 else ""
