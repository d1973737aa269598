"""A file that is not as the browser writes it is refused, and never becomes one that holds another's document."""

import re
from collections.abc import Sequence
from io import BytesIO

import pikepdf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from printing import page, sheet, wanted

from services.renderer.chromium import Chromium
from services.renderer.finish import finish
from services.renderer.printed import PrintedError, read

NAMES = ("Alder", "Birch", "Cedar")
DOCUMENTS = [wanted(name, sheets=2 if name == "Birch" else 1) for name in NAMES]
NUMBER = re.compile(rb"\d+")
CLEAR = re.compile(rb"stream\n.*?\nendstream", re.DOTALL)


@pytest.fixture(scope="module")
async def printed(chromium: Chromium) -> bytes:
    picture = "<svg role=img aria-label='Logo of {}' width=9 height=9><path d='M0 0h9v9z'/></svg>"
    return await chromium.print(
        page(
            *(
                sheet(document.document_id, number, picture.format(document.document_id))
                for document in DOCUMENTS
                for number in range(1, document.sheets + 1)
            )
        )
    )


@pytest.fixture(scope="module")
def numbers(printed: bytes) -> list[tuple[int, int]]:
    """Where numbers stand that are no part of a stream."""
    clear = CLEAR.sub(lambda found: b" " * len(found[0]), printed)
    return [found.span() for found in NUMBER.finditer(clear)]


def refused_or_right(mutated: bytes, contents: Sequence[Sequence[bytes]]) -> None:
    """``contents`` are the content streams of each document in the print that was not touched."""
    try:
        files = finish(mutated, DOCUMENTS)
    except PrintedError:
        return
    for at, file in enumerate(files):
        if file is not None:
            others = [each for other, streams in enumerate(contents) if other != at for each in streams]
            assert not any(each in file for each in others)
            assert not [name for name in NAMES if name != NAMES[at] and name in said(file)]


def said(pdf: bytes) -> str:
    """Everything outside of streams."""
    with pikepdf.open(BytesIO(pdf)) as opened:
        plain = [each for each in opened.objects if not isinstance(each, pikepdf.Stream)]
        return "\n".join(each.unparse(resolved=True).decode("latin-1") for each in plain)


@pytest.fixture(scope="module")
def contents(printed: bytes) -> list[list[bytes]]:
    source = read(printed)
    own = iter([source.content(each.contents).content for each in source.pages])
    return [[next(own) for _ in range(document.sheets)] for document in DOCUMENTS]


def test_untouched_it_holds_all_of_them(printed: bytes, contents: list[list[bytes]]) -> None:
    files = finish(printed, DOCUMENTS)
    assert all(name in said(file or b"") for name, file in zip(NAMES, files, strict=True))
    assert all(each in (file or b"") for file, own in zip(files, contents, strict=True) for each in own)
    refused_or_right(printed, contents)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_number_for_another_never_leads_to_anothers_document(
    data: st.DataObject, printed: bytes, numbers: list[tuple[int, int]], contents: list[list[bytes]]
) -> None:
    """References, offsets, lengths and keys; the same width, so that all the others stay right."""
    start, end = data.draw(st.sampled_from(numbers))
    other = data.draw(st.integers(0, min(10 ** (end - start) - 1, 500)))
    refused_or_right(printed[:start] + b"%0*d" % (end - start, other) + printed[end:], contents)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_neither_does_noise(data: st.DataObject, printed: bytes, contents: list[list[bytes]]) -> None:
    mutated = bytearray(printed)
    for at in data.draw(st.lists(st.integers(0, len(printed) - 1), min_size=1, max_size=5)):
        mutated[at] = data.draw(st.integers(0, 255))
    refused_or_right(bytes(mutated), contents)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_a_part_of_a_file_is_refused(kept: float, printed: bytes) -> None:
    with pytest.raises(PrintedError):
        finish(printed[: int(len(printed) * kept)], DOCUMENTS)


def test_what_is_no_pdf_is_refused() -> None:
    for other in (b"", b"%PDF-1.7\n%%EOF\n", b"<!doctype html>", b"startxref\n0\n%%EOF\n" * 9):
        with pytest.raises(PrintedError):
            finish(other, DOCUMENTS)


async def test_so_is_what_no_template_has(chromium: Chromium) -> None:
    """A link is an annotation of the page, which nothing here knows how to move."""
    with pytest.raises(PrintedError):
        finish(await chromium.print(page(sheet("a", body="<a href='mailto:x'>x</a>"))), [wanted("a")])
