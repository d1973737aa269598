"""Many finished files become one that says, shows and tags what they do, in their order."""

from collections.abc import Callable, Sequence
from io import BytesIO

import pikepdf
import pytest
from printing import UPDATED_AT, page, sheet, wanted

from services.renderer.chromium import Chromium
from services.renderer.pdf.finish import finish
from services.renderer.pdf.finished import FinishedError
from services.renderer.pdf.merge import KIDS_PER_NODE, Merger
from services.renderer.pdf.metadata import Description

WHOLE = Description(
    language="en", title="Invoices (2026)", author="Northwind", subject="", updated_at=UPDATED_AT
)
PICTURE = "<img alt='Logo' width=9 height=9 src='data:image/png;base64,{}'>".format(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
async def files(chromium: Chromium) -> list[bytes]:
    """Three documents of one print, of one, two and one sheets, and one of another print in another language."""
    sheets = [sheet("a", 1, "<h2>Bill to</h2>" + PICTURE), sheet("b", 1), sheet("b", 2), sheet("c", 1)]
    together = await chromium.print(page(*sheets))
    alone = await chromium.print(page(sheet("d", 1, "<p>Grüße 汉字" + PICTURE, language="de")))
    documents = [
        wanted("a", title="Invoice (a)"),
        wanted("b", 2, title="Rechnung ü"),
        wanted("c", title="c endobj"),
    ]
    found = [*finish(together, documents), *finish(alone, [wanted("d", title="d", language="de")])]
    return [each for each in found if each]


def merged(files: Sequence[bytes]) -> bytes:
    merger = Merger()
    parts = [merger.add(each) for each in files]
    return b"".join((*parts, merger.end(WHOLE)))


def test_pages_and_their_words_stand_in_order(
    files: list[bytes], pages_of: Callable[[bytes], list[str]]
) -> None:
    assert len(files) == 4
    assert pages_of(merged(files)) == [words for each in files for words in pages_of(each)]


def test_pages_look_as_they_did(files: list[bytes], poppler: Callable[..., bytes]) -> None:
    drawn = ("pdftoppm", "-r", "40")
    assert poppler(*drawn, pdf=merged(files)) == b"".join(poppler(*drawn, pdf=each) for each in files)


def test_the_file_is_sound_and_the_same_each_time(files: list[bytes]) -> None:
    with pikepdf.open(BytesIO(merged(files))) as opened:
        assert opened.check_pdf_syntax() == []
        assert len(opened.pages) == 5
    assert merged(files) == merged(files)
    assert merged(files) != merged(files[::-1])


def test_it_tells_what_it_is(files: list[bytes]) -> None:
    with pikepdf.open(BytesIO(merged(files))) as opened:
        assert opened.docinfo.Title == "Invoices (2026)"
        assert opened.open_metadata()["dc:title"] == "Invoices (2026)"
        assert opened.Root.Lang == "en"
        assert opened.Root.MarkInfo.Marked


def test_the_outline_has_each_documents_below_its_title(files: list[bytes]) -> None:
    with pikepdf.open(BytesIO(merged(files))) as opened, opened.open_outline() as outline:
        tops = list(outline.root)
        below = [[each.title for each in top.children] for top in tops]
        pages = [
            opened.pages.index(top.destination[0])
            for top in tops
            if isinstance(top.destination, pikepdf.Array)
        ]
        deeper = [each.title for each in tops[0].children[0].children]
    assert [top.title for top in tops] == ["Invoice (a)", "Rechnung ü", "c endobj", "d"]
    assert below == [["Invoice a"], ["Invoice b", "Invoice b"], ["Invoice c"], ["Invoice d"]]
    assert pages == [0, 1, 3, 4]
    assert deeper == ["Bill to"]


def test_tags_stay_and_each_page_leads_to_its_own(files: list[bytes]) -> None:
    with pikepdf.open(BytesIO(merged(files))) as opened:
        document = opened.Root.StructTreeRoot.K
        parts = list(document.K)
        assert [(part.S, str(part.T), str(part.Lang)) for part in parts] == [
            ("/Part", "Invoice (a)", "en"),
            ("/Part", "Rechnung ü", "en"),
            ("/Part", "c endobj", "en"),
            ("/Part", "d", "de"),
        ]
        assert [len(part.K) for part in parts] == [1, 2, 1, 1]
        table = pikepdf.NumberTree(opened.Root.StructTreeRoot.ParentTree)
        for each in opened.pages:
            owners = list(table[int(each.StructParents)])  # pyright: ignore[reportArgumentType]
            assert {owner.Pg.objgen for owner in owners} == {each.obj.objgen}


def test_what_files_have_alike_is_there_once(files: list[bytes]) -> None:
    with pikepdf.open(BytesIO(merged(files))) as opened:
        streams = [each for each in opened.objects if isinstance(each, pikepdf.Stream)]
        fonts = [each.read_raw_bytes() for each in streams if "/Length1" in each]
        images = [each for each in streams if each.get("/Subtype") == "/Image"]
        assert len(fonts) == len(set(fonts))
    assert len(images) == 2, "the picture and its mask"


def test_many_documents_are_many_nodes(files: list[bytes]) -> None:
    count = 2 * KIDS_PER_NODE + 1
    whole = merged([files[0]] * count)
    with pikepdf.open(BytesIO(whole)) as opened, opened.open_outline() as outline:
        assert len(opened.Root.Pages.Kids) == 3
        assert opened.check_pdf_syntax() == []
        assert len(opened.pages) == len(outline.root) == count
        assert len(pikepdf.NumberTree(opened.Root.StructTreeRoot.ParentTree)) == count
    assert len(whole) < count * len(files[0]) / 3


def test_none_at_all_are_a_file_without_pages() -> None:
    with pikepdf.open(BytesIO(merged([]))) as opened:
        assert len(opened.pages) == 0


@pytest.mark.parametrize("other", [b"", b"%PDF-1.7\n%%EOF\n", b"startxref\n0\n%%EOF\n"])
def test_what_was_not_finished_here_is_refused_and_leaves_no_trace(other: bytes, files: list[bytes]) -> None:
    merger = Merger()
    start = merger.add(files[0])
    with pytest.raises(FinishedError):
        merger.add(other)
    with pytest.raises(FinishedError):
        merger.add(files[1][:-100])
    assert start + merger.add(files[2]) + merger.end(WHOLE) == merged([files[0], files[2]])
