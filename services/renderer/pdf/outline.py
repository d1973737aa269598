"""A document's outline (ISO 32000-2, 12.3.3): its headings, each below the one of a higher level before it; pure."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """``title`` is a PDF string, ``rest`` what else stands in the entry: where it leads to."""

    level: int
    title: bytes
    rest: bytes


def outline(entries: Sequence[Entry], first: int) -> list[bytes]:
    """The outline's own object, numbered ``first``, and one for each entry; nothing when there are none."""
    if not entries:
        return []
    parents = _parents(entries)
    kids = [
        [at for at, parent in enumerate(parents, start=1) if parent == above]
        for above in range(len(entries) + 1)
    ]
    below = [len(each) for each in kids]
    for at in range(len(entries), 0, -1):
        below[parents[at - 1]] += below[at]
    written = [b"<</Type/Outlines%s>>" % _links(kids[0], below[0], first)]
    for at, (entry, parent) in enumerate(zip(entries, parents, strict=True), start=1):
        beside = _neighbours(kids[parent], at, first)
        inside = _links(kids[at], below[at], first)
        written.append(
            b"<</Title%s/Parent %d 0 R%s%s%s>>" % (entry.title, first + parent, beside, inside, entry.rest)
        )
    return written


def _parents(entries: Sequence[Entry]) -> list[int]:
    """Of each entry the one that it stands below, counted from 1; 0 is the outline."""
    parents, open_ = list[int](), list[tuple[int, int]]()
    for at, entry in enumerate(entries, start=1):
        while open_ and open_[-1][0] >= entry.level:
            open_.pop()
        parents.append(open_[-1][1] if open_ else 0)
        open_.append((entry.level, at))
    return parents


def _links(kids: Sequence[int], below: int, first: int) -> bytes:
    if not kids:
        return b""
    return b"/First %d 0 R/Last %d 0 R/Count %d" % (first + kids[0], first + kids[-1], below)


def _neighbours(kids: Sequence[int], at: int, first: int) -> bytes:
    place = kids.index(at)
    previous = b"/Prev %d 0 R" % (first + kids[place - 1]) if place else b""
    following = b"/Next %d 0 R" % (first + kids[place + 1]) if place + 1 < len(kids) else b""
    return previous + following
