"""A preview: a template's own sample, with what a caller would have otherwise, as PDF or as a picture."""

import asyncio
from decimal import Decimal
from typing import Any

import msgspec

from services.renderer.fill import FOLDER
from services.renderer.pdf.picture import picture
from services.renderer.press import Press
from shared.messages import PreviewJob, RenderJob
from shared.templates import TEMPLATES

WIDTH_PX = 1200
_decode = msgspec.msgpack.Decoder(PreviewJob).decode


async def preview(press: Press, payload: bytes) -> bytes:
    """The file that the payload's PreviewJob asks for; raises MsgspecError, LookupError, or what the press refuses."""
    asked = _decode(payload)
    (printed,) = await press.print([as_job(asked)])
    if isinstance(printed, Exception):
        raise printed
    return printed if asked.format == "pdf" else await asyncio.to_thread(picture, printed, WIDTH_PX)


def as_job(asked: PreviewJob) -> RenderJob:
    """The sample with all that is named in place of its own; raises LookupError for an unknown template."""
    named: dict[str, Any] = {
        "type": asked.type,
        "number": asked.number,
        "locale": asked.locale,
        "page_size": asked.page_size,
        "seller": asked.seller,
        "accent_color": asked.accent_color,
        "logo": asked.logo,
    }
    job = sample(asked.template)
    if asked.currency:
        job = in_currency(job, asked.currency, asked.exponent)
    return msgspec.structs.replace(job, **{name: value for name, value in named.items() if value})


def in_currency(job: RenderJob, currency: str, exponent: int) -> RenderJob:
    """The same document with as many of the currency's smallest units: 49.90 is 4990 in one that has no decimals."""
    items = [
        msgspec.structs.replace(
            line, rate=_moved(job, line.rate, exponent), amount=_moved(job, line.amount, exponent)
        )
        for line in job.items
    ]
    sums = {name: _moved(job, getattr(job, name), exponent) for name in ("subtotal", "tax_amount", "total")}
    return msgspec.structs.replace(job, currency=currency, exponent=exponent, items=tuple(items), **sums)


def _moved(job: RenderJob, amount: Decimal, exponent: int) -> Decimal:
    return Decimal(f"{amount.scaleb(job.exponent - exponent):f}")


def sample(template: str) -> RenderJob:
    """Raises LookupError for a template that is not there."""
    if template not in {known.id for known in TEMPLATES}:
        raise LookupError(template)
    return msgspec.json.decode((FOLDER / template / "sample.json").read_bytes(), type=RenderJob)
