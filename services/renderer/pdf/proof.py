"""Which pages hold a document and nothing else, told by the marks of its sheets; whatever cannot be proved is not.

Every piece of tagged content on a page names the structure element that it belongs to. All those of a page must
belong to one sheet, and a sheet's to one page. What is hidden from the structure (feet and stamps) names nothing:
it is set at fixed places inside its sheet, and a page of only such content is held against the sheet before it.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain

from services.renderer.pdf.printed import Article, Printed, PrintedPage

NOWHERE = -1


@dataclass(frozen=True, slots=True)
class ProvedSheet:
    page: PrintedPage
    article: Article


def prove(printed: Printed, documents: Sequence[Sequence[str]]) -> list[list[ProvedSheet]]:
    """For each document, given by the marks of its sheets, its sheets in order; empty when they cannot be proved."""
    asked = Counter(chain.from_iterable(documents))
    found = Counter(article.mark for article in printed.articles)
    places = _places(_marks_of_pages(printed), asked.keys())
    known = {mark for mark, times in asked.items() if times == found[mark] == 1}
    articles = {article.mark: article for article in printed.articles}
    return [
        [ProvedSheet(printed.pages[places[mark]], articles[mark]) for mark in marks]
        if known.issuperset(marks) and _is_run([places.get(mark, NOWHERE) for mark in marks])
        else []
        for marks in documents
    ]


def _marks_of_pages(printed: Printed) -> list[set[str]]:
    """Whose content each page holds; the empty mark is of what belongs to no sheet."""
    bounds = [article.first for article in printed.articles]
    bounds += (article.last for article in printed.articles[-1:])
    between = ["", *(article.mark for article in printed.articles), ""]

    def marks(elements: Sequence[int]) -> Iterator[str]:
        left = sorted(elements)
        while left:
            part = bisect_right(bounds, left[0])
            yield between[part]
            left = left[bisect_left(left, bounds[part]) :] if part < len(bounds) else []

    return [set(marks(page.tagged)) for page in printed.pages]


def _places(pages: Sequence[set[str]], asked: AbstractSet[str]) -> dict[str, int]:
    """The page of each sheet that has one of its own.

    What lies between the sheets that were asked for is held against the one before, what lies before all sheets
    against the first.
    """
    spread = Counter(chain.from_iterable(pages))
    start = next((place for place, marks in enumerate(pages) if any(marks)), 0)
    return {
        mark: place
        for place, (marks, following) in enumerate(zip(pages, [*pages[1:], asked], strict=True))
        for mark in marks & asked
        if len(marks) == spread[mark] == 1 and following & asked and not place == start > 0
    }


def _is_run(places: Sequence[int]) -> bool:
    """Pages that follow each other, at least one."""
    return bool(places) and places[0] >= 0 and list(places) == list(range(places[0], places[0] + len(places)))
