"""A document's structure tree, as the browser wrote it and as it is kept: without ids, marks and empty wrappers.

A leaf of the browser's is a wrapper without meaning (NonStruct) round a piece of content, which its parent takes
over. Ids and the headers that name them count through all that a page of the browser has shown; a column's scope
says the same (14.8.5.7).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from services.renderer.pdf.printed import REFERENCE, STRING, Printed, PrintedError
from services.renderer.pdf.proof import ProvedSheet

ELEMENT = re.compile(
    rb"(\d+) 0 obj\n<</Type /StructElem\n/S /(\w+)\n((?:/(?:Alt|ActualText|E|Lang|T) " + STRING + rb"\n)*)"
    rb"/P (\d+) 0 R\n(?:/Pg (\d+) 0 R\n)?/K (\d+(?: 0 R)?|\[[\d R]+\])"
    rb"(?:\n/A \[(?:<</O /Table\n/Headers \[[^\]\n]*\]>> ?)?"
    rb"((?:<</O /\w+\n[^()<>]*>> ?)*)\])?(?:\n/ID \(node\d+\))?>>\nendobj\n"
)
Element = tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes]
ATTRIBUTE = re.compile(rb"<<[^<>]*>>")
# What is so without being said.
IDLE = {b"<</O /Table\n/RowSpan 1>>", b"<</O /Table\n/ColSpan 1>>"}
HEADINGS = {b"H%d" % level: level for level in range(1, 7)}
WRAPPER = b"NonStruct"


@dataclass(frozen=True, slots=True)
class Tags:
    """The elements of a sheet, the topmost first.

    ``owners`` are references to the elements that the page's content belongs to, by content id, and ``headings``
    the level of each heading and a reference to it, by the browser's number for it.
    """

    elements: list[bytes]
    owners: list[bytes]
    headings: dict[int, tuple[int, bytes]]


def retag(printed: Printed, sheet: ProvedSheet, *, page: int, above: int, first: int) -> Tags:
    """The elements are numbered from ``first`` on; ``page`` and ``above`` are what they belong to.

    Raises PrintedError.
    """
    found = _read(printed, sheet)
    try:
        kinds = _kinds(found)
        names = _names(found, kinds, b"%d 0 R" % above, first)
        owners = [names[b"%d" % element] for element in sheet.page.tagged]
        written = _written(found, kinds, names, b"%d 0 R" % page)
    except KeyError as error:
        raise PrintedError(f"Element {error} is not where it belongs") from error
    levels = {int(number): (HEADINGS[kind], names[number]) for number, kind, *_ in found if kind in HEADINGS}
    return Tags(written, owners, levels)


def _read(printed: Printed, sheet: ProvedSheet) -> list[Element]:
    """Each after its children."""
    article, number = sheet.article, b"%d" % sheet.page.number
    found = ELEMENT.findall(printed.elements(article))
    if len(found) != article.last - article.first or found[-1][0] != b"%d" % article.first:
        raise PrintedError("A structure element holds something unknown")
    if not {element[4] for element in found} <= {b"", number}:
        raise PrintedError("A sheet has content on another page")
    return found


def _kinds(found: Sequence[Element]) -> list[bytes]:
    """What becomes of each: empty for a wrapper, and a paragraph what is only known to hold text itself."""
    leaves = [
        kind == WRAPPER and bool(page) and not (texts or said) for _, kind, texts, _, page, _, said in found
    ]
    holders = {element[3] for element, is_leaf in zip(found, leaves, strict=True) if is_leaf}
    return [
        b"" if is_leaf else kind if kind != WRAPPER or texts or said else b"P" if number in holders else b""
        for (number, kind, texts, _, _, _, said), is_leaf in zip(found, leaves, strict=True)
    ]


def _names(found: Sequence[Element], kinds: Sequence[bytes], above: bytes, first: int) -> dict[bytes, bytes]:
    """References to what each element has become, itself or the one that takes over its content."""
    names = {found[-1][3]: above}
    for (number, _, _, parent, *_), kind in zip(reversed(found), reversed(kinds), strict=True):
        names[number] = b"%d 0 R" % first if kind else names[parent]
        first += bool(kind)
    return names


def _written(
    found: Sequence[Element], kinds: Sequence[bytes], names: Mapping[bytes, bytes], page: bytes
) -> list[bytes]:
    """The kept ones in the order of their numbers, which is that of reading: each before its children."""
    top = found[-1][0]
    contents: dict[bytes, bytes] = {}
    written: list[bytes] = []
    for (number, _, texts, parent, _, kids, said), kind in zip(found, kinds, strict=True):
        content = kids.strip(b"[]")
        if content.endswith(b"R"):
            content = REFERENCE.sub(lambda kid: contents.pop(kid[1]), content)
        contents[number] = names[number] if kind else content
        if kind:
            # The language of a sheet is its mark; the document's holds for all of it.
            place = (kind, b"" if number == top else texts, names[parent], page, content, _attributes(said))
            written.append(b"<</S/%s%s/P %s/Pg %s/K[%s]%s>>" % place)
    if list(contents) != [top]:
        raise PrintedError("A structure element is nobody's child")
    written.reverse()
    return written


@lru_cache(maxsize=100)
def _attributes(written: bytes) -> bytes:
    kept = [each for each in ATTRIBUTE.findall(written) if each not in IDLE]
    return b"/A[%s]" % b"".join(kept) if kept else b""
