"""Every request of the API's page, sent as it stands; only the host, the key and the ids are changed."""

from pathlib import Path
from threading import Event

import httpx2
import pytest
from documented import Request, documented_requests
from images import encoded, picture
from product import Product

from shared.locales import LOCALES, PAGE_SIZES

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
REQUESTS = documented_requests(PAGE.read_text())
HOST = "https://invouno.com"
KEYS = ("pk_live_your_api_key_here", "YOUR_API_KEY")
BEGINNINGS = {
    ".pdf": b"%PDF-",
    ".zip": b"PK",
    ".png": b"\x89PNG",
    ".csv": b"id,type,",
    ".ndjson": b'{"id":"doc_',
}
LOOKS_MAX = 600
NAMES = [f"{request.method} {request.url.removeprefix(HOST)}" for request in REQUESTS]


@pytest.fixture(scope="module")
def key(product: Product) -> str:
    return product.key(product.account("--plan", "growth"))


def test_the_page_shows_every_documented_route() -> None:
    paths = {(request.method, httpx2.URL(request.url).path) for request in REQUESTS}
    assert paths >= {
        ("GET", "/v1/documents"),
        ("POST", "/v1/documents"),
        ("GET", "/v1/documents/doc_abc123"),
        ("PUT", "/v1/documents/doc_abc123"),
        ("DELETE", "/v1/documents/doc_abc123"),
        ("GET", "/v1/documents/doc_abc123/pdf"),
        ("PUT", "/v1/documents/by-external-id/order-6735"),
        ("GET", "/v1/documents/export.ndjson"),
        ("GET", "/v1/documents/export.csv"),
        ("GET", "/v1/clients"),
        ("POST", "/v1/clients"),
        ("GET", "/v1/usage"),
        ("GET", "/v1/templates"),
        ("GET", "/v1/templates/clean/preview"),
        ("POST", "/v1/exports"),
        ("GET", "/v1/exports/exp_abc123"),
        ("GET", "/v1/exports/exp_abc123/download"),
        ("GET", "/v1/account"),
        ("PUT", "/v1/account"),
        ("PUT", "/v1/account/logo"),
    }


def test_the_page_names_every_language_and_paper() -> None:
    page = PAGE.read_text()
    assert [name for name in (*LOCALES, *PAGE_SIZES) if f"`{name}`" not in page] == []


@pytest.mark.parametrize("request_", REQUESTS, ids=NAMES)
def test_a_documented_request_works_as_it_stands(
    product: Product, key: str, request_: Request, tmp_path: Path
) -> None:
    with product.caller(key=key) as caller:
        ids = _made(caller)
        if "exp_abc123" in request_.url:
            ids["exp_abc123"] = _exported(caller, ids["doc_abc123"])
    answer = _send(product, key, ids, request_)
    accepted = 202 if request_.url.endswith("/exports") else 201
    is_bulk = request_.url.endswith("/bulk")
    creates = (request_.method == "POST" and not is_bulk) or "/by-external-id/" in request_.url
    assert answer.status_code == (accepted if creates else 200), answer.text
    assert not is_bulk or answer.json()["failed"] == 0, answer.text
    if request_.output is not None:
        saved = tmp_path / request_.output
        saved.write_bytes(answer.content)
        assert saved.read_bytes().startswith(BEGINNINGS[saved.suffix])


def _made(caller: httpx2.Client) -> dict[str, str]:
    client = caller.post("/v1/clients", json={"name": "Acme Corp"}).json()["id"]
    draft = {"type": "invoice", "client_id": client, "items": [{"title": "Work", "quantity": 1, "rate": 100}]}
    document = caller.post("/v1/documents", json=draft).json()["id"]
    return {"cl_abc123": client, "doc_abc123": document}


def _exported(caller: httpx2.Client, document: str) -> str:
    """An export that is ready."""
    export = caller.post("/v1/exports", json={"documents": [document]}).json()
    pause = Event()
    for _ in range(LOOKS_MAX):
        if caller.get(f"/v1/exports/{export['id']}").json()["state"] == "ready":
            return export["id"]
        pause.wait(0.05)
    raise AssertionError(export)


def _send(product: Product, key: str, ids: dict[str, str], request: Request) -> httpx2.Response:
    replaced = {HOST: product.gateway, **dict.fromkeys(KEYS, key), **ids}

    def changed(text: str) -> str:
        for documented, real in replaced.items():
            text = text.replace(documented, real)
        return text

    body = None if request.body is None else changed(request.body.decode()).encode()
    if request.upload is not None:
        body = encoded(picture())
    headers = [(name, changed(value)) for name, value in request.headers]
    return httpx2.request(request.method, changed(request.url), headers=headers, content=body, timeout=60)
