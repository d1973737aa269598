"""An account: what its owner may say of the seller, of payment, and of how documents look where they are silent."""

from collections.abc import Mapping
from typing import Any

from services.api.domain import client
from services.api.domain.banking import bic, iban
from services.api.domain.client import Profile
from services.api.domain.money import EXPONENTS
from services.api.domain.rules import (
    Rule,
    colour,
    currency,
    one_of,
    optional,
    optional_text,
    read_fields,
    text,
    time_zone,
)
from shared.locales import LOCALES, PAGE_SIZES
from shared.templates import TEMPLATES

LOCALE, PAGE_SIZE = "en", "a4"  # where neither document nor client nor account says which

# The seller's address in the order in which it is written.
_SELLER = (
    "name", "address_line1", "address_line2", "city", "region", "postal_code", "country", "company", "tax_id",
    "email", "phone",
)  # fmt: skip
# What is kept as the profile, and so frozen into each document that is sent.
PROFILE_RULES: dict[str, Rule] = {
    **{name: client.RULES[name] for name in _SELLER},
    "iban": optional_text(iban),
    "bic": optional_text(bic),
    "payment_terms": optional_text(text(chars_max=500)),
    "locale": optional(one_of(LOCALES)),
    "page_size": optional(one_of(PAGE_SIZES)),
    "accent_color": optional_text(colour),
}
# What a new document takes over at once; kept in columns of their own.
OWN_RULES: dict[str, Rule] = {
    "currency": currency(EXPONENTS),
    "template": one_of(tuple(template.id for template in TEMPLATES)),
    "time_zone": time_zone,
}
_RULES = PROFILE_RULES | OWN_RULES


def new_seller(fields: Mapping[str, Any]) -> Profile:
    """The whole profile of a new account, absent fields as None; raises validation_error."""
    given = read_fields(fields, PROFILE_RULES, required=("name",))
    return {name: given.get(name) for name in PROFILE_RULES}


def changed_account(held: Mapping[str, str | None], body: Any) -> dict[str, Any]:
    """``held``, of profile and own fields alike, with those that ``body`` names; raises validation_error."""
    return {**held, **read_fields(body, _RULES)}
