"""The bulk way, as an export goes it: many documents of one account in a print, split, proved and finished."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from services.renderer.chromium import FLAGS_FOR_MANY
from services.renderer.fill import template_environment
from services.renderer.press import SHEETS_A_PRINT, Press
from services.renderer.worker import PARTS_AHEAD
from shared.messages import RenderJob
from tests.bench.browsers import warm_chromium
from tests.bench.ways import AT_ONCE, Way, Work, at_once

# As an export is cut.
DOCUMENTS_A_PART = 100
# A worker takes as many parts as it has browsers, and so many beside that wait for one.
PARTS_AT_ONCE = AT_ONCE + PARTS_AHEAD


@asynccontextmanager
async def opened_bulk_ways() -> AsyncGenerator[dict[str, Way]]:
    async with warm_chromium(flags=FLAGS_FOR_MANY) as chromium:
        press = Press(template_environment(), chromium, _no_logo)
        yield {
            "bulk": Way(
                name=f"the bulk way, up to {SHEETS_A_PRINT} documents a print",
                documents=600,
                warm_up=200,
                prepare=lambda jobs: _printing(press, jobs),
            )
        }


async def _printing(press: Press, jobs: Sequence[RenderJob]) -> Work:
    parts = [jobs[at : at + DOCUMENTS_A_PART] for at in range(0, len(jobs), DOCUMENTS_A_PART)]

    async def work() -> list[bytes]:
        """Raises what a document met with."""
        outcomes = [outcome for done in await at_once(PARTS_AT_ONCE, parts, press.print) for outcome in done]
        return [_pdf(outcome) for outcome in outcomes]

    return work


def _pdf(outcome: bytes | Exception) -> bytes:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


async def _no_logo(path: str) -> str:
    raise LookupError(path)
