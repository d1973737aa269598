"""The page of benchmarks: a run writes its own section and leaves all others, be they written by hand."""

from tests.bench.results import HEAD, with_section

BY_HAND = "## by hand\n\nWords that no benchmark writes.\n"


def test_a_section_is_put_in_the_place_of_its_last_one() -> None:
    page = with_section(with_section(HEAD, "first", "old words\n"), "second", "others\n")
    page = with_section(page, "first", "new words\n")
    assert "old words" not in page
    assert page.index("new words") < page.index("## second") < page.index("others")


def test_what_is_written_by_hand_stays_wherever_it_stands() -> None:
    page = f"{with_section(HEAD, 'first', 'words' + chr(10))}\n{BY_HAND}"
    for name in ("first", "second", "first", "second"):
        page = with_section(page, name, f"what {name} says now\n")
    assert page.startswith(HEAD)
    assert page.count(BY_HAND) == 1
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        "## first",
        "## by hand",
        "## second",
    ]
