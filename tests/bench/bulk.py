"""The bulk way, as an export goes it: many documents of one account in a print, split, proved and finished."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from services.renderer.fill import template_environment
from services.renderer.press import Press
from shared.messages import RenderJob
from tests.bench.browsers import warm_chromium
from tests.bench.ways import Way, Work, two_at_once

DOCUMENTS_A_PRINT = 20


@asynccontextmanager
async def opened_bulk_ways() -> AsyncGenerator[dict[str, Way]]:
    async with warm_chromium() as chromium:
        press = Press(template_environment(), chromium, _no_logo)
        yield {
            "bulk": Way(
                name=f"the bulk way, {DOCUMENTS_A_PRINT} documents a print",
                documents=400,
                warm_up=80,
                prepare=lambda jobs: _printing(press, jobs),
            )
        }


async def _printing(press: Press, jobs: Sequence[RenderJob]) -> Work:
    batches = [jobs[at : at + DOCUMENTS_A_PRINT] for at in range(0, len(jobs), DOCUMENTS_A_PRINT)]

    async def work() -> list[bytes]:
        """Raises what a document met with."""
        outcomes = [outcome for done in await two_at_once(batches, press.print) for outcome in done]
        return [_pdf(outcome) for outcome in outcomes]

    return work


def _pdf(outcome: bytes | Exception) -> bytes:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


async def _no_logo(path: str) -> str:
    raise LookupError(path)
