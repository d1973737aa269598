"""Every way into the gateway: each method of each path, with a body that would pass."""

from typing import Any

import msgspec
from bodies import CLIENT, document

from services.api.app import DOORS

OWNED = ("{document_id}", "{client_id}")
BODY_METHODS = frozenset({"POST", "PUT"})


class Way(msgspec.Struct, frozen=True):
    method: str
    pattern: str
    scope: str | None

    def __str__(self) -> str:
        return f"{self.method} {self.pattern}"

    @property
    def takes_id(self) -> bool:
        return any(name in self.pattern for name in OWNED)

    def path(self, object_id: str) -> str:
        return self.pattern.format(document_id=object_id, client_id=object_id)

    def body(self, client_id: str) -> dict[str, Any] | None:
        """A body that passes, or None where none is needed."""
        if self.method not in BODY_METHODS or self.pattern.endswith(("/pay", "/cancel")):
            return None
        if self.method == "PUT":
            return {"notes": "Changed"} if "document" in self.pattern else {"name": "Changed"}
        return CLIENT if "client" in self.pattern else document(client_id)


WAYS = [
    Way(method, pattern, operation.scope)
    for pattern, door in DOORS.items()
    for method, operation in door.operations.items()
]
