"""An account's exports in tests: ask, wait, download, and read what has come."""

import csv
import io
import subprocess
import zipfile
from itertools import count
from threading import Event
from typing import Any

import httpx2
from account import Account

LOOKS_MAX = 1_500
LOOK_S = 0.05
ENDED = ("ready", "failed", "cancelled", "expired")


def asked(account: Account, **body: Any) -> dict[str, Any]:
    """The export that was accepted."""
    answer = account.http.post("/v1/exports", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/exports/{answer.json()['id']}"
    return answer.json()


def state_of(account: Account, export_id: str) -> dict[str, Any]:
    answer = account.http.get(f"/v1/exports/{export_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def ended(account: Account, export_id: str) -> dict[str, Any]:
    """The export once it has ended."""
    return reached(account, export_id, lambda export: export["state"] in ENDED)


def reached(account: Account, export_id: str, there: Any) -> dict[str, Any]:
    """The export once it is ``there``."""
    pause = Event()
    for look in count():
        export = state_of(account, export_id)
        if there(export):
            return export
        assert look < LOOKS_MAX, export
        pause.wait(LOOK_S)
    raise AssertionError


def blocked(account: Account, documents: list[dict[str, Any]]) -> dict[str, Any]:
    """An export that nobody takes up."""
    occupied(account)
    return asked(account, documents=ids_of(documents))


def occupied(account: Account) -> None:
    """Let the account's exports wait for an older one that does not end."""
    account.sql(
        """
        insert into api.exports (
            account_id, id, state, format, ordered, document_ids, total, created_at, updated_at, served_at
        ) values ($1, 'exp_0', 'running', 'zip', 'given', '{}', 1, now(), now(), now())
        """,
        account.id,
    )


def released(account: Account, export_id: str) -> None:
    assert state_of(account, export_id)["state"] == "queued"
    account.sql("delete from api.exports where account_id = $1 and id = 'exp_0'", account.id)


def ids_of(documents: list[dict[str, Any]]) -> list[str]:
    return [document["id"] for document in documents]


def name_of(document: dict[str, Any]) -> str:
    return f"{document['number'] or document['id']}.pdf"


def downloaded(account: Account, export: dict[str, Any], **headers: str) -> httpx2.Response:
    assert export["state"] == "ready", export
    return account.http.get(export["download_url"], headers=headers)


def unzipped(archive: bytes) -> dict[str, bytes]:
    """Each file by its name, in order; a damaged one is refused."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        return {entry.filename: opened.read(entry) for entry in opened.infolist()}


def manifest_of(files: dict[str, bytes]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files["manifest.csv"].decode())))


def text_of(pdf: bytes) -> str:
    return subprocess.run(("pdftotext", "-", "-"), input=pdf, capture_output=True, check=True).stdout.decode()  # noqa: S607 - found on the path, as make test provides it
