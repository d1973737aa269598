"""Request bodies that pass, for tests to break one thing in."""

from typing import Any

LINE: dict[str, Any] = {"title": "Website Design", "quantity": 1, "rate": 5000}
CLIENT: dict[str, Any] = {
    "name": "Acme Corp",
    "email": "jane@acme.example",
    "company": "Acme Corporation",
    "country": "United States",
}
JSON = {"content-type": "application/json"}


def line(**fields: Any) -> dict[str, Any]:
    return {**LINE, **fields}


def document(client_id: str, **fields: Any) -> dict[str, Any]:
    return {"type": "invoice", "client_id": client_id, "items": [LINE], **fields}
