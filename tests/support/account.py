"""An account as its owner's program meets it: a key, a client of the API, and shorthands for what tests do often."""

import asyncio
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from typing import Any, Self

import asyncpg
import httpx2
from bodies import CLIENT, document
from product import Product

from cli.main import build_parser
from cli.stores import Settings, Stores


class Account:
    """``http`` carries a key of the account; to be used as a context, which closes it."""

    def __init__(self, product: Product, *options: str) -> None:
        self.product = product
        self.id = product.account(*(options or ("--plan", "enterprise")))
        self.key = product.key(self.id)
        self.http = caller(product, self.key)
        self._client_id = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    @property
    def client_id(self) -> str:
        """A client of the account, made when first asked for."""
        self._client_id = self._client_id or self.client()["id"]
        return self._client_id

    def client(self, **fields: Any) -> dict[str, Any]:
        return made(self.http.post("/v1/clients", json={**CLIENT, **fields}))

    def post(self, **fields: Any) -> httpx2.Response:
        return self.http.post(
            "/v1/documents", json=document(fields.pop("client_id", self.client_id), **fields)
        )

    def document(self, **fields: Any) -> dict[str, Any]:
        return made(self.post(**fields))

    def in_status(self, status: str) -> dict[str, Any]:
        """A document that has come to ``status`` by the calls that lead there."""
        if status == "draft":
            return self.document()
        if status == "cancelled":
            return self.move(self.document()["id"], "cancel").json()
        due = {"issued_date": "2020-01-01", "due_date": "2020-01-31"} if status == "overdue" else {}
        sent = self.document(status="sent", **due)
        return self.move(sent["id"], "pay").json() if status == "paid" else sent

    def get(self, document_id: str) -> dict[str, Any]:
        answer = self.http.get(f"/v1/documents/{document_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def put(self, document_id: str, **fields: Any) -> httpx2.Response:
        return self.http.put(f"/v1/documents/{document_id}", json=fields)

    def move(self, document_id: str, action: str) -> httpx2.Response:
        return self.http.post(f"/v1/documents/{document_id}/{action}")

    def usage(self) -> dict[str, Any]:
        return self.http.get("/v1/usage").json()

    def sql(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """The rows of a statement on the product's database, for what no call can show or make."""
        return asyncio.run(rows_of(self.product.urls.database, statement, *values))

    def command(self, *arguments: str) -> Any:
        """What the operator's command does with these arguments on the product's stores."""
        return asyncio.run(_commanded(self.product, arguments))


def caller(product: Product, key: str = "") -> httpx2.Client:
    """A client of the gateway; the empty context spares it the certificates, which take longer than most tests."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    return httpx2.Client(base_url=product.gateway, headers=headers, timeout=60, verify=context)


async def _commanded(product: Product, arguments: tuple[str, ...]) -> Any:
    stores = Stores(Settings(database_url=product.urls.database, redis_url=product.urls.redis))
    options = build_parser().parse_args(arguments)
    try:
        return await options.perform(stores, options)
    finally:
        await stores.aclose()


async def rows_of(database_url: str, statement: str, *values: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(database_url)
    try:
        return await connection.fetch(statement, *values)
    finally:
        await connection.close()


def made(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    return answer.json()


def refused(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The details of an error answer, which must be exactly of the documented form."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
    body = answer.json()
    assert body["error"] == code, body
    assert body["message"]
    assert body.keys() <= {"error", "message", "details"}
    assert body.get("details") != {}
    return body.get("details", {})
