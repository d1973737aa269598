"""How a document number reads; which one is next is the store's sequence."""

from services.api.domain.kinds import KINDS


def document_number(kind: str, year: int, sequence: int) -> str:
    return f"{KINDS[kind].prefix}-{year:04d}-{sequence:06d}"
