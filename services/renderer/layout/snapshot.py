"""What the browser tells of a page that it has laid out: the boxes of its elements, and the lines of its texts."""

from collections.abc import Iterator
from itertools import pairwise
from statistics import median_high
from typing import Any

import msgspec

Bounds = tuple[float, float, float, float]


class Nodes(msgspec.Struct, frozen=True, rename="camel"):
    parent_index: list[int]
    node_name: list[int]
    attributes: list[list[int]]


class Layout(msgspec.Struct, frozen=True, rename="camel"):
    node_index: list[int]
    bounds: list[Bounds]
    text: list[int]


class TextBoxes(msgspec.Struct, frozen=True, rename="camel"):
    layout_index: list[int]
    bounds: list[Bounds]
    start: list[int]


class Document(msgspec.Struct, frozen=True, rename="camel"):
    nodes: Nodes
    layout: Layout
    text_boxes: TextBoxes


class Captured(msgspec.Struct, frozen=True):
    """What is used of CDP's `DOMSnapshot.captureSnapshot`: columns of tables, in which words are their places."""

    documents: list[Document]
    strings: list[str]


class Box(msgspec.Struct, frozen=True):
    """An element by its name and class, or a text as ``#text``; in CSS pixels from the page's corner.

    ``index`` and ``end`` are the places in the layout's order of itself and of what comes after it.
    """

    index: int
    node: int
    name: str
    left: float
    top: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        return self.top + self.height


class TextLine(msgspec.Struct, frozen=True):
    """A line as it was broken, with the space or break that ends it."""

    text: str
    top: float
    bottom: float


class Snapshot:
    """A page that was captured."""

    def __init__(self, captured: dict[str, Any]) -> None:
        read = msgspec.convert(captured, Captured)
        self._strings = read.strings
        self._nodes = read.documents[0].nodes
        self._layout = read.documents[0].layout
        self._text_boxes = read.documents[0].text_boxes
        self._box_starts = _starts(self._text_boxes.layout_index)

    def boxes(self) -> Iterator[Box]:
        """In the order of the source."""
        for index, (node, bounds) in enumerate(
            zip(self._layout.node_index, self._layout.bounds, strict=True)
        ):
            yield Box(index, node, self._name(node), *bounds)

    def parent(self, box: Box) -> str:
        return self._name(self._nodes.parent_index[box.node])

    def lines(self, text: Box) -> tuple[TextLine, ...]:
        """Of a box that is a text."""
        first, end = self._box_starts[text.index]
        boxes = self._text_boxes
        placed = sorted((boxes.start[at], boxes.bounds[at]) for at in range(first, end))
        return _lines(self._strings[self._layout.text[text.index]], placed)

    def _name(self, node: int) -> str:
        """As in a selector of its first class: ``DIV.foot``."""
        name = self._strings[self._nodes.node_name[node]]
        attributes = self._nodes.attributes[node]
        for key, value in zip(attributes[::2], attributes[1::2], strict=True):
            if self._strings[key] == "class":
                return f"{name}.{self._strings[value].split()[0]}"
        return name


def _starts(layout_index: list[int]) -> dict[int, tuple[int, int]]:
    """The range of text boxes that each text has."""
    edges = [at for at, (one, other) in enumerate(pairwise([-1, *layout_index])) if one != other]
    return {layout_index[first]: (first, end) for first, end in pairwise([*edges, len(layout_index)])}


def _lines(text: str, boxes: list[tuple[int, Bounds]]) -> tuple[TextLine, ...]:
    """Starts count in UTF-16 units; within a line that runs both ways, boxes lie in no order."""
    units = text.encode("utf-16-le")
    begun: list[tuple[int, float]] = []
    for start, (_, top, _, height) in boxes:
        if not begun or top > begun[-1][1] + height / 2:
            begun.append((start, top))
    if not begun:
        return ()
    distances = [below[1] - above[1] for above, below in pairwise(begun)]
    # One line alone does not tell its distance to the next: it is as high as its letters, and not more.
    last = median_high(distances) if distances else boxes[0][1][3]
    ends = [*begun[1:], (len(units) // 2, begun[-1][1] + last)]
    return tuple(
        TextLine(units[start * 2 : end * 2].decode("utf-16-le"), top, bottom)
        for (start, top), (end, bottom) in zip(begun, ends, strict=True)
    )
