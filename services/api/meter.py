"""The meter as admission sends to it: one pipeline a node, a lost reply asked for again, and nodes that are away."""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.api.wire import Wire
from shared.cluster import Cluster, is_elsewhere
from shared.messages import METER_SHARDS, meter_stream
from shared.redis import open_redis
from shared.tasks import stop_tasks

PROBE_S = 0.1
# The call may have been executed.
LOST = (RedisConnectionError, RedisTimeoutError, OSError)

Command = list[Any]


class Reply(msgspec.Struct, frozen=True):
    """``value`` is the function's or an error; ``repeated`` says that a first reply was lost."""

    value: Any
    repeated: bool = False


class Nodes(Protocol):
    """Which client reaches a key: a cluster, or the one there is."""

    def of(self, key: str) -> "Redis": ...
    async def learn(self) -> None: ...
    async def refresh(self) -> None: ...
    async def aclose(self) -> None: ...


class OneNode:
    def __init__(self, redis: "Redis") -> None:
        self._redis = redis

    def of(self, key: str) -> "Redis":
        del key
        return self._redis

    async def learn(self) -> None:
        """There is nothing to find out."""

    async def refresh(self) -> None:
        """There is nothing to find out."""

    async def aclose(self) -> None:
        await self._redis.aclose()


def open_meter(url: str, *, timeout_s: float) -> "Meter":
    redis = open_redis(url, timeout_s=timeout_s)
    return Meter(redis if isinstance(redis, Cluster) else OneNode(redis))


class Meter:
    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._away: set[int] = set()
        self._wires: dict[Redis, Wire] = {}
        self._probing: asyncio.Task[None] | None = None

    def node(self, shard: int) -> "Redis":
        return self._nodes.of(meter_stream(shard))

    def is_away(self, shard: int) -> bool:
        """Whether the shard did not answer, and has not since."""
        return shard in self._away

    async def call(self, commands: Mapping[int, Command]) -> dict[int, Reply]:
        """One call of a function for each shard, in one round trip; what is lost is sent once more as it was."""
        await self._learn()
        first = await self._send(commands)
        replies = {shard: Reply(value) for shard, value in first.items()}
        failed = {shard: commands[shard] for shard, value in first.items() if _has_failed(value)}
        if failed:
            await self._refresh()
            again = await self._send(failed)
            replies |= {shard: Reply(again[shard], isinstance(first[shard], LOST)) for shard in failed}
            self._stand_back({shard for shard, value in again.items() if _has_failed(value)})
        return replies

    async def ping(self) -> None:
        """Raises what the client raises unless every node answers."""
        await asyncio.gather(*(node.ping() for node in {self.node(shard) for shard in range(METER_SHARDS)}))

    async def aclose(self) -> None:
        if self._probing is not None:
            await stop_tasks([self._probing])
        for wire in self._wires.values():
            await wire.aclose()
        await self._nodes.aclose()

    async def _send(self, commands: Mapping[int, Command]) -> dict[int, Any]:
        by_node: dict[Redis, dict[int, Command]] = {}
        for shard, command in commands.items():
            by_node.setdefault(self.node(shard), {})[shard] = command
        if len(by_node) == 1:
            return await self._send_to(*by_node.popitem())
        sent = (self._send_to(node, shards) for node, shards in by_node.items())
        return {shard: value for values in await asyncio.gather(*sent) for shard, value in values.items()}

    async def _send_to(self, node: "Redis", commands: Mapping[int, Command]) -> dict[int, Any]:
        wire = self._wires.get(node)
        if wire is None:
            wire = self._wires[node] = Wire(node)
        try:
            replies = await wire.exchange([("FCALL", *command) for command in commands.values()])
            return dict(zip(commands, replies, strict=True))
        except (RedisError, OSError) as error:
            return dict.fromkeys(commands, error)

    def _stand_back(self, shards: set[int]) -> None:
        """Ask them no more until they answer again, so that a node that hangs costs few calls their time."""
        self._away |= shards
        if self._away and self._probing is None:
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        try:
            while self._away:
                await asyncio.sleep(PROBE_S)
                await self._refresh()
                shards = sorted(self._away)
                answers = await asyncio.gather(*(self._answers(shard) for shard in shards))
                self._away -= {shard for shard, answer in zip(shards, answers, strict=True) if answer}
        finally:
            self._probing = None

    async def _answers(self, shard: int) -> bool:
        """Asks for a key, which a node answers only for a slot that it serves."""
        try:
            await self.node(shard).exists(meter_stream(shard))
        except (RedisError, OSError):
            return False
        return True

    async def _learn(self) -> None:
        try:
            await self._nodes.learn()
        except (RedisError, OSError):
            return  # the call itself will say so

    async def _refresh(self) -> None:
        try:
            await self._nodes.refresh()
        except (RedisError, OSError):
            return  # as long as no node answers, the last that was known holds


def _has_failed(value: Any) -> bool:
    return isinstance(value, LOST) or is_elsewhere(value)
