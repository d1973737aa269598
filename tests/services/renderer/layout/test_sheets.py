"""What stands on which sheet, by heights alone: rows whole, totals never alone, subtotals carried, nothing lost."""

import itertools

import msgspec
import pytest

from services.renderer.layout.galley import Galley, TallRow
from services.renderer.layout.lines import ROUNDING_PX
from services.renderer.layout.sheets import Sheet, fits_likely, galley_sheets, mark, one_sheet, paginate
from services.renderer.layout.snapshot import TextLine
from services.renderer.page import Address, DocumentPage, Line, Row
from services.renderer.words.languages import WORDS

ROW, CARRY, TOTALS, LINE = 40.0, 30.0, 100.0, 20.0
PARTY = Address("From", "Northwind", ("a", "b"))
PAGE = DocumentPage(
    document_id="doc_1",
    language="en",
    direction="ltr",
    page_size="A4",
    accent="",
    logo="",
    labels=WORDS["en"].labels,
    title="Invoice",
    number="1",
    footer="1",
    file_title="Invoice 1",
    author="Northwind",
    subject="Invoice",
    stamp="",
    badge="",
    badge_kind="sent",
    seller=PARTY,
    client=PARTY,
    ship_to=None,
    facts=(),
    lines=(),
    long_numbers=False,
    sums=(),
    total=Row("Total", "9"),
    notes="",
    payment=(),
    payment_code="",
    payment_code_size=0,
)
GALLEY = Galley(
    head_top=50,
    head_bottom=300,
    first_top=400,
    next_top=50,
    rows_top=100,
    floor=1000 + ROUNDING_PX,
    columns=(300, 100, 100, 100),
    rows=(),
    tall={},
    carry=CARRY,
    totals=TOTALS,
    close=TOTALS,
    payment_alone=0,
    notes_lead=60,
    notes_lead_alone=20,
    notes=(),
)


def line(number: int, description: str = "") -> Line:
    return Line(f"Row {number}", description, "1", "1", "1")


def text_lines(text: str, *, above: int = 0) -> tuple[TextLine, ...]:
    pieces = text.splitlines(keepends=True)
    return tuple(TextLine(piece, at * LINE, at * LINE + LINE) for at, piece in enumerate(pieces, start=above))


def document(
    heights: list[float], *, notes: str = "", descriptions: dict[int, str] | None = None
) -> tuple[Galley, DocumentPage]:
    """Rows of these heights; a row with a description is as high as its lines, ten above and ten below."""
    described = descriptions or {}
    lines = tuple(line(at, described.get(at, "")) for at in range(len(heights)))
    tall = {
        at: TallRow(text_lines(lines[at].title), text_lines(text, above=1)) for at, text in described.items()
    }
    full = [
        tall[at].description[-1].bottom + 20 if at in tall else height for at, height in enumerate(heights)
    ]
    galley = msgspec.structs.replace(GALLEY, rows=tuple(full), tall=tall, notes=text_lines(notes))
    return galley, msgspec.structs.replace(PAGE, lines=lines, notes=notes)


def paginated(galley: Galley, page: DocumentPage) -> tuple[Sheet, ...]:
    sheets = paginate(galley, page, str)
    assert [sheet.number for sheet in sheets] == list(range(1, len(sheets) + 1))
    assert {sheet.count for sheet in sheets} == {len(sheets)}
    return sheets


def height_of(sheet: Sheet, galley: Galley) -> float:
    """Where its table ends, of rows that are all whole."""
    rows = sum(galley.rows[int(row.title.split()[1])] for row in sheet.lines)
    carries = CARRY * (bool(sheet.brought) + bool(sheet.carried))
    top = galley.first_top if sheet.number == 1 else galley.rows_top
    return top + carries + rows + (galley.totals if sheet.totals else 0)


@pytest.mark.parametrize("count", range(61))
@pytest.mark.parametrize("height", [ROW, 130.0, 333.0])
def test_rows_stand_whole_in_order_above_the_floor_and_the_last_beside_the_totals(
    count: int, height: float
) -> None:
    galley, page = document([height] * count)
    sheets = paginated(galley, page)
    assert [row for sheet in sheets for row in sheet.lines] == list(page.lines)
    assert all(height_of(sheet, galley) <= galley.floor for sheet in sheets)
    assert [sheet.totals for sheet in sheets] == [False] * (len(sheets) - 1) + [True]
    assert sheets[-1].lines == page.lines[-len(sheets[-1].lines) or count :]
    if len(sheets) > 1:
        assert sheets[-1].lines


@pytest.mark.parametrize("count", range(1, 61))
def test_what_is_carried_is_brought_and_counts_all_lines_so_far(count: int) -> None:
    sheets = paginated(*document([ROW] * count))
    so_far = itertools.accumulate(len(sheet.lines) for sheet in sheets)
    carried = [str(lines) for lines in so_far][:-1]
    assert [sheet.carried for sheet in sheets] == [*carried, ""]
    assert [sheet.brought for sheet in sheets] == ["", *carried]


def test_two_rows_go_with_the_totals_where_they_can() -> None:
    sheets = paginated(*document([ROW] * 15))
    assert [len(sheet.lines) for sheet in sheets] == [13, 2]


def test_a_table_whose_head_is_too_far_down_begins_on_the_next_sheet() -> None:
    galley, page = document([ROW] * 3)
    sheets = paginated(msgspec.structs.replace(galley, first_top=990), page)
    assert [(len(sheet.lines), sheet.brought, sheet.carried) for sheet in sheets] == [
        (0, "", ""),
        (3, "", ""),
    ]


def test_a_head_higher_than_a_sheet_is_made_smaller() -> None:
    galley, page = document([ROW])
    sheets = paginated(msgspec.structs.replace(galley, head_bottom=1950, first_top=2000), page)
    assert [len(sheet.lines) for sheet in sheets] == [0, 1]
    assert sheets[0].head_zoom * 1900 < 950
    assert sheets[1].head_zoom == 1


@pytest.mark.parametrize("lines", [36, 50, 100, 1000, 5000])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_only_a_row_higher_than_a_sheet_flows_on_by_lines(lines: int, place: int) -> None:
    text = "\n".join(f"word-{n}" for n in range(lines))
    galley, page = document([ROW] * 3, descriptions={place: text})
    sheets = paginated(galley, page)
    found = [row for sheet in sheets for row in sheet.lines]
    assert "\n".join(row.description for row in found if row.description) == text
    assert [row.title for row in found if row.title] == ["Row 0", "Row 1", "Row 2"]
    assert all(row.amount for row in found if row.title)
    assert not any(row.amount for row in found if not row.title)
    parts = [row.description.count("\n") + 1 for row in found if row.description]
    assert all(2 <= part <= 43 for part in parts)
    assert sheets[-1].totals
    assert sheets[-1].lines


def test_a_row_that_fits_on_a_sheet_of_its_own_is_not_split() -> None:
    galley, page = document([ROW] * 3, descriptions={1: "word\n" * 34})
    sheets = paginated(galley, page)
    assert [row for sheet in sheets for row in sheet.lines] == list(page.lines)


def test_a_row_without_measured_lines_is_put_down_as_it_is() -> None:
    """It cannot be, but whatever a galley says, there is an end."""
    sheets = paginated(*document([5000.0, ROW]))
    assert [len(sheet.lines) for sheet in sheets] == [0, 1, 1]


@pytest.mark.parametrize("lines", [1, 2, 20, 21, 22, 23, 24, 70, 10_000])
def test_notes_flow_over_as_many_sheets_as_they_need(lines: int) -> None:
    notes = "\n".join(f"note-{n}" for n in range(lines))
    galley, page = document([ROW], notes=notes)
    sheets = paginated(galley, page)
    assert "\n".join(sheet.notes for sheet in sheets) == notes
    assert [sheet.notes_begin for sheet in sheets] == [True] + [False] * (len(sheets) - 1)
    assert len(sheets) == 1 + max(0, -(-(lines - 20) // 47))


def test_notes_begin_on_the_next_sheet_where_one_line_is_all_that_would_fit() -> None:
    galley, page = document([ROW] * 10, notes="one\ntwo\nthree")
    sheets = paginated(msgspec.structs.replace(galley, floor=990 + ROUNDING_PX), page)
    assert [(sheet.notes, sheet.notes_begin) for sheet in sheets] == [("", False), (page.notes, True)]


def test_blank_lines_at_the_head_of_a_sheet_are_left_out() -> None:
    galley, page = document([ROW], notes="a\n" * 10 + "\n" * 200 + "b")
    sheets = paginated(galley, page)
    assert [sheet.notes.split() for sheet in sheets] == [["a"] * 10, ["b"]]


def test_a_paragraph_that_is_cut_runs_on_in_its_direction() -> None:
    words = ["שלום "] * 30 + ["abc "] * 30
    notes = "".join(words)
    lines = tuple(TextLine(word, at * LINE, at * LINE + LINE) for at, word in enumerate(words))
    galley, page = document([ROW], notes=notes)
    _, second = paginated(msgspec.structs.replace(galley, floor=1140 + ROUNDING_PX, notes=lines), page)
    assert second.notes.startswith("שלום")
    _, second = paginated(msgspec.structs.replace(galley, floor=1200 + ROUNDING_PX, notes=lines), page)
    assert second.notes.startswith("\u200fabc")


def test_how_to_pay_stands_beside_the_totals_or_on_a_sheet_of_its_own() -> None:
    galley, page = document([ROW], notes="thanks")
    page = msgspec.structs.replace(page, payment=(Row("IBAN", "DE89"),))
    beside = paginated(msgspec.structs.replace(galley, close=200, payment_alone=200), page)
    assert [(sheet.totals, sheet.payment, sheet.notes) for sheet in beside] == [(True, True, "thanks")]
    large = paginated(msgspec.structs.replace(galley, close=700, payment_alone=700), page)
    assert [(sheet.totals, sheet.payment, sheet.notes) for sheet in large] == [
        (True, False, ""),
        (False, True, "thanks"),
    ]
    huge = paginated(msgspec.structs.replace(galley, close=7000, payment_alone=7000), page)
    assert huge[1].payment_zoom * 7000 < 950


def test_slack_leaves_room_at_the_foot() -> None:
    galley, page = document([ROW] * 12)
    assert len(paginate(galley, page, str)) == 1
    assert len(paginate(galley, page, str, slack_px=100)) == 2


def test_one_sheet_holds_all() -> None:
    _, page = document([ROW] * 3, notes="notes")
    [sheet] = one_sheet(page)
    assert (sheet.lines, sheet.totals, sheet.notes) == (page.lines, True, "notes")


def test_a_galley_holds_what_sheets_may_need() -> None:
    _, page = document([ROW] * 3, notes="notes")
    whole, following = galley_sheets(page)
    assert (whole.lines, whole.brought, whole.carried) == (page.lines, "9", "9")
    assert (following.number, following.brought, following.lines) == (2, "9", ())


@pytest.mark.parametrize(
    ("lines", "description", "notes", "likely"),
    [(5, "", "", True), (30, "", "", False), (5, "word " * 300, "", False), (1, "", "\n" * 40, False)],
)
def test_a_guess_tells_short_documents(lines: int, description: str, notes: str, *, likely: bool) -> None:
    page = msgspec.structs.replace(PAGE, lines=(line(1, description),) * lines, notes=notes)
    assert fits_likely(page) == likely


def test_a_mark_is_of_one_sheet_of_one_document() -> None:
    assert mark("doc_1", 1) == "x-dcee443a-501cb019-p1"
    assert len({mark(document_id, number) for document_id in "ab" for number in (1, 2, 11)}) == 6
