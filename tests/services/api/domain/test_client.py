"""A client's body and its profile."""

from typing import Any

import pytest

from services.api.domain.client import Client, as_party, new_client, with_changes
from shared.errors import Problem

FIELDS = (
    "name", "email", "company", "country", "address_line1", "address_line2", "city", "region", "postal_code",
    "phone", "tax_id", "locale",
)  # fmt: skip


def test_a_profile_has_every_field_and_null_where_nothing_was_given() -> None:
    expected = {name: "Acme" if name == "name" else None for name in FIELDS}
    assert new_client({"name": "Acme"}) == Client(expected, None, {})


def test_values_are_kept_as_given() -> None:
    chosen = {"email": "jane@acme.example", "locale": "pt-BR"}
    given = {name: f" {name} é " for name in FIELDS} | chosen
    assert new_client(given).profile == given


def test_a_change_changes_what_it_names() -> None:
    client = new_client({"name": "Acme", "city": "Paris", "external_id": "a", "metadata": {"b": "c"}})
    changed = with_changes(client, {"city": None, "phone": "1"})
    assert changed == Client(client.profile | {"city": None, "phone": "1"}, "a", {"b": "c"})


def test_what_its_owner_keeps_with_it_is_no_part_of_the_profile() -> None:
    client = new_client({"name": "Acme", "external_id": "a", "metadata": {"b": "c", "d": "e"}})
    assert client == Client(new_client({"name": "Acme"}).profile, "a", {"b": "c", "d": "e"})
    changed = with_changes(client, {"external_id": None, "metadata": {"b": None, "d": "f", "g": "h"}})
    assert changed == Client(client.profile, None, {"d": "f", "g": "h"})


def test_the_path_says_which_external_id_it_is() -> None:
    assert new_client({"name": "Acme"}, "mine") == new_client({"name": "Acme", "external_id": "mine"}, "mine")
    for act in (
        lambda: new_client({"name": 5, "external_id": "another"}, "mine"),
        lambda: with_changes(new_client({"name": "Acme"}), {"name": 5, "external_id": None}, "mine"),
    ):
        with pytest.raises(Problem) as raised:
            act()
        assert set(raised.value.details or {}) == {"name", "external_id"}


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
        new_client(body)
    assert set(raised.value.details or {}) == broken


@pytest.mark.parametrize("name", [None, "", 5])
def test_a_name_cannot_be_taken_away(name: Any) -> None:
    with pytest.raises(Problem):
        with_changes(new_client({"name": "Acme"}), {"name": name})


def test_a_renderer_gets_empty_text_for_what_is_absent() -> None:
    party = as_party(new_client({"name": "Acme", "city": "Paris"}).profile)
    assert (party.name, party.city, party.phone) == ("Acme", "Paris", "")
