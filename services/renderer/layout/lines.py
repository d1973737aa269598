"""A text cut between two of its lines, where a sheet ends; pure."""

import unicodedata
from collections.abc import Sequence

from services.renderer.layout.snapshot import TextLine

LEFT_TO_RIGHT, RIGHT_TO_LEFT = "\u200e", "\u200f"
MARKS = {"L": LEFT_TO_RIGHT, "R": RIGHT_TO_LEFT, "AL": RIGHT_TO_LEFT}

# Lines are told in whole pixels but stand between them, each where its own text begins.
ROUNDING_PX = 4

Lines = Sequence[TextLine]


def height(lines: Lines) -> float:
    return lines[-1].bottom - lines[0].top if lines else 0


def fitting(lines: Lines, room: float) -> int:
    """How many of the first lines are not higher than ``room``."""
    room -= ROUNDING_PX
    count = 0
    while count < len(lines) and lines[count].bottom - lines[0].top <= room:
        count += 1
    return count


def cut(lines: Lines, at: int) -> tuple[Lines, Lines]:
    """The lines before ``at`` and the others, without the blank ones that would stand at the head of a sheet.

    A paragraph that is cut runs on in its direction, which its second half alone may not tell.
    """
    before, after = lines[:at], lines[at:]
    while after and not after[0].text.strip():
        before, after = (*before, after[0]), after[1:]
    mark = _mark_of(before, after)
    if mark:
        after = (TextLine(mark + after[0].text, after[0].top, after[0].bottom), *after[1:])
    return before, after


def joined(lines: Lines) -> str:
    return "".join(line.text for line in lines).strip()


def _mark_of(before: Lines, after: Lines) -> str:
    """The mark of the cut paragraph's direction where its second half would run the other way, else nothing."""
    if not before or not after or before[-1].text.endswith("\n"):
        return ""
    first_half = joined(before).rsplit("\n", 1)[-1]
    second_half = joined(after).split("\n", 1)[0]
    direction = _direction(first_half)
    return direction if direction and _direction(second_half) != direction else ""


def _direction(text: str) -> str:
    """By the first strong letter (Unicode Bidirectional Algorithm, P2)."""
    return next((MARKS[kind] for kind in map(unicodedata.bidirectional, text) if kind in MARKS), "")
