"""Every way into the gateway: each method of each path, with a body that would pass."""

import re
from typing import Any

import msgspec
from bodies import CLIENT, document
from images import encoded, picture

from services.api.app import DOORS

EXTERNAL = "{external_id:path}"
OWNED = ("{document_id}", "{client_id}", "{export_id}", EXTERNAL)
LOGO = "/v1/account/logo"
EXPORTS = "/v1/exports"
BODY_METHODS = frozenset({"POST", "PUT"})


class Way(msgspec.Struct, frozen=True):
    method: str
    pattern: str
    scope: str | None

    def __str__(self) -> str:
        return f"{self.method} {self.pattern}"

    @property
    def is_upsert(self) -> bool:
        return self.method == "PUT" and EXTERNAL in self.pattern

    @property
    def takes_id(self) -> bool:
        """Whether it leads to what must be there already."""
        return any(name in self.pattern for name in OWNED) and not self.is_upsert

    def path(self, object_id: str) -> str:
        return re.sub(r"\{[\w:]+\}", object_id, self.pattern.replace("{template_id}", "clean"))

    def body(self, client_id: str) -> dict[str, Any] | None:
        """A body that passes, or None where none is needed."""
        if self.method not in BODY_METHODS or self.pattern.endswith(("/pay", "/cancel", "/logo")):
            return None
        if self.method == "PUT" and not self.is_upsert:
            return {"notes": "Changed"} if "document" in self.pattern else {"name": "Changed"}
        if self.pattern == EXPORTS:
            return {"filter": {}}
        one, name = (CLIENT, "clients") if "client" in self.pattern else (document(client_id), "documents")
        return {name: [one]} if self.is_bulk else one

    @property
    def is_bulk(self) -> bool:
        return self.pattern.endswith("/bulk")

    @property
    def success(self) -> int:
        """The status of a call that passes."""
        if self.pattern == EXPORTS and self.method == "POST":
            return 202
        return 201 if self.is_upsert or (self.method == "POST" and not self.is_bulk) else 200

    def content(self) -> dict[str, Any]:
        """What goes in place of ``body`` where that is no JSON, as keywords of a request."""
        image = self.pattern == LOGO and self.method == "PUT"
        return {"content": encoded(picture()), "headers": {"content-type": "image/png"}} if image else {}


WAYS = [
    Way(method, pattern, operation.scope)
    for pattern, door in DOORS.items()
    for method, operation in door.operations.items()
]
