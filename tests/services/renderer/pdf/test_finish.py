"""The file is the same, byte for byte, wherever and whenever it is made; it is sound, tagged, and names us alone."""

from collections.abc import Awaitable, Callable, Iterator
from io import BytesIO

import msgspec
import pikepdf
import pytest
from printing import TABLE, UPDATED_AT, page, sheet, wanted

from services.renderer.chromium import Chromium, open_chromium
from services.renderer.pdf.finish import Wanted, finish
from shared.messages import RenderJob

HOSTILE = "a) endobj 5 0 R stream\\ (b <FEFF> >> é 汉字 عربي 😀"
EXAMPLES = ("invoice-modern", "estimate-classic", "receipt-clean", "quote-minimal", "money-huge")


def files(printed: bytes, *documents: Wanted) -> list[bytes]:
    """All of them, proved."""
    found = finish(printed, documents)
    assert None not in found
    return [file for file in found if file]


def elements(parent: pikepdf.Object) -> Iterator[pikepdf.Object]:
    """The structure elements below one, in reading order."""
    for kid in parent.get("/K", pikepdf.Array()):  # pyright: ignore[reportArgumentType]
        if isinstance(kid, pikepdf.Dictionary):
            yield kid
            yield from elements(kid)


def kinds(pdf: bytes) -> list[str]:
    with pikepdf.open(BytesIO(pdf)) as opened:
        return [str(each.S)[1:] for each in elements(opened.Root.StructTreeRoot.K)]


async def test_two_browsers_make_the_same_bytes(chromium: Chromium, chromium_path: str) -> None:
    """One has printed much, the other nothing: what it printed before, and when, must leave no trace."""
    html = page(sheet("a"), sheet("b", 1), sheet("b", 2))
    documents = (wanted("a"), wanted("b", 2))
    for _ in range(3):
        await chromium.print(page(sheet("z"), sheet("y")))
    ours = files(await chromium.print(html), *documents)
    async with open_chromium(path=chromium_path, sandbox=False, pages=1, prints_max=10) as fresh:
        assert files(await fresh.print(html), *documents) == ours


async def test_it_tells_title_author_and_dates_and_no_other_maker(chromium: Chromium) -> None:
    pdf = files(await chromium.print(page(sheet("a"))), wanted("a", title="Invoice INV-2026-000042"))[0]
    with pikepdf.open(BytesIO(pdf)) as opened:
        told = {key: str(value) for key, value in opened.docinfo.items()}
        packet = opened.Root.Metadata.read_bytes()
        metadata = opened.open_metadata()
        assert metadata["dc:title"] == "Invoice INV-2026-000042"
        assert metadata["dc:creator"] == ["Northwind Studio"]
        assert metadata["xmp:ModifyDate"] == "2026-03-05T23:59:58Z"
        everything = b"".join(each.unparse() for each in opened.objects)
    assert told == {
        "/Title": "Invoice INV-2026-000042",
        "/Author": "Northwind Studio",
        "/Subject": "Invoice for Acme Corp",
        "/Creator": "InvoUno",
        "/Producer": "InvoUno",
        "/CreationDate": "D:20260305235958Z",
        "/ModDate": "D:20260305235958Z",
    }
    for maker in (b"Chrom", b"Skia", b"pikepdf", b"node0", b"-x-"):
        assert maker not in pdf + packet + everything


async def test_a_reader_is_told_the_language_and_to_show_the_title(chromium: Chromium) -> None:
    pdf = files(await chromium.print(page(sheet("a", language="pt-BR"))), wanted("a", language="pt-BR"))[0]
    with pikepdf.open(BytesIO(pdf)) as opened:
        assert opened.Root.Lang == "pt-BR"
        assert opened.Root.StructTreeRoot.K.Lang == "pt-BR"
        assert opened.Root.MarkInfo.Marked
        assert opened.Root.ViewerPreferences.DisplayDocTitle


async def test_tags_tell_headings_paragraphs_and_cells_without_wrappers(chromium: Chromium) -> None:
    pair = "<div><dl><dt>Total<dd>3</dl></div>"
    pdf = files(await chromium.print(page(sheet("a", body=TABLE + pair))), wanted("a"))[0]
    row, rows = ["TR", "TH", "TH"], ["TR", "TD", "TD", "TR", "TD", "TD", "TR", "TD"]
    assert kinds(pdf) == ["Art", "H1", "P", "Table", *row, *rows, "P", "P"]
    with pikepdf.open(BytesIO(pdf)) as opened:
        cells = [each for each in elements(opened.Root.StructTreeRoot.K) if each.S in ("/TH", "/TD")]
        said = [dict(each.A[0].items()) if "/A" in each else {} for each in cells]
    assert [each.get("/Scope") for each in said[:2]] == ["/Column", "/Column"]
    assert [each.get("/ColSpan") for each in said[2:]] == [None, None, None, None, 2]


async def test_a_wrapper_tells_no_language_but_a_foreign_one(chromium: Chromium) -> None:
    stacked = '<div style="position: relative; z-index: 0" lang={}><p>text</p></div>'
    body = stacked.format("en") + stacked.format("fr")
    pdf = files(await chromium.print(page(sheet("a", body=body))), wanted("a"))[0]
    assert kinds(pdf) == ["Art", "H1", "P", "P", "NonStruct", "P"]
    with pikepdf.open(BytesIO(pdf)) as opened:
        told = [str(each.Lang) for each in elements(opened.Root.StructTreeRoot.K) if "/Lang" in each]
    assert told == ["fr"]


async def test_each_piece_of_content_belongs_to_an_element_that_names_it(chromium: Chromium) -> None:
    """Both ways: by the page's own table, and down from the root."""
    pdf = files(await chromium.print(page(sheet("a", 1), sheet("a", 2))), wanted("a", 2))[0]
    with pikepdf.open(BytesIO(pdf)) as opened:
        root = opened.Root.StructTreeRoot
        by_page = {nums: list(owners) for nums, owners in zip(*[iter(root.ParentTree.Nums)] * 2, strict=True)}
        for own in opened.pages:
            down = {
                int(kid): each.objgen
                for each in elements(root.K)
                if each.Pg.objgen == own.obj.objgen
                for kid in each.K
                if isinstance(kid, int)
            }
            assert [down[at] for at in sorted(down)] == [
                each.objgen for each in by_page[int(own.StructParents)]
            ]
            assert sorted(down) == list(range(len(down)))


async def test_an_outline_nests_each_documents_own_headings(chromium: Chromium) -> None:
    body = "<h2>Bill to</h2><p>x</p><h3>Deep</h3><h2>Notes</h2>"
    first = files(await chromium.print(page(sheet("a", body=body), sheet("b"))), wanted("a"), wanted("b"))[0]
    with pikepdf.open(BytesIO(first)) as opened, opened.open_outline() as outline:
        told = [
            (top.title, [(each.title, [c.title for c in each.children]) for each in top.children])
            for top in outline.root
        ]
        assert opened.Root.Outlines.Count == 4
    assert told == [("Invoice a", [("Bill to", ["Deep"]), ("Notes", [])])]


async def test_what_a_customer_writes_is_only_text(
    chromium: Chromium, text_of: Callable[[bytes], str]
) -> None:
    escaped = HOSTILE.replace("<", "&lt;")
    body = (
        f'<h2>{escaped}</h2><svg role=img aria-label="{escaped}" width=9 height=9><path d="M0 0h9v9z"/></svg>'
    )
    html = page(sheet("a", body=body), title=escaped)
    pdf = files(await chromium.print(html), wanted("a", title=HOSTILE))[0]
    with pikepdf.open(BytesIO(pdf)) as opened, opened.open_outline() as outline:
        assert opened.check_pdf_syntax() == []
        assert opened.docinfo.Title == HOSTILE
        assert opened.open_metadata()["dc:title"] == HOSTILE
        assert outline.root[0].children[0].title == HOSTILE
        alts = [str(each.Alt) for each in elements(opened.Root.StructTreeRoot.K) if "/Alt" in each]
    assert alts == [HOSTILE]
    assert "endobj 5 0 R stream" in text_of(pdf)


@pytest.mark.parametrize("name", EXAMPLES)
async def test_every_look_comes_out_sound_and_unchanged(
    name: str, example: Callable[[str], RenderJob], pdf_of: Callable[[RenderJob], Awaitable[bytes]]
) -> None:
    pdf = await pdf_of(example(name))
    with pikepdf.open(BytesIO(pdf)) as opened:
        assert opened.check_pdf_syntax() == []
        assert [round(float(edge)) for edge in opened.pages[0].mediabox] == [0, 0, 595, 842]


async def test_finishing_changes_nothing_that_is_seen_or_read(
    chromium: Chromium, poppler: Callable[..., bytes], text_of: Callable[[bytes], str]
) -> None:
    printed = await chromium.print(page(sheet("a", 1), sheet("a", 2)))
    pdf = files(printed, wanted("a", 2))[0]
    assert text_of(pdf) == text_of(printed)
    for number in ("1", "2"):
        drawn = ("pdftoppm", "-r", "60", "-f", number, "-l", number)
        assert poppler(*drawn, pdf=pdf) == poppler(*drawn, pdf=printed)


async def test_a_document_is_the_same_beside_others_as_alone(
    chromium: Chromium, poppler: Callable[..., bytes], text_of: Callable[[bytes], str]
) -> None:
    """But for the names of fonts, which follow the print, and small fonts, which hold what the print draws."""
    own = sheet("b", body="<h2>Notes</h2><p>Zebra 42</p>" + TABLE)
    alone = files(await chromium.print(page(own)), wanted("b"))[0]
    among = files(
        await chromium.print(page(sheet("a"), own, sheet("c"))), wanted("b"), wanted("a"), wanted("c")
    )[0]
    assert text_of(alone) == text_of(among)
    assert kinds(alone) == kinds(among)
    assert poppler("pdftoppm", "-r", "60", pdf=alone) == poppler("pdftoppm", "-r", "60", pdf=among)


async def test_a_draft_is_titled_as_one(
    example: Callable[[str], RenderJob], pdf_of: Callable[[RenderJob], Awaitable[bytes]]
) -> None:
    with pikepdf.open(BytesIO(await pdf_of(example("invoice-minimal")))) as opened:
        assert opened.docinfo.Title == "Invoice (draft)"


async def test_dates_are_the_documents_own(
    example: Callable[[str], RenderJob], pdf_of: Callable[[RenderJob], Awaitable[bytes]]
) -> None:
    pdf = await pdf_of(msgspec.structs.replace(example("invoice-clean"), updated_at=UPDATED_AT))
    with pikepdf.open(BytesIO(pdf)) as opened:
        assert opened.docinfo.ModDate == "D:20260305235958Z"
