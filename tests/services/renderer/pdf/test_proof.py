"""No file goes out with a page that is not, all of it, one sheet of its document."""

from collections.abc import Callable, Sequence

import pytest
from printing import TALL, page, sheet, wanted

from services.renderer.chromium import Chromium
from services.renderer.pdf.finish import finish

Words = Callable[[bytes], list[str]]


async def proved(chromium: Chromium, sheets: Sequence[str], documents: str, **counts: int) -> str:
    """The documents, each a letter, that come out of a print; of one sheet but for those in ``counts``."""
    printed = await chromium.print(page(*sheets))
    files = finish(printed, [wanted(each, counts.get(each, 1)) for each in documents])
    return "".join(each for each, file in zip(documents, files, strict=True) if file)


async def test_each_document_has_its_own_pages(chromium: Chromium, pages_of: Words) -> None:
    printed = await chromium.print(page(sheet("a"), sheet("b", 1), sheet("b", 2), sheet("c")))
    files = finish(printed, [wanted("a"), wanted("b", 2), wanted("c")])
    table = "Item Amount Design 1 Build 2 Carried forward Foot"
    assert [pages_of(file or b"") for file in files] == [
        [f"Invoice a Sheet 1 of a {table}"],
        [f"Invoice b Sheet 1 of b {table}", f"Invoice b Sheet 2 of b {table}"],
        [f"Invoice c Sheet 1 of c {table}"],
    ]


async def test_the_order_asked_for_is_the_order_given(chromium: Chromium, pages_of: Words) -> None:
    files = finish(await chromium.print(page(sheet("a"), sheet("b"))), [wanted("b"), wanted("a")])
    assert [pages_of(file or b"")[0][:9] for file in files] == ["Invoice b", "Invoice a"]


async def test_a_sheet_that_needs_a_second_page_is_not_proved(chromium: Chromium) -> None:
    assert await proved(chromium, [sheet("a"), sheet("b", body=TALL), sheet("c")], "abc") == "ac"
    assert await proved(chromium, [sheet("a", body=TALL)], "a") == ""


async def test_neither_are_two_sheets_on_one_page(chromium: Chromium) -> None:
    """As when one that may not grow runs onto the page of the next."""
    fixed = "<style>.sheet { height: 297mm }</style>"
    sheets = [fixed, sheet("a"), sheet("b", body=TALL), sheet("c"), sheet("d")]
    assert await proved(chromium, sheets, "abcd") == "ad"


@pytest.mark.parametrize(
    "body", ["<div style='height: 250mm'></div>", "<div aria-hidden=true>" + TALL + "</div>"]
)
async def test_nor_is_one_that_only_runs_over_unseen_by_the_structure(chromium: Chromium, body: str) -> None:
    """Room that it leaves for its foot, the foot itself, what is hidden."""
    sheets = [sheet("a"), sheet("b", body=body), sheet("c")]
    assert await proved(chromium, sheets, "abc") == "ac"
    assert await proved(chromium, [*sheets[:2]], "ab") == "a"


async def test_a_document_is_proved_by_all_its_sheets_in_order(chromium: Chromium) -> None:
    b1, b2, b3 = (sheet("b", number) for number in (1, 2, 3))
    assert await proved(chromium, [sheet("a"), b1, b2, sheet("c")], "abc", b=2) == "abc"
    assert await proved(chromium, [sheet("a"), b2, b1, sheet("c")], "abc", b=2) == "ac", "swapped"
    assert await proved(chromium, [sheet("a"), b1, sheet("c")], "abc", b=2) == "ac", "one is missing"
    assert await proved(chromium, [b1, sheet("a"), b2], "ab", b=2) == "a", "another's between them"
    assert await proved(chromium, [b1, b2, b3], "b", b=2) == "", "one too many"
    assert await proved(chromium, [b1, b1], "b") == "", "one twice"


async def test_a_document_that_was_asked_for_twice_is_given_to_nobody(chromium: Chromium) -> None:
    assert await proved(chromium, [sheet("a"), sheet("b")], "aba") == "b"


async def test_nobody_gets_a_sheet_of_another_language_or_document(chromium: Chromium) -> None:
    printed = await chromium.print(page(sheet("a"), sheet("b", language="de")))
    assert finish(printed, [wanted("b"), wanted("x")]) == [None, None]
    assert finish(printed, [wanted("b", language="de")])[0]


@pytest.mark.parametrize("foreign", ["stray", "<p>stray</p>", "<article>stray</article>"])
async def test_a_page_with_a_stranger_on_it_is_not_proved(chromium: Chromium, foreign: str) -> None:
    within = f"<div style='position: absolute; top: 300mm; left: 0'>{foreign}</div>"
    assert await proved(chromium, [within, sheet("a"), sheet("b"), sheet("c")], "abc") == "ac"


async def test_a_page_of_strangers_is_held_against_the_sheet_before_it(chromium: Chromium) -> None:
    stranger = "<div style='break-after: page'>stray</div>"
    assert await proved(chromium, [sheet("a"), stranger, sheet("b"), sheet("c")], "abc") == "bc"
    assert await proved(chromium, [stranger, sheet("a"), sheet("b")], "ab") == "b"


async def test_a_print_without_any_sheet_proves_nobody(chromium: Chromium) -> None:
    assert await proved(chromium, ["<p>Text"], "a") == ""
