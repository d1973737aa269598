"""What crosses a process: frozen, versioned values and the names they travel under.

A field may be added with a default; nothing is renamed or removed while an older process may still read it.
"""

import zlib
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

import msgspec

RENDER_QUEUE = "invouno:render"
RENDER_FUNCTION = "render"
PREVIEW_FUNCTION = "preview"
RENDER_DONE_CHANNEL = "invouno:render:done"

EXPORT_QUEUE = "invouno:exports"
EXPORT_PART_FUNCTION = "export_part"
EXPORT_ARCHIVE_FUNCTION = "export_archive"
EXPORT_DONE_CHANNEL = "invouno:exports:done"

METER_SHARDS = 8
ADMIT_FUNCTION = "invouno_admit_v1"


class Party(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Seller or client as printed on a document; empty text means absent.

    ``iban``, ``bic`` and ``payment_terms`` say how a seller is paid; a client has none.
    """

    name: str
    email: str = ""
    company: str = ""
    country: str = ""
    address_line1: str = ""
    address_line2: str = ""
    city: str = ""
    region: str = ""
    postal_code: str = ""
    phone: str = ""
    tax_id: str = ""
    iban: str = ""
    bic: str = ""
    payment_terms: str = ""


class RenderLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    title: str
    description: str = ""
    quantity: Decimal
    rate: Decimal
    amount: Decimal


class RenderJob(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole document as a value: all that a renderer needs, and all that its bytes depend on.

    ``exponent`` is the currency's number of decimals; ``updated_at`` dates the PDF (UTC). ``locale`` is one of
    shared/locales.py, ``page_size`` ``a4`` or ``letter``, ``accent_color`` ``#rrggbb`` or empty for the template's own,
    ``logo`` the path of a PNG in the object store or empty.
    """

    version: int = 1
    template: str
    template_version: str
    document_id: str
    type: str
    status: str
    number: str | None = None
    currency: str
    exponent: int
    issued_date: date
    due_date: date | None = None
    seller: Party
    client: Party
    items: tuple[RenderLine, ...]
    subtotal: Decimal
    tax_rate: Decimal
    tax_amount: Decimal
    total: Decimal
    notes: str = ""
    updated_at: datetime
    locale: str = "en"
    page_size: str = "a4"
    accent_color: str = ""
    logo: str = ""


class PreviewJob(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A template's own sample, with what is given here in place of the sample's; empty leaves that as it is.

    ``format`` is ``pdf``, or ``png`` for a picture of the first page; ``number`` belongs to ``type``, and ``exponent``
    to ``currency``, in which the amounts have as many of its smallest units as in the sample's. All else is as in a
    RenderJob.
    """

    version: int = 1
    template: str
    template_version: str
    format: str = "pdf"
    type: str = ""
    number: str = ""
    currency: str = ""
    exponent: int = 0
    locale: str = ""
    page_size: str = ""
    seller: Party | None = None
    accent_color: str = ""
    logo: str = ""


class RenderDone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A render's outcome, published once per job on RENDER_DONE_CHANNEL as msgpack.

    ``error`` is empty when the PDF lies in the object store, else a sentence that is safe to show to the caller.
    """

    key: str
    error: str = ""


class ExportEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One document of an export's part; ``job`` is absent when the document was deleted meanwhile."""

    document_id: str
    job: RenderJob | None = None


class ExportPart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of an export, to be printed into one object: a msgpack list of ExportedDocument."""

    version: int = 1
    entries: tuple[ExportEntry, ...]


class ExportedDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A document of a printed part: ``pdf``, or why there is none, as a code of shared/errors.py and a sentence."""

    document_id: str
    number: str | None = None
    updated_at: datetime | None = None
    pdf: bytes = b""
    error: str = ""
    message: str = ""


class ExportArchive(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The printed parts of an export, by their objects' paths in order, to be joined into one ``zip`` or ``pdf``."""

    version: int = 1
    format: str
    parts: tuple[str, ...]


class ExportFault(msgspec.Struct, frozen=True):
    """A document that an export lacks, as its account is told."""

    document_id: str
    error: str
    message: str


class ExportDone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part's or an archive's outcome, published on EXPORT_DONE_CHANNEL as msgpack; ``key`` is its object's path.

    ``error`` is empty when the object is there, else a sentence; one that ``passes`` is gone when tried again later.
    """

    key: str
    error: str = ""
    passes: bool = False
    done: int = 0
    faults: tuple[ExportFault, ...] = ()


def exported(key: str, documents: Sequence[ExportedDocument]) -> ExportDone:
    """The outcome of a part whose object holds these documents."""
    faults = tuple(ExportFault(one.document_id, one.error, one.message) for one in documents if one.error)
    return ExportDone(key=key, done=len(documents) - len(faults), faults=faults)


def meter_shard(account_id: str) -> int:
    """The account's shard of the meter, the same in every process and release."""
    return zlib.crc32(account_id.encode()) % METER_SHARDS


def meter_stream(shard: int) -> str:
    return f"{{m{shard}}}:stream"


def meter_producer(shard: int, producer: str) -> str:
    return f"{{m{shard}}}:producer:{producer}"


def meter_reserved(shard: int) -> str:
    return f"{{m{shard}}}:reserved"


def meter_account(account_id: str) -> str:
    return f"{{m{meter_shard(account_id)}}}:account:{account_id}"
