"""Admission for internal services: the same function that the gateways call, over HTTP and in batches.

What a plan limits is decided in Redis; any other metric has no limit, and its units go straight into the ledger.
"""

import asyncio
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from services.metering.entries import Name
from services.metering.events import LIMITED_METRICS, Event, EventId, Metric, take_events
from services.metering.invocation import SEED, Item, Named, Producer, Reply, invoke_named, producer_of
from services.metering.ledger import select_fences
from services.metering.seeding import Seeder
from services.metering.stores import Stores
from shared.errors import Problem
from shared.messages import meter_shard
from shared.postgres import acquired

SEED_ROUNDS_MAX = 3
# An id moves on by one seq each time that its account had to be seeded first.
SEQS_MAX = 20
_REASONS = (None, "burst", "api_calls", "documents")


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``cost`` is granted whole or not at all; the same ``id`` of an account is decided once."""

    account: Name
    metric: Metric
    cost: Annotated[int, Meta(ge=0, le=1_000_000)] = 1
    id: EventId | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``remaining`` is what the period's quota has left, absent when unlimited or not known any more."""

    account: str
    metric: str
    granted: bool
    id: str | None = None
    reason: str | None = None
    remaining: int | None = None
    retry_after_ms: int | None = None


class Admission:
    def __init__(self, stores: Stores, seeder: Seeder) -> None:
        self._stores = stores
        self._seeder = seeder
        self._producer = Producer(stores.redis, f"metering-{secrets.token_hex(8)}")

    async def admit(self, asks: Sequence[Ask]) -> list[Verdict]:
        """A verdict for each, in order. Raises unavailable, or what the stores raise."""
        verdicts: dict[int, Verdict] = {}
        limited = {at: ask for at, ask in enumerate(asks) if ask.metric in LIMITED_METRICS}
        for shard, places in _by_shard(limited).items():
            named = {at: asks[at] for at in places if asks[at].id is not None}
            verdicts |= await self._decide_named(shard, named) if named else {}
            items = {at: _item(asks[at]) for at in places if at not in named}
            replies = await self._decide(shard, items)
            verdicts |= {at: _verdict(asks[at], reply) for at, reply in replies.items()}
        unlimited = {at: ask for at, ask in enumerate(asks) if at not in limited}
        verdicts |= await self._count(unlimited) if unlimited else {}
        return [verdicts[at] for at in range(len(asks))]

    async def state(self, account_id: str) -> Reply:
        """The account's live counters, seeded if need be; counts nothing."""
        return (await self._decide(meter_shard(account_id), {0: Item(account_id, 0, 1, 0)}))[0]

    async def _decide(self, shard: int, items: Mapping[int, Item]) -> dict[int, Reply]:
        """Replies by place; accounts without counters are seeded and asked for again."""
        decided: dict[int, Reply] = {}
        left = dict(items)
        for _ in range(SEED_ROUNDS_MAX):
            replies = (
                zip(left, await self._producer.invoke(shard, [*left.values()]), strict=True) if left else ()
            )
            decided |= {at: reply for at, reply in replies if reply.status != SEED}
            left = {at: item for at, item in left.items() if at not in decided}
            if not left:
                return decided
            await self._seed(item.account for item in left.values())
        raise _unseeded()

    async def _decide_named(self, shard: int, asks: Mapping[int, Ask]) -> dict[int, Verdict]:
        """Ask for each until it has its one decision.

        What the ledger has is granted. It is looked at again after every seed, which has drained the stream: Redis may
        have counted an id, handed it over, and then lost it together with the reply.
        """
        verdicts: dict[int, Verdict] = {}
        left = {at: Named(producer_of(ask.account, ask.id or ""), _item(ask)) for at, ask in asks.items()}
        for _ in range(SEQS_MAX):
            known = await self._known(shard, left.values()) if left else ()
            verdicts |= {at: _granted(asks[at]) for at, one in left.items() if one.producer in known}
            left = {at: one for at, one in left.items() if at not in verdicts}
            if not left:
                return verdicts
            replies = await invoke_named(self._stores.redis, shard, left)
            answered = {at: reply for at, reply in replies.items() if reply is not None}
            verdicts |= {
                at: _verdict(asks[at], reply) for at, reply in answered.items() if reply.status != SEED
            }
            await self._seed(asks[at].account for at, reply in answered.items() if reply.status == SEED)
            left = {at: _next(one) for at, one in left.items() if at not in verdicts}
        raise _unseeded()

    async def _known(self, shard: int, named: Iterable[Named]) -> set[str]:
        """The ids among them that the ledger has."""
        async with acquired(self._stores.pool) as connection:
            return {*await select_fences(connection, shard, {one.producer for one in named})}

    async def _count(self, asks: Mapping[int, Ask]) -> dict[int, Verdict]:
        """Units of metrics that nothing limits, as events, of which the ledger takes each once."""
        now = datetime.now(UTC)
        events = [
            Event(id=_event_id(ask), account=ask.account, metric=ask.metric, amount=ask.cost, time=now)
            for ask in asks.values()
        ]
        async with acquired(self._stores.pool) as connection:
            await take_events(connection, events)
        return {at: _granted(ask) for at, ask in asks.items()}

    async def _seed(self, accounts: Iterable[str]) -> None:
        await asyncio.gather(*(self._seeder.seed(account) for account in {*accounts}))


def _by_shard(asks: Mapping[int, Ask]) -> dict[int, list[int]]:
    by_shard: dict[int, list[int]] = {}
    for at, ask in asks.items():
        by_shard.setdefault(meter_shard(ask.account), []).append(at)
    return by_shard


def _item(ask: Ask) -> Item:
    if ask.metric == "documents":
        return Item(ask.account, 1, 0, ask.cost)
    return Item(ask.account, 1, ask.cost, 0)


def _next(one: Named) -> Named:
    return msgspec.structs.replace(one, seq=one.seq + 1)


def _event_id(ask: Ask) -> str:
    """In a space of their own beside the ids of events."""
    return f"admit {producer_of(ask.account, ask.id)}" if ask.id else f"admit {secrets.token_hex(16)}"


def _granted(ask: Ask) -> Verdict:
    return Verdict(account=ask.account, metric=ask.metric, granted=True, id=ask.id)


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


def _unseeded() -> Problem:
    return Problem("unavailable", "The accounts could not be seeded; try again", retry_after_s=1)
