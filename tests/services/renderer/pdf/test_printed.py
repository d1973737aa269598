"""A file that is not as the browser writes it is refused, and never becomes one that holds another's document."""

import re
from dataclasses import dataclass
from io import BytesIO

import pikepdf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from printing import page, sheet, wanted

from services.renderer.chromium import Chromium
from services.renderer.pdf.finish import finish
from services.renderer.pdf.printed import PrintedError, read

NAMES = ("Alder", "Birch", "Cedar")
DOCUMENTS = [wanted(name, sheets=2 if name == "Birch" else 1) for name in NAMES]
# Of whatever there are, by the rest of a division.
PLACE = st.integers(0, 2**20)
NUMBER = re.compile(rb"\d+")
STREAM = re.compile(rb"stream\n.*?\nendstream", re.DOTALL)


@dataclass(frozen=True, repr=False)
class Print:
    """``numbers`` are where numbers stand that are no part of a stream, ``contents`` each document's own streams."""

    data: bytes
    numbers: list[tuple[int, int]]
    contents: list[list[bytes]]

    def check(self, mutated: bytes) -> None:
        """It is refused, or whoever gets a file gets nothing of another's."""
        try:
            files = finish(mutated, DOCUMENTS)
        except PrintedError:
            return
        for at, file in enumerate(files):
            if file is not None:
                others = [
                    each for other, streams in enumerate(self.contents) if other != at for each in streams
                ]
                assert not any(each in file for each in others)
                assert not [name for name in NAMES if name != NAMES[at] and name in said(file)]


def said(pdf: bytes) -> str:
    """Everything outside of streams, but for what is broken."""
    with pikepdf.open(BytesIO(pdf)) as opened:
        objects: list[pikepdf.Object | None] = list(opened.objects)
        plain = [each for each in objects if each is not None and not isinstance(each, pikepdf.Stream)]
        return "\n".join(each.unparse(resolved=True).decode("latin-1") for each in plain)


@pytest.fixture(scope="module")
async def printed(chromium: Chromium) -> Print:
    picture = "<svg role=img aria-label='Logo of {}' width=9 height=9><path d='M0 0h9v9z'/></svg>"
    data = await chromium.print(
        page(
            *(
                sheet(document.document_id, number, picture.format(document.document_id))
                for document in DOCUMENTS
                for number in range(1, document.sheets + 1)
            )
        )
    )
    clear = STREAM.sub(lambda found: b" " * len(found[0]), data)
    source = read(data)
    own = iter([source.content(each.contents).content for each in source.pages])
    contents = [[next(own) for _ in range(document.sheets)] for document in DOCUMENTS]
    return Print(data, [found.span() for found in NUMBER.finditer(clear)], contents)


def test_untouched_it_holds_all_of_them(printed: Print) -> None:
    files = finish(printed.data, DOCUMENTS)
    assert all(name in said(file or b"") for name, file in zip(NAMES, files, strict=True))
    assert all(
        each in (file or b"") for file, own in zip(files, printed.contents, strict=True) for each in own
    )
    printed.check(printed.data)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=PLACE, other=st.integers(0, 500))
def test_a_number_for_another_never_leads_to_anothers_document(
    which: int, other: int, printed: Print
) -> None:
    """References, offsets, lengths and keys; the same width, so that all the others stay right."""
    start, end = printed.numbers[which % len(printed.numbers)]
    width = end - start
    printed.check(printed.data[:start] + b"%0*d" % (width, other % 10**width) + printed.data[end:])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.lists(st.tuples(PLACE, st.integers(0, 255)), min_size=1, max_size=5))
def test_neither_does_noise(noise: list[tuple[int, int]], printed: Print) -> None:
    mutated = bytearray(printed.data)
    for at, byte in noise:
        mutated[at % len(mutated)] = byte
    printed.check(bytes(mutated))


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_a_part_of_a_file_is_refused(kept: float, printed: Print) -> None:
    with pytest.raises(PrintedError):
        finish(printed.data[: int(len(printed.data) * kept)], DOCUMENTS)


def test_what_is_no_pdf_is_refused() -> None:
    for other in (b"", b"%PDF-1.7\n%%EOF\n", b"<!doctype html>", b"startxref\n0\n%%EOF\n" * 9):
        with pytest.raises(PrintedError):
            finish(other, DOCUMENTS)


@pytest.mark.parametrize("body", ["<a href='mailto:x'>x</a>", "<p style='opacity: .5'>x<b>y</b>"])
async def test_so_is_what_no_template_has(chromium: Chromium, body: str) -> None:
    """Annotations, and what is drawn as a group, have tags of their own, which are no page's."""
    printed = await chromium.print(page(sheet("a", body=body), sheet("b")))
    with pytest.raises(PrintedError):
        finish(printed, [wanted("a"), wanted("b")])
    with pytest.raises(PrintedError):
        finish(printed, [wanted("b")])
