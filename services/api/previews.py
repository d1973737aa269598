"""Previews: a template's sample as a render of its own, perhaps with an account's seller, logo and colour."""

import hashlib
from typing import Any

import msgspec

from services.api.domain.client import Profile, as_party
from services.api.domain.money import EXPONENTS
from services.api.domain.numbering import document_number
from services.api.logos import logo_path
from services.api.pdf import Render
from shared.messages import PREVIEW_FUNCTION, PreviewJob
from shared.templates import TEMPLATES_VERSION

FORMATS = {"pdf": b"application/pdf", "png": b"image/png"}
SAMPLE_YEAR, SAMPLE_SEQUENCE = 2026, 42
EVERYBODYS = "sample"

_encoder = msgspec.msgpack.Encoder()


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks for; None leaves it to the account whose profile is shown, or to the sample."""

    template: str
    format: str
    type: str | None
    locale: str | None
    page_size: str | None


def preview_job(look: Look) -> PreviewJob:
    number = document_number(look.type, SAMPLE_YEAR, SAMPLE_SEQUENCE) if look.type else ""
    return PreviewJob(
        template=look.template,
        template_version=TEMPLATES_VERSION,
        format=look.format,
        type=look.type or "",
        number=number,
        locale=look.locale or "",
        page_size=look.page_size or "",
    )


def with_account(job: PreviewJob, account_id: str, profile: Profile, *, currency: str) -> PreviewJob:
    """The sample's lines under the account's head; what the caller has named goes before the account's."""
    chosen: dict[str, Any] = {
        "currency": currency,
        "exponent": EXPONENTS[currency],
        "seller": as_party(profile),
        "accent_color": profile.get("accent_color") or "",
        "logo": logo_path(account_id, profile.get("logo")),
        "locale": job.locale or profile.get("locale") or "",
        "page_size": job.page_size or profile.get("page_size") or "",
    }
    return msgspec.structs.replace(job, **chosen)


def as_render(job: PreviewJob, owner: str = EVERYBODYS) -> Render:
    """``owner`` is the account that is shown: what shows none is everybody's and rendered once for all."""
    payload = _encoder.encode(job)
    key = hashlib.sha256(payload).hexdigest()
    return Render(key, f"preview/{owner}/{key}.{job.format}", payload, job.logo, PREVIEW_FUNCTION)
