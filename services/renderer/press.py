"""Documents in, finished PDFs out: one document or many by the same code, each as good as if it were alone.

Many documents share a print. Each file is proved to hold its own document and no other; what cannot be proved is set
again from its measured heights, at last on its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import ParamSpec, TypeVar

import msgspec
import structlog
from jinja2 import Environment, TemplateError
from obstore.exceptions import BaseError as StoreError

from services.renderer.chromium import Chromium, PrintError
from services.renderer.fill import PAPERS, fill
from services.renderer.layout.galley import Galley, measure
from services.renderer.layout.sheets import Sheet, fits_likely, galley_sheets, one_sheet, paginate
from services.renderer.page import DocumentPage, document_page, subtotal_through
from services.renderer.pdf.finish import finish, wanted
from services.renderer.pdf.printed import PrintedError
from shared.messages import RenderJob

# A print's fixed cost is shared by then, and one that breaks has not cost much; three make a part of an export.
SHEETS_A_PRINT = 34
# Lines of documents that are measured together.
LINES_A_GALLEY = 400
# More lines would make others wait: filling them takes about ten milliseconds.
LINES_BESIDE_OTHERS = 300
CHARACTERS_A_LINE = 80
# What a sheet leaves free that did not fit when it was measured: more than a line.
SLACK_PX = 24.0
# What may be wrong with one document and none of its neighbours.
REFUSED = (LookupError, OSError, PrintError, PrintedError, StoreError, TemplateError, ValueError)

P = ParamSpec("P")
log = structlog.get_logger()

T = TypeVar("T")
R = TypeVar("R")
Item = TypeVar("Item", "Manuscript", "Setting")

# The data URI of a logo by its path in the object store.
Logos = Callable[[str], Awaitable[str]]


class Manuscript(msgspec.Struct, frozen=True):
    """A document in words, and its place among those that were asked for."""

    place: int
    job: RenderJob
    page: DocumentPage

    @property
    def document_id(self) -> str:
        return self.page.document_id

    @property
    def weight(self) -> int:
        """About as much work as so many lines."""
        return len(self.page.lines) + len(self.page.notes) // CHARACTERS_A_LINE


class Setting(msgspec.Struct, frozen=True):
    """A manuscript as it is put onto sheets."""

    manuscript: Manuscript
    sheets: tuple[Sheet, ...]

    @property
    def document_id(self) -> str:
        return self.manuscript.document_id

    @property
    def weight(self) -> int:
        return len(self.sheets)


Outcomes = dict[int, bytes | Exception]


class Press:
    """Prints on the browsers that it is given; two calls at once use two of them."""

    def __init__(self, templates: Environment, chromium: Chromium, logos: Logos) -> None:
        self._templates = templates
        self._chromium = chromium
        self._logos = logos

    async def print(self, jobs: Sequence[RenderJob]) -> list[bytes | Exception]:
        """A file for each job, or what is wrong with it: one of REFUSED."""
        outcomes: Outcomes = {}
        manuscripts: list[Manuscript] = []
        for place, job in enumerate(jobs):
            try:
                manuscripts.append(Manuscript(place, job, await self._read(job)))
            except REFUSED as error:
                outcomes[place] = error
        for alike in _alike(manuscripts):
            await self._print_alike(alike, outcomes)
        return [outcomes[place] for place in range(len(jobs))]

    async def _read(self, job: RenderJob) -> DocumentPage:
        logo = await self._logos(job.logo) if job.logo else ""
        return await _compute(len(job.items), document_page, job, logo)

    async def _print_alike(self, manuscripts: list[Manuscript], outcomes: Outcomes) -> None:
        """What looks short is set at once, all else by its heights, and what then still fails on its own."""
        short = [each for each in manuscripts if fits_likely(each.page)]
        await self._print_set([Setting(each, one_sheet(each.page)) for each in short], outcomes)
        for run in _runs(_left(manuscripts, outcomes), LINES_A_GALLEY):
            await self._print_measured(run, outcomes)
        for each in _left(manuscripts, outcomes):
            log.warning("document set again with room to spare", document_id=each.document_id)
            await self._print_measured([each], outcomes, slack_px=SLACK_PX)
        for each in _left(manuscripts, outcomes):
            outcomes[each.place] = PrintError("The document does not stand on its sheets")

    async def _print_measured(
        self, manuscripts: list[Manuscript], outcomes: Outcomes, *, slack_px: float = 0
    ) -> None:
        settings: list[Setting] = []
        work = partial(self._measure, slack_px=slack_px)
        for manuscript, setting in zip(manuscripts, await _each(work, manuscripts), strict=True):
            if isinstance(setting, Exception):
                outcomes[manuscript.place] = setting
            else:
                settings.append(setting)
        await self._print_set(settings, outcomes)

    async def _measure(self, manuscripts: Sequence[Manuscript], *, slack_px: float) -> list[Setting]:
        galleys = [Setting(each, galley_sheets(each.page)) for each in manuscripts]
        html = await self._fill(galleys, measured=True)
        width_px = PAPERS[manuscripts[0].page.page_size].width_px
        found = await self._chromium.use(lambda page: measure(page, html, width_px=width_px))
        weight = sum(each.weight for each in manuscripts)
        return await _compute(weight, _paginated, manuscripts, found, slack_px)

    async def _print_set(self, settings: list[Setting], outcomes: Outcomes) -> None:
        for run in _runs(settings, SHEETS_A_PRINT):
            for setting, outcome in zip(run, await _each(self._print_run, run), strict=True):
                if outcome is not None:
                    outcomes[setting.manuscript.place] = outcome

    async def _print_run(self, settings: Sequence[Setting]) -> list[bytes | None]:
        printed = await self._chromium.print(await self._fill(settings))
        expected = [
            wanted(each.manuscript.page, sheets=len(each.sheets), updated_at=each.manuscript.job.updated_at)
            for each in settings
        ]
        weight = sum(each.manuscript.weight for each in settings)
        beside = LINES_BESIDE_OTHERS if len(settings) > 1 else 0  # Many files are too much to wait for.
        return await _compute(weight + beside, finish, printed, expected)

    async def _fill(self, settings: Sequence[Setting], *, measured: bool = False) -> str:
        template = settings[0].manuscript.job.template
        documents = [(each.manuscript.page, each.sheets) for each in settings]
        weight = sum(each.manuscript.weight for each in settings)
        return await _compute(weight, fill, self._templates, template, documents, measured=measured)


def _paginated(
    manuscripts: Sequence[Manuscript], galleys: Sequence[Galley], slack_px: float
) -> list[Setting]:
    return [
        Setting(each, paginate(galley, each.page, partial(subtotal_through, each.job), slack_px=slack_px))
        for each, galley in zip(manuscripts, galleys, strict=True)
    ]


def _alike(manuscripts: Sequence[Manuscript]) -> Iterable[list[Manuscript]]:
    """Those that have template, paper and logo in common, and so may share a print."""
    groups: dict[tuple[str, str, str], list[Manuscript]] = {}
    for each in manuscripts:
        groups.setdefault((each.job.template, each.page.page_size, each.job.logo), []).append(each)
    return groups.values()


def _left(manuscripts: Sequence[Manuscript], outcomes: Outcomes) -> list[Manuscript]:
    return [each for each in manuscripts if each.place not in outcomes]


def _runs(items: Sequence[Item], weight_max: int) -> Iterator[list[Item]]:
    """Items in their order, together up to ``weight_max``; what is heavier is alone.

    A document twice in a print could not be told from itself, so it begins a new run.
    """
    run: list[Item] = []
    for item in items:
        full = sum(each.weight for each in run) + item.weight > weight_max
        if run and (full or item.document_id in {each.document_id for each in run}):
            yield run
            run = []
        run.append(item)
    if run:
        yield run


async def _each(
    work: Callable[[Sequence[T]], Awaitable[Sequence[R]]], items: Sequence[T]
) -> list[R | Exception]:
    """The work's outcome for each item; where it breaks on many together, each is tried alone."""
    try:
        return list(await work(items))
    except REFUSED as error:
        if len(items) == 1:
            return [error]
    return [outcome for item in items for outcome in await _each(work, [item])]


async def _compute(weight: int, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What takes long is done beside the event loop, which others wait for."""
    if weight > LINES_BESIDE_OTHERS:
        return await asyncio.to_thread(function, *args, **kwargs)
    return function(*args, **kwargs)
