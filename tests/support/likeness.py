"""Whether two files show and say the same, though their bytes are not equal."""

import subprocess
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

import pikepdf
from PIL import Image, ImageChops

# The browser counts in floats from the top of the first page, so that an edge far down may fall a shade lighter.
SHADES = 24
# What a structure element says of itself; an attribute is such as a header's scope.
TOLD = ("/Alt", "/ActualText", "/E", "/Lang", "/T", "/A")


def assert_alike(one: bytes, other: bytes) -> None:
    """Words in their order, each page's look, and all that is said beside the pages."""
    assert words(one) == words(other)
    assert difference(drawn(one), drawn(other)) <= SHADES
    assert told(one) == told(other)


def words(pdf: bytes) -> bytes:
    return subprocess.run(("pdftotext", "-raw", "-", "-"), input=pdf, capture_output=True, check=True).stdout  # noqa: S607 - found on the path, as make test provides it


def drawn(pdf: bytes) -> bytes:
    """All its pages, one after the other."""
    return subprocess.run(("pdftoppm", "-r", "40", "-"), input=pdf, capture_output=True, check=True).stdout  # noqa: S607 - as above


def difference(one: bytes, other: bytes) -> int:
    """The largest of two drawings, from 0 to 255."""
    assert len(one) == len(other)
    flat = [Image.frombytes("L", (len(drawn), 1), drawn) for drawn in (one, other)]
    shades = ImageChops.difference(*flat).histogram()
    return max(shade for shade, pixels in enumerate(shades) if pixels)


def told(pdf: bytes) -> dict[str, Any]:
    """What a file says beside its pages: of whom it is, where its headings are, and what each part of it is."""
    with pikepdf.open(BytesIO(pdf)) as opened, opened.open_outline() as outline:
        return {
            "information": {key: str(value) for key, value in opened.docinfo.items()},
            "metadata": opened.Root.Metadata.read_bytes(),
            "language": str(opened.Root.Lang),
            "outline": list(headings(outline.root, [page.obj.objgen for page in opened.pages])),
            "structure": list(tags(opened.Root.StructTreeRoot.K)),
        }


def headings(entries: Sequence[pikepdf.OutlineItem], pages: list[tuple[int, int]]) -> Iterator[object]:
    """Each with the page and the place that it leads to, and what stands below it."""
    for entry in entries:
        assert isinstance(entry.destination, pikepdf.Array)
        page, *place = entry.destination.as_list()
        yield entry.title, pages.index(page.objgen), str(place), list(headings(entry.children, pages))


def tags(node: pikepdf.Object) -> Iterator[str]:
    """Each with its texts and attributes, in the order of their nesting."""
    if isinstance(node, pikepdf.Array):
        for kid in node.as_list():
            yield from tags(kid)
    if isinstance(node, pikepdf.Dictionary) and "/S" in node:
        yield " ".join([str(node.S), *(f"{key} {node[key]}" for key in TOLD if key in node)])
        yield from (f"  {tag}" for tag in tags(node.get("/K", pikepdf.Array())))
