"""The peer's tables as SQLAlchemy sees them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, MetaData
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    metadata = MetaData(schema="peer")


class Account(Base):
    __tablename__ = "accounts"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    currency: Mapped[str]
    template: Mapped[str]
    burst_per_min: Mapped[int] = mapped_column(BigInteger)
    calls_per_month: Mapped[int] = mapped_column(BigInteger)
    documents_per_month: Mapped[int] = mapped_column(BigInteger)


class ApiKey(Base):
    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("peer.accounts.id"))
    hash: Mapped[bytes]
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Client(Base):
    __tablename__ = "clients"

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("peer.accounts.id"))
    name: Mapped[str]
    email: Mapped[str | None]
    company: Mapped[str | None]
    country: Mapped[str | None]
    address_line1: Mapped[str | None]
    city: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Item(Base):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    document_id: Mapped[str] = mapped_column(ForeignKey("peer.documents.id"))
    position: Mapped[int]
    title: Mapped[str]
    description: Mapped[str]
    quantity: Mapped[Decimal]
    rate: Mapped[Decimal]
    amount: Mapped[Decimal]


class Document(Base):
    __tablename__ = "documents"

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("peer.accounts.id"))
    type: Mapped[str]
    number: Mapped[str | None]
    stored_status: Mapped[str] = mapped_column("status")
    client_id: Mapped[str] = mapped_column(ForeignKey("peer.clients.id"))
    client_snapshot: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    currency: Mapped[str]
    issued_date: Mapped[date]
    due_date: Mapped[date | None]
    subtotal: Mapped[Decimal]
    tax_rate: Mapped[Decimal]
    tax_amount: Mapped[Decimal]
    total: Mapped[Decimal]
    notes: Mapped[str]
    template: Mapped[str]
    locale: Mapped[str | None]
    page_size: Mapped[str | None]
    external_id: Mapped[str | None]
    document_metadata: Mapped[dict[str, str]] = mapped_column("metadata", JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    items: Mapped[list[Item]] = relationship(order_by=Item.position, cascade="all, delete-orphan")
    live_client: Mapped[Client] = relationship()

    @property
    def client(self) -> Client | dict[str, Any]:
        """As it is now while the document is a draft, then as it was."""
        return self.client_snapshot or self.live_client

    @property
    def status(self) -> str:
        late = self.stored_status == "sent" and self.due_date and self.due_date < datetime.now(UTC).date()
        return "overdue" if late else self.stored_status


class NumberSequence(Base):
    __tablename__ = "number_sequences"

    account_id: Mapped[str] = mapped_column(ForeignKey("peer.accounts.id"), primary_key=True)
    type: Mapped[str] = mapped_column(primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True)
    last: Mapped[int] = mapped_column(BigInteger)
