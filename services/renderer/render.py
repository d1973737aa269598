"""The job as a sentence: decode it, have it printed, put it into the store, or say why not."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
import obstore
import structlog
from jinja2 import TemplateError
from obstore.exceptions import BaseError as StoreError
from obstore.store import ObjectStore

from services.renderer.chromium import PrintError
from services.renderer.deadline import deadline
from services.renderer.press import Press
from shared.messages import RenderJob
from shared.objects import put_once
from shared.queue import RENDER_TIMEOUT_S, RENDER_TRIES_MAX

# Sooner than the queue's own limit, so that it is this code which gives up, and says so.
DEADLINE_S = RENDER_TIMEOUT_S - 1

MALFORMED = "The render job could not be read"
UNFILLABLE = "The document could not be put into its template"
UNPRINTABLE = "The document could not be printed"
UNSTORABLE = "The PDF could not be stored"
TOO_SLOW = "The document took too long to print"
GIVEN_UP = "The document ended the renderer each time it was tried"

log = structlog.get_logger()


# What makes the bytes that a payload asks for.
Maker = Callable[[Press, bytes], Awaitable[bytes]]


async def document(press: Press, payload: bytes) -> bytes:
    """The PDF of a RenderJob; raises MsgspecError or what the press refuses."""
    job = msgspec.msgpack.decode(payload, type=RenderJob)
    [outcome] = await press.print([job])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


@dataclass(frozen=True, slots=True)
class Renderer:
    press: Press
    store: ObjectStore

    async def render(self, path: str, payload: bytes, *, job_try: int, make: Maker = document) -> str:
        """Empty when what is made lies at ``path``, else why it never will, in a sentence for the caller."""
        try:
            async with deadline(DEADLINE_S):
                # The gateway has just looked; an earlier try may have come as far as the store before it died.
                if job_try and await _exists(self.store, path):
                    return ""
                if job_try > RENDER_TRIES_MAX:
                    return GIVEN_UP
                await put_once(self.store, path, await make(self.press, payload))
        except tuple(REASONS) as error:
            log.warning("render failed", path=path, exc_info=error)
            return next(reason for kind, reason in REASONS.items() if isinstance(error, kind))
        return ""


# The first kind that fits is the reason.
REASONS: dict[type[Exception], str] = {
    msgspec.MsgspecError: MALFORMED,
    PrintError: UNPRINTABLE,
    TimeoutError: TOO_SLOW,
    TemplateError: UNFILLABLE,
    LookupError: UNFILLABLE,
    StoreError: UNSTORABLE,
    OSError: UNSTORABLE,
}


# As metrics name them.
REASON_NAMES = {
    MALFORMED: "malformed",
    UNFILLABLE: "unfillable",
    UNPRINTABLE: "unprintable",
    UNSTORABLE: "unstorable",
    TOO_SLOW: "too_slow",
    GIVEN_UP: "given_up",
}


async def _exists(store: ObjectStore, path: str) -> bool:
    try:
        await obstore.head_async(store, path)
    except FileNotFoundError:
        return False
    return True
