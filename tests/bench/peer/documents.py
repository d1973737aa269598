"""The peer's documents: read one, list, create."""

import secrets
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query
from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from tests.bench.peer.access import Caller, count_document
from tests.bench.peer.database import Session
from tests.bench.peer.models import Account, Client, Document, Item, NumberSequence
from tests.bench.peer.schemas import ClientOut, DocumentIn, DocumentList, DocumentOut, DocumentType, Status
from tests.bench.peer.totals import amounts_of, tax_on

DUE_DAYS = 30
PREFIXES = {"invoice": "INV", "quote": "QUO", "receipt": "REC", "purchase_order": "PO", "estimate": "EST"}
WHOLE = (selectinload(Document.items), joinedload(Document.live_client))

router = APIRouter(prefix="/v1/documents")


@router.get("/{document_id}", response_model=DocumentOut)
async def read_document(document_id: str, caller: Caller, session: Session) -> Document:
    document = await session.scalar(
        select(Document).where(Document.account_id == caller.id, Document.id == document_id).options(*WHOLE)
    )
    if document is None:
        raise HTTPException(404, "There is no such document")
    return document


@router.get("", response_model=DocumentList)
async def list_documents(  # noqa: PLR0917 - FastAPI gives them by name
    caller: Caller,
    session: Session,
    page: Annotated[int, Query(ge=1)] = 1,
    per_page: Annotated[int, Query(ge=1, le=100)] = 25,
    type: Annotated[DocumentType | None, Query()] = None,  # noqa: A002 - the parameter's name
    status: Annotated[Status | None, Query()] = None,
) -> dict[str, Any]:
    kept = _kept(select(Document).where(Document.account_id == caller.id), type, status)
    total = await session.scalar(select(func.count()).select_from(kept.subquery())) or 0
    found = await session.scalars(
        kept.order_by(Document.id.desc()).limit(per_page).offset((page - 1) * per_page).options(*WHOLE)
    )
    pagination = {"page": page, "per_page": per_page, "total": total, "total_pages": ceil(total / per_page)}
    return {"data": found.all(), "pagination": pagination}


@router.post("", response_model=DocumentOut, status_code=201, dependencies=[Depends(count_document)])
async def create_document(body: DocumentIn, caller: Caller, session: Session) -> Document:
    client = await session.scalar(
        select(Client).where(Client.account_id == caller.id, Client.id == body.client_id)
    )
    if client is None:
        raise HTTPException(422, "No such client")
    document = _document(body, caller, client)
    if body.status == "sent":
        document.number = await _take_number(session, document)
        document.client_snapshot = ClientOut.model_validate(client).model_dump(exclude_none=True)
    session.add(document)
    await session.commit()
    return document


def _kept(query: Select[Document], kind: str | None, status: str | None) -> Select[Document]:
    today = datetime.now(UTC).date()
    if kind is not None:
        query = query.where(Document.type == kind)
    if status == "overdue":
        return query.where(Document.stored_status == "sent", Document.due_date < today)
    if status is not None:
        query = query.where(Document.stored_status == status)
    if status == "sent":
        query = query.where((Document.due_date.is_(None)) | (Document.due_date >= today))
    return query


def _document(body: DocumentIn, account: Account, client: Client) -> Document:
    now = datetime.now(UTC).replace(microsecond=0)
    currency, issued = body.currency or account.currency, body.issued_date or now.date()
    due = body.due_date
    if "due_date" not in body.model_fields_set and body.type == "invoice":
        due = issued + timedelta(days=DUE_DAYS)
    amounts = amounts_of(body.items, currency)
    subtotal = sum(amounts, Decimal(0))
    tax_amount = tax_on(subtotal, body.tax_rate, currency)
    return Document(
        id=f"doc_{time.time_ns() // 1000:014x}{secrets.token_hex(10)}",
        account_id=account.id,
        type=body.type,
        number=None,
        stored_status=body.status,
        client_id=client.id,
        live_client=client,
        client_snapshot=None,
        currency=currency,
        issued_date=issued,
        due_date=due,
        items=[
            Item(position=position, amount=amount, **item.model_dump())
            for position, (item, amount) in enumerate(zip(body.items, amounts, strict=True), 1)
        ],
        subtotal=subtotal,
        tax_rate=body.tax_rate,
        tax_amount=tax_amount,
        total=subtotal + tax_amount,
        notes=body.notes,
        template=body.template or account.template,
        locale=body.locale,
        page_size=body.page_size,
        external_id=body.external_id,
        document_metadata=body.metadata,
        created_at=now,
        updated_at=now,
    )


async def _take_number(session: AsyncSession, document: Document) -> str:
    year = document.issued_date.year
    taking = insert(NumberSequence).values(
        account_id=document.account_id, type=document.type, year=year, last=1
    )
    taken = await session.scalar(
        taking.on_conflict_do_update(
            index_elements=["account_id", "type", "year"], set_={"last": NumberSequence.last + 1}
        ).returning(NumberSequence.last)
    )
    return f"{PREFIXES[document.type]}-{year}-{taken:06}"
