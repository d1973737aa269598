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

# Digits and names are taken whole, which is a fifth faster than to try them shorter as well.
ELEMENT = re.compile(
    rb"(\d++) 0 obj\n<</Type /StructElem\n/S /(\w++)\n(|(?:/(?:Alt|ActualText|E|Lang|T) " + STRING + rb"\n)+)"
    rb"/P (\d++) 0 R\n(?:/Pg (\d++) 0 R\n)?/K (\d++(?: 0 R)?|\[[\d R]++\])"
    rb"(?:\n/A \[(?:<</O /Table\n/Headers \[[^\]\n]*+\]>> ?)?"
    rb"((?:<</O /\w++\n[^()<>]*+>> ?)*)\])?(?:\n/ID \(node\d++\))?>>\nendobj\n"
)
# Number, kind, texts, parent, page, kids, attributes; of a branch the kind that it becomes, none for a wrapper.
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
    language, _, _ = sheet.article.mark.partition("-x-")
    leaves, branches = _parted(_read(printed, sheet), b"/Lang (%s)\n" % language.encode())
    try:
        names = _names(leaves, branches, b"%d 0 R" % above, first)
        owners = [names[b"%d" % element] for element in sheet.page.tagged]
        written = _written(branches, _contents(leaves, branches, names), names, b"%d 0 R" % page)
    except KeyError as error:
        raise PrintedError(f"Element {error} is not where it belongs") from error
    headings = [(branch[0], HEADINGS[branch[1]]) for branch in branches if branch[1] in HEADINGS]
    levels = {int(number): (level, names[number]) for number, level in headings}
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


def _parted(found: Sequence[Element], language: bytes) -> tuple[list[Element], list[Element]]:
    """Leaves, and the branches that bear them; a paragraph becomes what is only known to hold text itself.

    A wrapper may tell the document's ``language``, which holds without it.
    """
    leaves, branches, holders = list[Element](), list[Element](), set[bytes]()
    for element in found:
        number, kind, texts, parent, page, kids, said = element
        if kind != WRAPPER or said or texts not in {b"", language}:
            branches.append(element)
            continue
        if page:
            holders.add(parent)
        if page and b"R" not in kids:
            leaves.append(element)
        else:
            becomes = b"P" if number in holders and not page else b""
            branches.append((number, becomes, texts, parent, page, kids, said))
    return leaves, branches


def _names(
    leaves: Sequence[Element], branches: Sequence[Element], above: bytes, first: int
) -> dict[bytes, bytes]:
    """References to what each element has become, itself or the one that takes over its content."""
    names = {branches[-1][3]: above}
    for number, kind, _, parent, _, _, _ in reversed(branches):
        names[number] = b"%d 0 R" % first if kind else names[parent]
        first += bool(kind)
    names.update({leaf[0]: names[leaf[3]] for leaf in leaves})
    return names


def _contents(
    leaves: Sequence[Element], branches: Sequence[Element], names: Mapping[bytes, bytes]
) -> list[bytes]:
    """What each kept branch holds; they are filled in all at once, which takes half as long as one by one."""
    held = {leaf[0]: leaf[5].strip(b"[]") for leaf in leaves}
    for number, kind, _, _, _, kids, _ in branches:
        held[number] = names[number] if kind else _filled(kids, held)
    contents = _filled(b"\n".join([branch[5] for branch in branches if branch[1]]), held).split(b"\n")
    if list(held) != [branches[-1][0]]:
        raise PrintedError("A structure element is nobody's child")
    return contents


def _filled(kids: bytes, held: dict[bytes, bytes]) -> bytes:
    """With what each kid has become, which is there for one parent."""
    parts = REFERENCE.split(kids)
    parts[1::2] = [held.pop(kid) for kid in parts[1::2]]
    return b"".join(parts).translate(None, b"[]")


def _written(
    branches: Sequence[Element], contents: Sequence[bytes], names: Mapping[bytes, bytes], page: bytes
) -> list[bytes]:
    """The kept ones in the order of their numbers, which is that of reading: each before its children."""
    kept = [branch for branch in branches if branch[1]]
    # The language of a sheet is its mark; the document's holds for all of it.
    number, kind, _, parent, shown, kids, said = kept[-1]
    kept[-1] = (number, kind, b"", parent, shown, kids, said)
    written = [
        b"<</S/%s%s/P %s/Pg %s/K[%s]%s>>"
        % (kind, texts, names[parent], page, content, said and _attributes(said))
        for (_, kind, texts, parent, _, _, said), content in zip(kept, contents, strict=True)
    ]
    written.reverse()
    return written


@lru_cache(maxsize=100)
def _attributes(written: bytes) -> bytes:
    kept = [each for each in ATTRIBUTE.findall(written) if each not in IDLE]
    return b"/A[%s]" % b"".join(kept) if kept else b""
