"""An account's body: the whole profile of a new one, and what a change changes."""

from typing import Any

import pytest

from services.api.domain.account import OWN_RULES, PROFILE_RULES, changed_account, new_seller
from services.api.domain.client import Profile, as_party
from shared.errors import Problem
from shared.messages import Party

HELD: dict[str, Any] = {
    **new_seller({"name": "Studio"}),
    "currency": "USD",
    "template": "clean",
    "time_zone": "UTC",
}


def test_a_new_profile_has_every_field_and_null_where_nothing_was_given() -> None:
    assert new_seller({"name": "Studio"}) == {
        name: "Studio" if name == "name" else None for name in PROFILE_RULES
    }


def test_every_field_of_a_party_can_be_said_of_a_seller() -> None:
    said: Profile = {name: name for name in PROFILE_RULES}
    assert as_party(said) == Party(**{name: name for name in Party.__struct_fields__})


def test_a_change_names_what_it_changes_and_keeps_the_rest_also_what_no_body_may_name() -> None:
    held = {**HELD, "logo": "ab"}
    assert changed_account(held, {"city": "Paris", "currency": "EUR"}) == {
        **held,
        "city": "Paris",
        "currency": "EUR",
    }
    with pytest.raises(Problem):
        changed_account(held, {"logo": None})


@pytest.mark.parametrize("name", ["name", *OWN_RULES])
def test_what_every_document_needs_cannot_be_taken_away(name: str) -> None:
    with pytest.raises(Problem) as raised:
        changed_account(HELD, {name: None})
    assert set(raised.value.details or {}) == {name}
