"""What the peer takes and answers, as Pydantic checks and writes it."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, model_validator

Money = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
Amount = Annotated[Decimal, Field(gt=-(10**12), lt=10**12, decimal_places=6)]
DocumentType = Literal["invoice", "quote", "receipt", "purchase_order", "estimate"]
Status = Literal["draft", "sent", "paid", "cancelled", "overdue"]


class ItemIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=500)
    description: str = Field("", max_length=5_000)
    quantity: Amount
    rate: Amount


class DocumentIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: DocumentType
    client_id: str = Field(min_length=1, max_length=100)
    status: Literal["draft", "sent"] = "draft"
    currency: str | None = Field(None, pattern="^[A-Z]{3}$")
    issued_date: date | None = None
    due_date: date | None = None
    items: list[ItemIn] = Field(min_length=1, max_length=5_000)
    tax_rate: Decimal = Field(Decimal(0), ge=0, le=100, decimal_places=6)
    notes: str = Field("", max_length=10_000)
    template: str | None = None
    locale: str | None = None
    page_size: Literal["a4", "letter"] | None = None
    external_id: str | None = Field(None, min_length=1, max_length=255)
    metadata: dict[str, str] = Field(default_factory=dict, max_length=50)

    @model_validator(mode="after")
    def check_dates(self) -> Self:
        if self.issued_date and self.due_date and self.due_date < self.issued_date:
            raise ValueError("due_date must not be before issued_date")
        return self


class ItemOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    title: str
    description: str
    quantity: Money
    rate: Money
    amount: Money


class ClientOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    name: str
    email: str | None = None
    company: str | None = None
    country: str | None = None
    address_line1: str | None = None
    city: str | None = None


class DocumentOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    type: DocumentType
    number: str | None
    status: Status
    client_id: str
    client: ClientOut
    currency: str
    issued_date: date
    due_date: date | None
    items: list[ItemOut]
    subtotal: Money
    tax_rate: Money
    tax_amount: Money
    total: Money
    notes: str
    template: str
    locale: str | None
    page_size: str | None
    external_id: str | None
    metadata: dict[str, str] = Field(validation_alias="document_metadata")
    created_at: datetime
    updated_at: datetime


class Pagination(BaseModel):
    page: int
    per_page: int
    total: int
    total_pages: int


class DocumentList(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    data: list[DocumentOut]
    pagination: Pagination
