"""The demo account: made through the operator's command, used through the public API, kept in demo.env."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2 as httpx
import msgspec
from honcho.environ import parse

CLI_TIMEOUT_S = 30
UNAUTHORIZED = 401
ACCOUNT = {
    "name": "Lindqvist & Moreau Studio",
    "plan": "growth",
    "email": "billing@lindqvist-moreau.example",
    "address-line1": "14 Harbour Street",
    "city": "Copenhagen",
    "postal-code": "1250",
    "country": "Denmark",
    "tax-id": "DK12345674",
    "phone": "+45 70 10 20 30",
    "currency": "EUR",
    "time-zone": "Europe/Copenhagen",
    "iban": "DE89 3704 0044 0532 0130 00",
    "bic": "COBADEFFXXX",
    "payment-terms": "Payable within 30 days of the invoice date",
    "accent-color": "#0f766e",
}
CLIENT = {
    "name": "Acme Corp",
    "email": "accounts@acme.example",
    "company": "Acme Corporation",
    "address_line1": "500 Market Street",
    "city": "San Francisco",
    "region": "CA",
    "postal_code": "94105",
    "country": "United States",
}
INVOICE = {
    "type": "invoice",
    "status": "sent",
    "items": [
        {"title": "Website Design", "description": "Concept, design and build", "quantity": 1, "rate": 5000},
        {"title": "Hosting (Annual)", "quantity": 1, "rate": 1200},
    ],
    "tax_rate": 10,
    "notes": "Thank you for your business.",
    "template": "modern",
}


class DemoError(Exception):
    """The demo account could not be made or used; the message holds the command's or the API's own words."""


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """``pdf`` is the path of the document that the first start made; what is not there yet is empty."""

    url: str = ""
    key: str = ""
    account: str = ""
    pdf: str = ""


VARIABLES = {"url": "INVOUNO_URL", "key": "INVOUNO_KEY", "account": "INVOUNO_ACCOUNT", "pdf": "INVOUNO_PDF"}


def read_demo(path: Path) -> Demo:
    """What an earlier start has kept."""
    kept = parse(path.read_text()) if path.exists() else {}
    return Demo(**{field: kept.get(variable, "") for field, variable in VARIABLES.items()})


def write_demo(path: Path, demo: Demo) -> None:
    path.touch(mode=0o600)
    values = msgspec.structs.asdict(demo)
    path.write_text(
        "".join(f"{variable}={shlex.quote(values[field])}\n" for field, variable in VARIABLES.items())
    )


def still_works(gateway: httpx.Client, key: str) -> bool:
    return bool(key) and gateway.get("/v1/documents", headers=_bearer(key)).status_code != UNAUTHORIZED


def with_new_key(demo: Demo) -> Demo:
    """A new key for the demo's account, or for a new account where there is none (any more). Raises DemoError."""
    if demo.account:
        try:
            return msgspec.structs.replace(demo, key=_new_key(demo.account))
        except DemoError:
            print("The demo account is gone; making a new one.", flush=True)
    options = (part for name, value in ACCOUNT.items() for part in (f"--{name}", value))
    account = _invouno("accounts", "create", *options)["id"]
    return Demo(url=demo.url, key=_new_key(account), account=account)


def _new_key(account: str) -> str:
    return _invouno("keys", "create", "--account", account)["key"]


def do_main_job(gateway: httpx.Client, key: str, folder: Path) -> str:
    """A client, an invoice, its PDF; the path that the PDF was written to. Raises DemoError."""
    headers = _bearer(key)
    client = _json(gateway.post("/v1/clients", json=CLIENT, headers=headers))
    invoice = _json(
        gateway.post("/v1/documents", json={**INVOICE, "client_id": client["id"]}, headers=headers)
    )
    pdf = _checked(gateway.get(f"/v1/documents/{invoice['id']}/pdf", headers=headers))
    folder.mkdir(exist_ok=True)
    path = folder / f"{invoice['number']}.pdf"
    path.write_bytes(pdf.content)
    return str(path)


def _invouno(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(  # our own command
        (sys.executable, "-m", "cli.main", *arguments, "--json"),
        capture_output=True,
        text=True,
        timeout=CLI_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise DemoError(
            f"`invouno {' '.join(arguments[:2])}` failed: {done.stderr.strip() or done.stdout.strip()}"
        )
    return msgspec.json.decode(done.stdout, type=dict[str, Any])


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _json(answer: httpx.Response) -> dict[str, Any]:
    return msgspec.json.decode(_checked(answer).content, type=dict[str, Any])


def _checked(answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        asked = answer.request
        raise DemoError(f"{asked.method} {asked.url.path} answered {answer.status_code}: {answer.text[:500]}")
    return answer
