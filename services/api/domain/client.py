"""A client: what its body may say, and the profile that is kept, shown and frozen into documents."""

from typing import Any

from services.api.domain.rules import Rule, email, one_of, optional, optional_text, read_fields, text
from shared.locales import LOCALES
from shared.messages import Party

_SHORT = text(chars_max=200)
RULES: dict[str, Rule] = {
    "name": text(chars_max=200, chars_min=1),
    "email": optional_text(email),
    "company": optional_text(_SHORT),
    "country": optional_text(_SHORT),
    "address_line1": optional_text(_SHORT),
    "address_line2": optional_text(_SHORT),
    "city": optional_text(_SHORT),
    "region": optional_text(_SHORT),
    "postal_code": optional_text(text(chars_max=40)),
    "phone": optional_text(text(chars_max=60)),
    "tax_id": optional_text(text(chars_max=60)),
    "locale": optional(one_of(LOCALES)),
}

Profile = dict[str, str | None]


def new_profile(body: Any) -> Profile:
    """The whole profile from a create's body, absent fields as None; raises validation_error."""
    given = read_fields(body, RULES, required=("name",))
    return {name: given.get(name) for name in RULES}


def changed_profile(profile: Profile, body: Any) -> Profile:
    """``profile`` with the fields that ``body`` names; raises validation_error."""
    return profile | read_fields(body, RULES)


def as_party(profile: Profile) -> Party:
    """The profile as a renderer takes it, absent as empty text."""
    return Party(**{name: value for name in Party.__struct_fields__ if (value := profile.get(name))})  # pyright: ignore[reportArgumentType]
