"""The browser's PDF, read by its cross-reference table; what Skia writes and nothing else is understood.

Its objects stand in the clear. Its strings hold no line break: literal ones escape it, others are hexadecimal.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from operator import attrgetter

STRINGS = rb"\((?:[^()\\\n]|\\[^\n])*\)|<[0-9A-F]*>"
STRING = rb"(?:" + STRINGS + rb")"
END = re.compile(rb"trailer\n<<[^()]*/Root (\d+) 0 R\n[^()]*>>\nstartxref\n(\d+)\n%%EOF\n\Z")
TRAILER_SIZE_MAX = 300
TABLE = re.compile(rb"xref\n0 (\d+)\n")
ENTRY_SIZE = 20
IN_USE = b" 00000 n \n"
REFERENCE = re.compile(rb"(\d+) 0 R")
PAGE = re.compile(
    rb"<</Type /Page\n/Resources (<<[^()]*>>)\n/MediaBox (\[[\d. ]+\])\n/Contents (\d+) 0 R\n"
    rb"(?:/StructParents (\d+)\n)?(?:/Tabs /S\n)?/Parent \d+ 0 R>>"
)
ARTICLE = re.compile(rb"<</Type /StructElem\n/S /Art\n/Lang \(([\w-]+)\)\n")
HEADING = re.compile(
    rb"<</Title ("
    + STRING
    + rb")\n/Dest \[(\d+) 0 R( /XYZ [-\d. ]+)\]\n/Parent \d+ 0 R\n/SE (\d+) 0 R([^()]*)>>"
)
# Any dictionary but those of the pages, the structure and the outline, which lead to what is another document's.
RESOURCE = re.compile(rb"<</(?!Title |Limits |Kids |Type /(?:Annot|Catalog|Outlines|Page|Parent|Struct))")
# Where a reference may stand in a resource, and the strings where what looks like one is none. Each begins with a sign
# of its own: by those the engine goes through a font's widths three times as fast.
PIECES = re.compile(STRINGS + rb"| (\d+) 0 R\b|\[(\d+) 0 R\b")
LENGTH = re.compile(rb"/Length (\d+)>>\Z")


class PrintedError(Exception):
    """The browser's file is not as its maker writes it."""


@dataclass(frozen=True, slots=True)
class Resource:
    """An object that pages need: its text between the references, those, and a stream's bytes when it is one."""

    pieces: tuple[bytes, ...]
    needs: tuple[int, ...]
    content: bytes

    def numbered(self, numbers: Mapping[int, int]) -> bytes:
        """As it was, with other numbers."""
        if not self.needs:
            return self.pieces[0] + self.content
        named = [b"%d 0 R" % numbers[old] for old in self.needs]
        parts = chain.from_iterable(zip(self.pieces, named, strict=False))
        return b"".join((*parts, self.pieces[-1], self.content))


@dataclass(frozen=True, slots=True)
class PrintedPage:
    """``tagged`` are the numbers of the structure elements that its content belongs to, by content id.

    They are found under ``key``; a page that shows nothing but what is hidden from the structure has neither.
    """

    number: int
    resources: Resource
    box: bytes
    contents: int
    key: int | None
    tagged: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Article:
    """A part of the structure tree: the elements numbered from ``first`` to before ``last``; ``mark`` may be empty."""

    mark: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Heading:
    """An entry of the outline: the title as written, and where it leads to."""

    element: int
    title: bytes
    page: int
    place: bytes


@dataclass(frozen=True)
class Printed:
    """Raises PrintedError for whatever is not found as expected."""

    data: bytes
    root: int
    offsets: list[int]
    order: list[int]
    ends: dict[int, int]
    resources: dict[int, Resource]

    def object(self, number: int) -> bytes:
        """What stands between ``obj`` and ``endobj``."""
        start = self.offset(number)
        end, head = self.ends[start], b"%d 0 obj\n" % number
        if not (self.data.startswith(head, start) and self.data.endswith(b"\nendobj\n", start, end)):
            raise PrintedError(f"Object {number} is not where the table says")
        return self.data[start + len(head) : end - len(b"\nendobj\n")]

    def offset(self, number: int) -> int:
        if not 0 < number < len(self.offsets):
            raise PrintedError(f"There is no object {number}")
        return self.offsets[number]

    def elements(self, article: Article) -> bytes:
        """The objects of an article, which stand together, each after its children."""
        offsets = self.offsets[article.first : article.last]
        start, end = min(offsets), self.ends[self.offset(article.first)]
        first = bisect_left(self.order, start)
        if max(offsets) >= end or self.order[first : first + len(offsets)] != sorted(offsets):
            raise PrintedError("The elements of a sheet do not stand together")
        return self.data[start:end]

    @cached_property
    def pages(self) -> list[PrintedPage]:
        leaves = self._leaves(_reference(self.object(self.root), b"Pages"))
        found = [self._page(number) for number in leaves]
        keys = [page.key for page in found if page.key is not None]
        for own in ([page.number for page in found], [page.contents for page in found], keys):
            if len(set(own)) != len(own):
                raise PrintedError("Two pages share what is one's own")
        if set(keys) != self.tags.keys():
            raise PrintedError("There is tagged content that no page names")
        return found

    @cached_property
    def structure(self) -> int:
        return _reference(self.object(self.root), b"StructTreeRoot")

    @cached_property
    def tags(self) -> dict[int, int]:
        """The arrays of the parent tree by their key, which each page has one of its own (14.7.5.4)."""
        tree = self.object(_reference(self.object(self.structure), b"ParentTree"))
        found = [(int(key), int(array)) for key, array in re.findall(rb"(\d+) (\d+) 0 R", tree)]
        if len({array for _, array in found}) != len(found) or len(dict(found)) != len(found):
            raise PrintedError("Two pages share their tags")
        return dict(found)

    @cached_property
    def articles(self) -> list[Article]:
        """The parts of the structure, in reading order; what is no article has no mark."""
        document = _reference(self.object(self.structure), b"K")
        parts = _parts(self.object(document))
        if not parts:
            return []
        ends = [*parts[1:], min(self.tags.values(), default=len(self.offsets))]
        if not all(one < other for one, other in pairwise([document, *parts, *ends[-1:]])):
            raise PrintedError("The structure is not counted in reading order")
        return [Article(self._mark(first), first, last) for first, last in zip(parts, ends, strict=True)]

    @cached_property
    def headings(self) -> list[Heading]:
        """The outline, flat, in reading order."""
        outlines = re.search(rb"\n/Outlines (\d+) 0 R", self.object(self.root))
        return sorted(self._below(int(outlines[1])), key=lambda one: one.element) if outlines else []

    def headings_of(self, article: Article) -> list[Heading]:
        start, end = (
            bisect_left(self.headings, at, key=attrgetter("element")) for at in (article.first, article.last)
        )
        return self.headings[start:end]

    @cached_property
    def contents(self) -> set[int]:
        return {page.contents for page in self.pages}

    def resource(self, number: int) -> Resource:
        """An object that pages may share."""
        if number in self.contents:
            raise PrintedError("A page needs the content of another")
        return self.content(number)

    def content(self, number: int) -> Resource:
        if number not in self.resources:
            self.resources[number] = _resource(self.object(number))
        return self.resources[number]

    def _leaves(self, root: int) -> Iterator[int]:
        left, seen = [root], set[int]()
        while left:
            node = left.pop()
            content = self.object(node)
            if node in seen:
                raise PrintedError("The pages make no tree")
            seen.add(node)
            if content.startswith(b"<</Type /Page\n"):
                yield node
                continue
            kids = re.search(rb"\n/Kids \[([\d R]+)\]", content)
            if not kids:
                raise PrintedError("The pages make no tree")
            left += (int(kid) for kid in reversed(REFERENCE.findall(kids[1])))

    def _page(self, number: int) -> PrintedPage:
        found = PAGE.fullmatch(self.object(number))
        if not found:
            raise PrintedError("A page holds something unknown")
        resources, box, contents, key = found.groups()
        tagged = REFERENCE.findall(self.object(self.tags[int(key)])) if key else []
        return PrintedPage(
            number,
            _resource(resources),
            box,
            int(contents),
            int(key) if key else None,
            tuple(map(int, tagged)),
        )

    def _mark(self, element: int) -> str:
        found = ARTICLE.match(self.object(element))
        return found[1].decode() if found else ""

    def _below(self, node: int) -> Iterator[Heading]:
        """Each entry once, children and neighbours, in no order."""
        left, seen = [node], {node}
        while left:
            content = self.object(left.pop())
            found = HEADING.fullmatch(content)
            if found:
                title, page, place, element, links = found.groups()
                yield Heading(int(element), title, int(page), place)
                content = links
            linked = {int(number) for number in re.findall(rb"\n/(?:First|Next) (\d+) 0 R", content)}
            left += linked - seen
            seen |= linked


def read(data: bytes) -> Printed:
    """Raises PrintedError."""
    end = END.search(data, max(0, len(data) - TRAILER_SIZE_MAX))
    table = TABLE.match(data, int(end[2])) if end else None
    if not (end and table):
        raise PrintedError("There is no cross-reference table")
    size = int(table[1])
    entries = data[table.end() + ENTRY_SIZE : table.end() + size * ENTRY_SIZE]
    if len(entries) != ENTRY_SIZE * (size - 1) or entries.count(IN_USE) != size - 1:
        raise PrintedError("The cross-reference table is not whole")
    offsets = [0, *map(int, entries.split(IN_USE)[:-1])]
    order = sorted(offsets[1:])
    ends = dict(zip(order, [*order[1:], table.start()], strict=True))
    return Printed(data, int(end[1]), offsets, order, ends, {})


def _resource(content: bytes) -> Resource:
    """A stream holds references in its dictionary only."""
    if not RESOURCE.match(content):
        raise PrintedError("A page needs what is no resource")
    end = content.find(b" stream\n")
    head, body = (content[:end], content[end:]) if end >= 0 else (content, b"")
    length = LENGTH.search(head) if body else None
    if body and not (length and len(body) == int(length[1]) + len(b" stream\n\nendstream")):
        raise PrintedError("A stream is not as long as it says")
    pieces, needs, at = list[bytes](), list[int](), 0
    # A font's widths stand behind its references, and are long.
    for found in PIECES.finditer(head, 0, head.rfind(b" 0 R") + len(b" 0 R>")):
        if group := found.lastindex:
            pieces.append(head[at : found.start(group)])
            needs.append(int(found[group]))
            at = found.end()
    return Resource((*pieces, head[at:]), tuple(needs), body)


def _reference(content: bytes, key: bytes) -> int:
    found = re.search(rb"/%s (\d+) 0 R" % key, content)
    if not found:
        raise PrintedError(f"There is no {key.decode()}")
    return int(found[1])


def _parts(document: bytes) -> list[int]:
    """The elements right under the document's; text that lies there belongs to none of them."""
    kids = re.search(rb"\n/K ([\d R]+|\[.*\])", document, re.DOTALL)
    return [int(number) for number in REFERENCE.findall(re.sub(rb"<<[^<>]*>>", b"", kids[1]))] if kids else []
