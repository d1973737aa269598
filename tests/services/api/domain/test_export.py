"""The rules of an export: what may be asked for, the order of the file, what fits into a part, how far it is."""

from typing import Any

import pytest

from services.api.domain.export import (
    DOCUMENTS_MAX,
    EITHER,
    NO_SUCH_DOCUMENT,
    PART_BYTES_MAX,
    PART_DOCUMENTS_MAX,
    PART_LINES_MAX,
    PART_LOGO_BYTES_MAX,
    Choice,
    Weight,
    document_faults,
    fitting,
    ordered,
    progress,
    read_export,
    require_unfinished,
)
from shared.errors import Problem


@pytest.mark.parametrize(
    ("body", "form", "order"),
    [
        ({"documents": ["a"]}, "zip", "given"),
        ({"documents": ["a"], "filter": None, "format": "pdf", "order": "number"}, "pdf", "number"),
        ({"filter": {}}, "zip", "newest"),
        ({"filter": {"type": "invoice", "status": None}, "order": "oldest"}, "zip", "oldest"),
        ({"documents": ["a"] * DOCUMENTS_MAX, "format": None, "order": None}, "zip", "given"),
    ],
)
def test_a_sound_body_is_read_with_its_defaults(body: dict[str, Any], form: str, order: str) -> None:
    asked, faults = read_export(body)
    assert (asked.format, asked.order, faults) == (form, order, {})


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, {"documents": EITHER}),
        ({"documents": ["a"], "filter": {}}, {"documents": EITHER}),
        ({"documents": []}, {"documents": "Must hold from 1 to 10,000 ids"}),
        ({"documents": ["a"] * (DOCUMENTS_MAX + 1)}, {"documents": "Must hold from 1 to 10,000 ids"}),
        ({"documents": "a"}, {"documents": "Must be a list of document ids"}),
        (
            {"filter": "paid"},
            {"filter": "Must be an object of the list's filters, such as status; {} is all documents"},
        ),
        (
            {"filter": {}, "format": "rar", "order": "size", "zip": 1},
            {
                "format": "Must be one of: zip, pdf",
                "order": "Must be one of: given, newest, oldest, number",
                "zip": "Unknown field",
            },
        ),
        (
            {"filter": {}, "order": "given"},
            {"order": "Must be newest, oldest or number where a filter chooses"},
        ),
    ],
)
def test_every_fault_of_a_body_is_named(body: dict[str, Any], faults: dict[str, str]) -> None:
    assert read_export(body)[1] == faults


def test_unknown_and_repeated_documents_are_named_by_their_places() -> None:
    assert document_faults(["a", "b", 7, "a", None], {"a"}) == {
        "documents[1]": NO_SUCH_DOCUMENT,
        "documents[2]": NO_SUCH_DOCUMENT,
        "documents[3]": "Is in the list already",
        "documents[4]": NO_SUCH_DOCUMENT,
    }


@pytest.mark.parametrize(
    ("order", "ids"),
    [("given", "cab"), ("newest", "cba"), ("oldest", "abc"), ("number", "cab")],
)
def test_the_file_is_in_the_order_that_was_asked_for(order: str, ids: str) -> None:
    choices = [Choice("b", None), Choice("a", "INV-2026-000002"), Choice("c", "INV-2026-000001")]
    assert ordered(choices, order, ["c", "a", "b"]) == list(ids)


def test_numbers_are_in_order_also_beyond_six_digits() -> None:
    numbers = [
        "INV-2025-1000000",
        "INV-2026-999999",
        "INV-2026-1000000",
        "INV-2026-9999999",
        "PO-2026-000001",
    ]
    choices = [Choice(f"doc_{number}", number) for number in [*numbers[::-1], None]]
    assert ordered(choices, "number", ()) == [f"doc_{number}" for number in [*numbers, None]]


@pytest.mark.parametrize(
    ("weight", "count"),
    [
        (Weight(1, 1), PART_DOCUMENTS_MAX),
        (Weight(100, 1), PART_LINES_MAX // 100),
        (Weight(5_000, 1), 1),
        (Weight(1, PART_BYTES_MAX // 2), 2),
        (Weight(1, PART_BYTES_MAX * 2), 1),
        (Weight(1, 1, PART_LOGO_BYTES_MAX // 40), 40),
    ],
)
def test_a_part_holds_what_one_job_can_carry_and_one_document_at_least(weight: Weight, count: int) -> None:
    ids = [f"doc_{number}" for number in range(200)]
    assert fitting(ids, dict.fromkeys(ids, weight)) == count


def test_what_is_gone_weighs_nothing() -> None:
    assert fitting(["a", "b", "c"], {"b": Weight(PART_LINES_MAX, 1)}) == 3


@pytest.mark.parametrize(
    ("state", "done", "failed", "share"),
    [
        ("queued", 0, 0, 0.0),
        ("running", 1, 1, 0.5),
        ("running", 4, 0, 0.99),
        ("ready", 3, 1, 1.0),
        ("cancelled", 1, 0, 0.25),
        ("expired", 4, 0, 1.0),
    ],
)
def test_progress_counts_documents_and_is_whole_with_the_file(
    state: str, done: int, failed: int, share: float
) -> None:
    assert progress(state, total=4, done=done, failed=failed) == share


@pytest.mark.parametrize("state", ["ready", "failed", "cancelled", "expired"])
def test_what_has_ended_cannot_be_cancelled(state: str) -> None:
    with pytest.raises(Problem, match="cannot be cancelled"):
        require_unfinished(state)
