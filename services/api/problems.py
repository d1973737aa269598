"""Refusals as answers: the one table from error code to HTTP status."""

from services.api.http import Answer, encode_json
from shared.errors import Code, Problem

STATUS: dict[Code, int] = {
    "invalid_json": 400,
    "invalid_parameter": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "idempotency_in_progress": 409,
    "export_not_ready": 409,
    "external_id_taken": 409,
    "precondition_failed": 412,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416,
    "validation_error": 422,
    "document_not_draft": 422,
    "invalid_transition": 422,
    "idempotency_mismatch": 422,
    "rate_limited": 429,
    "quota_exceeded": 429,
    "internal_error": 500,
    "unavailable": 503,
    "render_timeout": 503,
}


def status_of(problem: Problem) -> int:
    return STATUS[problem.code]


def problem_answer(problem: Problem) -> Answer:
    body: dict[str, object] = {"error": problem.code, "message": problem.message}
    if problem.details:
        body["details"] = problem.details
    headers = [(b"content-type", b"application/json")]
    if problem.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % problem.retry_after_s))
    if problem.allow is not None:
        headers.append((b"allow", problem.allow.encode()))
    if problem.code == "unauthorized":
        headers.append((b"www-authenticate", b"Bearer"))
    return Answer(status=status_of(problem), body=encode_json(body), headers=tuple(headers))


def internal_error() -> Problem:
    return Problem(
        "internal_error", "Something went wrong on our side; the request id finds the cause in the log"
    )


def service_unavailable() -> Problem:
    return Problem(
        "unavailable", "A part that this call needs is not reachable right now; try again", retry_after_s=1
    )
