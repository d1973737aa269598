"""A client: what its body may say, the profile that is kept, shown and frozen into documents, and what is not."""

from typing import Any

import msgspec

from services.api.domain.metadata import OWN_FIELDS, Metadata, own_rules
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


class Client(msgspec.Struct, frozen=True):
    """The profile, and what its owner keeps with it, which no document shows."""

    profile: Profile
    external_id: str | None = None
    metadata: Metadata = {}


def new_client(body: Any, external_id: str | None = None) -> Client:
    """From a create's body, absent fields as None; raises validation_error.

    ``external_id`` is the one that the caller has named it by already, if so.
    """
    given = read_fields(body, RULES | own_rules({}, external_id), required=("name",))
    profile = {name: given.get(name) for name in RULES}
    return Client(profile, external_id or given.get("external_id"), given.get("metadata", {}))


def with_changes(client: Client, body: Any, external_id: str | None = None) -> Client:
    """``client`` with the fields that ``body`` names; raises validation_error."""
    given = read_fields(body, RULES | own_rules(client.metadata, external_id))
    own = {name: given.pop(name) for name in OWN_FIELDS & given.keys()}
    return msgspec.structs.replace(client, profile=client.profile | given, **own)


def as_party(profile: Profile) -> Party:
    """The profile as a renderer takes it, absent as empty text."""
    return Party(**{name: value for name in Party.__struct_fields__ if (value := profile.get(name))})  # pyright: ignore[reportArgumentType]
