"""The one exception that means something to a client, and the closed list of its codes.

Which HTTP status a code becomes is the business of each service's app, not of this file.
"""

from typing import Literal, get_args

Code = Literal[
    "invalid_json",
    "invalid_parameter",
    "unauthorized",
    "forbidden",
    "not_found",
    "method_not_allowed",
    "idempotency_in_progress",
    "export_not_ready",
    "external_id_taken",
    "precondition_failed",
    "payload_too_large",
    "unsupported_media_type",
    "range_not_satisfiable",
    "validation_error",
    "document_not_draft",
    "invalid_transition",
    "idempotency_mismatch",
    "rate_limited",
    "quota_exceeded",
    "internal_error",
    "unavailable",
    "render_timeout",
]
CODES: tuple[Code, ...] = get_args(Code)


class Problem(Exception):  # noqa: N818 - it is the answer's name, after RFC 9457
    """A refusal that the client shall read: a code, a sentence that says what to do, and details.

    ``retry_after_s`` is whole seconds and becomes the Retry-After header; ``allow`` the Allow header.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        details: dict[str, object] | None = None,
        *,
        retry_after_s: int | None = None,
        allow: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message
        self.details = details
        self.retry_after_s = retry_after_s
        self.allow = allow
