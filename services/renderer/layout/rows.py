"""The rows of a table as they are put onto sheets, one sheet after the other; pure."""

from collections.abc import Sequence

import msgspec

from services.renderer.layout.galley import Galley, TallRow
from services.renderer.layout.lines import Lines, cut, fitting, height, joined
from services.renderer.page import Line

# Of a row that is split, on the sheet that it is split on, so that its numbers do not stand higher than its words.
LINES_MIN = 3
# And on the sheet that it ends on, which also has the totals.
LINES_LEFT_MIN = 2
# Rows that go with the totals where they can.
KEPT = 2


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row, or a part of one; ``begins`` is false for a part that is not the first. ``tall`` is there if measured."""

    line: Line
    height: float
    tall: TallRow | None = None
    begins: bool = True


def rows_of(galley: Galley, lines: Sequence[Line]) -> list[Row]:
    return [
        Row(line=line, height=height, tall=galley.tall.get(number))
        for number, (line, height) in enumerate(zip(lines, galley.rows, strict=True))
    ]


def take(galley: Galley, rows: list[Row], top: float, *, fresh: bool) -> tuple[list[Row], list[Row]]:
    """The rows that stand between ``top`` and the floor, and the others, to which the totals belong.

    From a sheet that is ``fresh`` at least one is taken, whether it fits or not.
    """
    room = galley.floor - top
    if _count(rows, room - galley.totals) == len(rows):
        return rows, []
    room -= galley.carry
    kept = _kept(galley, rows)
    count = min(_count(rows, room), len(rows) - max(kept, 1))
    taken, rest = rows[:count], rows[count:]
    if len(rest) > kept and not _fits_alone(galley, rest):
        part, remainder = _split(rest[0], room - sum(row.height for row in taken))
        taken, rest = [*taken, *part], [*remainder, *rest[1:]]
    if fresh and not taken:
        return rows[:1], rows[1:]
    return taken, rest


def _count(rows: Sequence[Row], room: float) -> int:
    """How many of the first rows are not higher than ``room``."""
    count = 0
    while count < len(rows) and rows[count].height <= room:
        room -= rows[count].height
        count += 1
    return count


def _kept(galley: Galley, rows: Sequence[Row]) -> int:
    """How many of the last rows wait for the totals: none if even the last one has to be split."""
    room = _fresh_room(galley) - galley.totals
    return _count(rows[-KEPT:][::-1], room)


def _fits_alone(galley: Galley, rows: Sequence[Row]) -> bool:
    """Whether the first row, with what follows it, stands on a sheet of its own."""
    below = galley.totals if len(rows) == 1 else galley.carry
    return rows[0].height <= _fresh_room(galley) - below


def _fresh_room(galley: Galley) -> float:
    return galley.floor - galley.rows_top - galley.carry


def _split(row: Row, room: float) -> tuple[list[Row], list[Row]]:
    """The part of a row that is not higher than ``room``, if it is worth it, and what remains."""
    if row.tall is None:
        return [], [row]
    lines = (*row.tall.title, *row.tall.description)
    frame = row.height - height(lines)
    count = min(fitting(lines, room - frame), len(lines) - LINES_LEFT_MIN)
    if count < LINES_MIN:
        return [], [row]
    titles = min(count, len(row.tall.title))
    title, title_left = cut(row.tall.title, titles)
    text, text_left = cut(row.tall.description, count - titles)
    numbers = msgspec.structs.replace(row.line, title="", description="")
    return (
        [_part(numbers, title, text, frame, begins=row.begins)],
        [_part(Line("", "", "", "", ""), title_left, text_left, frame, begins=False)],
    )


def _part(numbers: Line, title: Lines, description: Lines, frame: float, *, begins: bool) -> Row:
    return Row(
        line=msgspec.structs.replace(numbers, title=joined(title), description=joined(description)),
        height=frame + height((*title, *description)),
        tall=TallRow(tuple(title), tuple(description)),
        begins=begins,
    )
