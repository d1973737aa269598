"""What every way of making PDFs has in common: a name, what is prepared unmeasured, and two of them at once."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from shared.messages import RenderJob

# Of browsers, pages, processes and workers' slots alike: each way has two cores, and no way has more.
AT_ONCE = 2

Work = Callable[[], Awaitable[Sequence[bytes]]]
Prepare = Callable[[Sequence[RenderJob]], Awaitable[Work]]
Item = TypeVar("Item")
Made = TypeVar("Made")


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """``prepare`` does what is not measured and returns the work that is: the PDFs of the documents.

    A slice is of ``documents``, about two seconds' worth, after ``warm_up`` once; ``rounds`` bounds a slow way.
    """

    name: str
    documents: int
    warm_up: int
    prepare: Prepare
    rounds: int = 1_000


class Slice(msgspec.Struct, frozen=True):
    """What one turn of a way came to; ``size_bytes`` is the median of its files."""

    per_s: float
    size_bytes: int


async def measured(way: Way, jobs: Sequence[RenderJob]) -> Slice:
    """Raises AssertionError unless each document became a PDF."""
    work = await way.prepare(jobs)
    began = time.perf_counter()
    pdfs = await work()
    seconds = time.perf_counter() - began
    assert len(pdfs) == len(jobs), way.name
    assert all(pdf.startswith(b"%PDF-") for pdf in pdfs), way.name
    return Slice(len(pdfs) / seconds, sorted(map(len, pdfs))[len(pdfs) // 2])


async def two_at_once(items: Iterable[Item], make: Callable[[Item], Awaitable[Made]]) -> list[Made]:
    return await at_once(AT_ONCE, items, make)


async def at_once(count: int, items: Iterable[Item], make: Callable[[Item], Awaitable[Made]]) -> list[Made]:
    """What is made of each, in their order; so many are made at a time, and whoever is free takes the next."""
    left, made = enumerate(items), dict[int, Made]()

    async def keep_making() -> None:
        for number, item in left:
            made[number] = await make(item)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(count):
            tasks.create_task(keep_making())
    return [made[number] for number in sorted(made)]


@contextmanager
def two_cores() -> Generator[None]:
    """Keep this process and all that it starts to two cores, where the system can; afterwards it has all of its own."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(own)[:AT_ONCE])
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)
