"""Streams that are read slowly, and enough documents for one to be long."""

import socket
from typing import Self
from urllib.parse import urlsplit

from account import Account

TIMEOUT_S = 20
# So that what the kernel holds for a reader is little beside what a stream has to say.
RECEIVED_BYTES = 256 * 1024
BEGUN_BYTES = 16 * 1024
LAST_CHUNK = b"\r\n0\r\n\r\n"

# Copies of a document under ids that are older than any, the first copy being the newest.
COPY = """
insert into api.documents (
    account_id, id, type, number, status, client_id, client, seller, currency, issued_date, due_date, items,
    subtotal, tax_rate, tax_amount, total, notes, template, created_at, updated_at, body
)
select
    d.account_id, n.id, d.type, null, d.status, d.client_id, d.client, d.seller, d.currency, d.issued_date,
    d.due_date, d.items, d.subtotal, d.tax_rate, d.tax_amount, d.total, d.notes, d.template, d.created_at,
    d.updated_at, replace(d.body, d.id, n.id)
from api.documents d
cross join (
    select 'doc_' || lpad(to_hex(1000000 - n), 14, '0') || substr(md5(n::text), 1, 20) as id
    from generate_series(1, $3::integer) n
) n
where d.account_id = $1 and d.id = $2
returning id
"""


def copied(account: Account, document_id: str, copies: int) -> list[str]:
    """The ids of so many copies of a draft, newest first."""
    return sorted((row[0] for row in account.sql(COPY, account.id, document_id, copies)), reverse=True)


class Reader:
    """A request on a socket of its own, whose answer is read as far as is asked for; a context that closes it."""

    def __init__(self, account: Account, path: str, *, gateway: str = "", version: str = "1.1") -> None:
        url = urlsplit(gateway or account.product.gateway)
        self._socket = socket.socket()
        self._socket.settimeout(TIMEOUT_S)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED_BYTES)
        self._socket.connect((url.hostname, url.port))
        head = f"GET {path} HTTP/{version}\r\nHost: x\r\nAuthorization: Bearer {account.key}\r\n\r\n"
        self._socket.sendall(head.encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def begun(self) -> bytes:
        """Some of the answer: its headers, and that it goes on."""
        found = bytearray()
        while b"\r\n\r\n" not in found or len(found) < BEGUN_BYTES:
            found += self.received()
        return bytes(found)

    def rest(self) -> bytes:
        """All that comes until the last chunk or the end; raises ConnectionResetError where the connection is reset."""
        found = bytearray()
        while not found.endswith(LAST_CHUNK) and (chunk := self.received()):
            found += chunk
        return bytes(found)

    def received(self) -> bytes:
        return self._socket.recv(RECEIVED_BYTES)
