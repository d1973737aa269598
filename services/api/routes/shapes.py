"""Between rows and what is shown: a client as answered, and a document as content and as the renderer's value."""

from datetime import date, datetime

import msgspec

from services.api.domain.account import LOCALE, PAGE_SIZE
from services.api.domain.client import RULES, Client, Profile, as_party
from services.api.domain.document import Content, Line
from services.api.domain.lifecycle import status_on
from services.api.domain.metadata import Metadata
from services.api.domain.money import EXPONENTS
from services.api.http import encode_json
from services.api.logos import logo_path
from services.api.store.accounts import AccountRow
from services.api.store.clients import ClientRow
from services.api.store.documents import DocumentRow
from shared.messages import RenderJob, RenderLine
from shared.templates import TEMPLATES_VERSION

_decode_lines = msgspec.json.Decoder(tuple[Line, ...]).decode
_decode_render_lines = msgspec.json.Decoder(tuple[RenderLine, ...]).decode
_decode_profile = msgspec.json.Decoder(Profile).decode
_decode_metadata = msgspec.json.Decoder(Metadata).decode


def content_of(row: DocumentRow) -> Content:
    """The row's content as a value that can be changed."""
    return Content(
        type=row.type,
        client_id=row.client_id,
        currency=row.currency,
        issued_date=row.issued_date,
        due_date=row.due_date,
        items=_decode_lines(row.items),
        tax_rate=row.tax_rate,
        notes=row.notes,
        template=row.template,
        locale=row.locale,
        page_size=row.page_size,
        external_id=row.external_id,
        metadata=_decode_metadata(row.metadata or "{}"),
    )


def row_of(
    content: Content,
    *,
    document_id: str,
    status: str,
    number: str | None,
    client: str,
    created_at: datetime,
    updated_at: datetime,
    content_updated_at: datetime | None = None,
) -> DocumentRow:
    return DocumentRow(
        id=document_id,
        type=content.type,
        number=number,
        status=status,
        client_id=content.client_id,
        client=client,
        currency=content.currency,
        issued_date=content.issued_date,
        due_date=content.due_date,
        items=encode_json(content.items).decode(),
        subtotal=content.subtotal,
        tax_rate=content.tax_rate,
        tax_amount=content.tax_amount,
        total=content.total,
        notes=content.notes,
        template=content.template,
        locale=content.locale,
        page_size=content.page_size,
        created_at=created_at,
        updated_at=updated_at,
        external_id=content.external_id,
        metadata=metadata_text(content.metadata),
        content_updated_at=content_updated_at,
    )


def metadata_text(metadata: Metadata) -> str | None:
    """As it is kept: None where there is none."""
    return encode_json(metadata).decode() if metadata else None


def render_job(account_id: str, row: DocumentRow, seller: str, today: date) -> RenderJob:
    """All that the PDF depends on: two equal jobs are one file.

    Document before client before account, both as frozen in it, or as they are now while it is a draft.
    """
    account, client = _decode_profile(seller), _decode_profile(row.client)
    return RenderJob(
        template=row.template,
        template_version=TEMPLATES_VERSION,
        document_id=row.id,
        type=row.type,
        status=status_on(today, row.status, row.due_date),
        number=row.number,
        currency=row.currency,
        exponent=EXPONENTS[row.currency],
        issued_date=row.issued_date,
        due_date=row.due_date,
        seller=as_party(account),
        client=as_party(client),
        items=_decode_render_lines(row.items),
        subtotal=row.subtotal,
        tax_rate=row.tax_rate,
        tax_amount=row.tax_amount,
        total=row.total,
        notes=row.notes,
        updated_at=(row.content_updated_at or row.updated_at).replace(microsecond=0),
        locale=row.locale or client.get("locale") or account.get("locale") or LOCALE,
        page_size=row.page_size or account.get("page_size") or PAGE_SIZE,
        accent_color=account.get("accent_color") or "",
        logo=logo_path(account_id, account.get("logo")),
    )


def client_body(row: ClientRow) -> dict[str, object]:
    profile = profile_of(row)
    return {
        "id": row.id,
        **{name: profile.get(name) for name in RULES},
        "external_id": row.external_id,
        "metadata": msgspec.Raw((row.metadata or "{}").encode()),
        "created_at": row.created_at.replace(microsecond=0),
        "updated_at": row.updated_at.replace(microsecond=0),
    }


def client_of(row: ClientRow) -> Client:
    """The row's content as a value that can be changed."""
    return Client(profile_of(row), row.external_id, _decode_metadata(row.metadata or "{}"))


def client_row(client: Client, *, client_id: str, created_at: datetime, updated_at: datetime) -> ClientRow:
    return ClientRow(
        id=client_id,
        profile=encode_json(client.profile).decode(),
        created_at=created_at,
        updated_at=updated_at,
        external_id=client.external_id,
        metadata=metadata_text(client.metadata),
    )


def profile_of(row: ClientRow | AccountRow) -> Profile:
    return _decode_profile(row.profile)
