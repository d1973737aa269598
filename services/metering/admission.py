"""Admission for internal services: the same function that the gateways call, over HTTP and in batches."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.metering.entries import Name
from services.metering.library import ensure_library, is_missing_function, read_library
from services.metering.seeding import Seeder
from services.metering.stores import send
from shared.errors import Problem
from shared.messages import (
    ADMIT_FUNCTION,
    METER_SHARDS,
    meter_account,
    meter_producer,
    meter_shard,
    meter_stream,
)

NO_KEY = -1
# A reply that is lost twice is an outage.
ATTEMPTS_MAX = 2
SEED_ROUNDS_MAX = 3
_SEED = 1
_REASONS = (None, "burst", "api_calls", "documents")


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``cost`` is granted whole or not at all; ``id`` comes back with the answer."""

    account: Name
    metric: Literal["api_calls", "documents"]
    cost: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    id: Annotated[str, Meta(max_length=255)] | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``remaining`` is what the period's quota has left, absent when unlimited."""

    account: str
    metric: str
    granted: bool
    id: str | None = None
    reason: str | None = None
    remaining: int | None = None
    retry_after_ms: int | None = None


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """One item of the function's reply; the head of admission.lua says what each number is."""

    status: int
    granted: int
    reason: int
    burst_limit: int
    burst_remaining: int
    burst_reset_ms: int
    retry_after_ms: int
    calls_limit: int
    calls_used: int
    documents_limit: int
    documents_used: int
    period_start_s: int
    period_end_s: int


class Admission:
    """One producer; at most one call under way per shard, so that its sequence arrives in order."""

    def __init__(self, redis: Redis, seeder: Seeder, *, producer: str) -> None:
        self._redis = redis
        self._seeder = seeder
        self._producer = producer
        self._seqs = [0] * METER_SHARDS
        self._turns = [asyncio.Lock() for _ in range(METER_SHARDS)]

    async def admit(self, asks: Sequence[Ask]) -> list[Verdict]:
        """A verdict for each, in order. Raises unavailable, or what the stores raise."""
        by_shard: dict[int, list[int]] = {}
        for at, ask in enumerate(asks):
            by_shard.setdefault(meter_shard(ask.account), []).append(at)
        verdicts: dict[int, Verdict] = {}
        for shard, places in by_shard.items():
            replies = await self._decide(shard, {at: asks[at] for at in places})
            verdicts |= {at: _verdict(asks[at], replies[at]) for at in places}
        return [verdicts[at] for at in range(len(asks))]

    async def _decide(self, shard: int, asks: Mapping[int, Ask]) -> dict[int, Reply]:
        """Replies by place; accounts without counters are seeded and asked for again."""
        decided: dict[int, Reply] = {}
        for _ in range(SEED_ROUNDS_MAX):
            open_asks = {at: ask for at, ask in asks.items() if at not in decided}
            replies = await self._call(shard, list(open_asks.values()))
            decided |= {
                at: reply for at, reply in zip(open_asks, replies, strict=True) if reply.status != _SEED
            }
            unseeded = {ask.account for at, ask in open_asks.items() if at not in decided}
            if not unseeded:
                return decided
            await asyncio.gather(*(self._seeder.seed(account) for account in unseeded))
        raise Problem("unavailable", "The accounts could not be seeded; try again", retry_after_s=1)

    async def _call(self, shard: int, asks: Sequence[Ask]) -> list[Reply]:
        async with self._turns[shard]:
            self._seqs[shard] += 1
            command = self._command(shard, asks)
            for attempt in range(1, ATTEMPTS_MAX + 1):
                try:
                    return msgspec.convert(await send(self._redis, *command), list[Reply])
                except (RedisConnectionError, RedisTimeoutError):
                    if attempt == ATTEMPTS_MAX:
                        raise
                except ResponseError as error:
                    if attempt == ATTEMPTS_MAX or not is_missing_function(error):
                        raise
                    await ensure_library(self._redis, read_library())
        raise AssertionError

    def _command(self, shard: int, asks: Sequence[Ask]) -> list[Any]:
        keys = [meter_stream(shard), meter_producer(shard, self._producer)]
        keys += [meter_account(ask.account) for ask in asks]
        costs = [number for ask in asks for number in _costs(ask)]
        return ["FCALL", ADMIT_FUNCTION, len(keys), *keys, self._producer, self._seqs[shard], *costs]


def _costs(ask: Ask) -> tuple[int, int, int, int]:
    if ask.metric == "documents":
        return NO_KEY, 1, 0, ask.cost
    return NO_KEY, 1, ask.cost, 0


def _verdict(ask: Ask, reply: Reply) -> Verdict:
    limit, used = {
        "documents": (reply.documents_limit, reply.documents_used),
        "api_calls": (reply.calls_limit, reply.calls_used),
    }[ask.metric]
    return Verdict(
        account=ask.account,
        metric=ask.metric,
        granted=reply.granted == 1,
        id=ask.id,
        reason=_REASONS[reply.reason],
        remaining=None if limit < 0 else max(0, limit - used),
        retry_after_ms=reply.retry_after_ms or None,
    )
