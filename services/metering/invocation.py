"""Invoking the admission function: one producer for what is asked once, and one per id for what may be asked again.

The function answers a call that comes again under the same producer and sequence number by its first reply, for a day;
and the ledger's fence knows the call for longer. So an id that is its own producer is decided once, whatever crashes.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.metering.library import ensure_library, is_missing_function, read_library
from services.metering.stores import send
from shared.errors import Problem
from shared.messages import ADMIT_FUNCTION, METER_SHARDS, meter_account, meter_producer, meter_stream

NO_KEY = -1
# A reply that is lost twice is an outage.
ATTEMPTS_MAX = 2
SEED = 1


class Item(msgspec.Struct, frozen=True):
    """``n`` identical requests for an account, each of this cost; none asks for the state alone."""

    account: str
    n: int
    calls: int
    documents: int


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


class Producer:
    """At most one call under way per shard, so that the sequence arrives in order."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._redis = redis
        self._name = name
        self._seqs = [0] * METER_SHARDS
        self._turns = [asyncio.Lock() for _ in range(METER_SHARDS)]

    async def invoke(self, shard: int, items: Sequence[Item]) -> list[Reply]:
        """A reply for each; a reply that is lost is asked for again and counts nothing twice.

        Raises unavailable when the second reply is a seed: Redis may have counted, handed over and lost its data since,
        so that to ask anew could count twice.
        """
        async with self._turns[shard]:
            self._seqs[shard] += 1
            command = _command(shard, self._name, self._seqs[shard], items)
            try:
                return await self._sent(command)
            except (RedisConnectionError, RedisTimeoutError):
                replies = await self._sent(command)
        if any(reply.status == SEED for reply in replies):
            raise Problem(
                "unavailable", "The meter lost its reply; whether it counted is not known", retry_after_s=1
            )
        return replies

    async def _sent(self, command: Sequence[Any]) -> list[Reply]:
        try:
            reply = await send(self._redis, *command)
        except ResponseError as error:
            if not is_missing_function(error):
                raise
            await ensure_library(self._redis, read_library())
            reply = await send(self._redis, *command)
        return msgspec.convert(reply, list[Reply])


class Named(msgspec.Struct, frozen=True):
    """A request under an id: the producer that the id is, and how often it was answered by a seed so far, plus one."""

    producer: str
    item: Item
    seq: int = 1


def producer_of(account_id: str, request_id: str) -> str:
    """The same for the same id of an account, everywhere and for ever."""
    return f"id-{hashlib.sha256(f'{account_id} {request_id}'.encode()).hexdigest()[:48]}"


async def invoke_named(redis: Redis, shard: int, named: Mapping[int, Named]) -> dict[int, Reply | None]:
    """The reply to each; None where a later seq has the reply, so that the next one is to be asked for."""
    commands = [_command(shard, one.producer, one.seq, [one.item]) for one in named.values()]
    results = await pipelined(redis, commands)
    if any(isinstance(result, ResponseError) and is_missing_function(result) for result in results):
        await ensure_library(redis, read_library())
        results = await pipelined(redis, commands)
    return {at: _reply(result) for at, result in zip(named, results, strict=True)}


async def pipelined(redis: Redis, commands: Sequence[Sequence[Any]]) -> list[Any]:
    for attempt in range(1, ATTEMPTS_MAX + 1):
        pipeline = redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        try:
            return await pipeline.execute(raise_on_error=False)
        except (RedisConnectionError, RedisTimeoutError):
            if attempt == ATTEMPTS_MAX:
                raise
    raise AssertionError


def _reply(result: Any) -> Reply | None:
    if isinstance(result, ResponseError) and str(result).startswith("METERSEQ"):
        return None
    if isinstance(result, Exception):
        raise result
    return msgspec.convert(result[0], Reply)


def _command(shard: int, producer: str, seq: int, items: Sequence[Item]) -> list[Any]:
    keys = [meter_stream(shard), meter_producer(shard, producer)]
    keys += [meter_account(item.account) for item in items]
    costs = [number for item in items for number in (NO_KEY, item.n, item.calls, item.documents)]
    return ["FCALL", ADMIT_FUNCTION, len(keys), *keys, producer, seq, *costs]
