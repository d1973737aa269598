"""A client's body and its profile."""

from typing import Any

import pytest

from services.api.domain.client import as_party, changed_profile, new_profile
from shared.errors import Problem

FIELDS = (
    "name", "email", "company", "country", "address_line1", "address_line2", "city", "region", "postal_code",
    "phone", "tax_id", "locale",
)  # fmt: skip


def test_a_profile_has_every_field_and_null_where_nothing_was_given() -> None:
    assert new_profile({"name": "Acme"}) == {name: "Acme" if name == "name" else None for name in FIELDS}


def test_values_are_kept_as_given() -> None:
    chosen = {"email": "jane@acme.example", "locale": "pt-BR"}
    given = {name: f" {name} é " for name in FIELDS} | chosen
    assert new_profile(given) == given


def test_a_change_changes_what_it_names() -> None:
    profile = new_profile({"name": "Acme", "city": "Paris"})
    assert changed_profile(profile, {"city": None, "phone": "1"}) == profile | {"city": None, "phone": "1"}


@pytest.mark.parametrize(
    ("body", "broken"),
    [
        ({}, {"name"}), ({"name": ""}, {"name"}), ({"name": None}, {"name"}), ({"name": "x" * 201}, {"name"}),
        ({"nam": "x", "email": "no", "phone": 5, "city": "x\x00", "locale": "xx"},
         {"name", "nam", "email", "phone", "city", "locale"}),
    ],
)  # fmt: skip
def test_all_the_broken_fields_are_told_at_once(body: dict[str, Any], broken: set[str]) -> None:
    with pytest.raises(Problem) as raised:
        new_profile(body)
    assert set(raised.value.details or {}) == broken


@pytest.mark.parametrize("name", [None, "", 5])
def test_a_name_cannot_be_taken_away(name: Any) -> None:
    with pytest.raises(Problem):
        changed_profile(new_profile({"name": "Acme"}), {"name": name})


def test_a_renderer_gets_empty_text_for_what_is_absent() -> None:
    party = as_party(new_profile({"name": "Acme", "city": "Paris"}))
    assert (party.name, party.city, party.phone) == ("Acme", "Paris", "")
