"""Leads a newcomer in: migrates, waits for the gateway, sees to a demo account that works, says so.

Runs beside the services and for as long as they do; what it prints is what the person at the terminal reads.
"""

import os
import signal
import sys
import time
from pathlib import Path

import httpx2 as httpx
import msgspec

from cli.migrate import MigrationError, migrate
from deploy.local.demo import Demo, DemoError, do_main_job, read_demo, still_works, with_new_key, write_demo

DATA = Path(__file__).resolve().parents[2] / ".data"
READY_WITHIN_S = 60.0
POLL_S = 0.05
HTTP_TIMEOUT_S = 60.0


class GuideError(Exception):
    """A step failed; the message says which."""


def main() -> int:
    address = f"http://{_reachable(os.environ['HOST'])}:{os.environ['PORT']}"
    try:
        migrate(os.environ["DATABASE_URL"])
        with httpx.Client(base_url=address, timeout=HTTP_TIMEOUT_S) as gateway:
            wait_until_ready(gateway)
            print(banner(provide_demo(gateway, address)), flush=True)
    except (GuideError, MigrationError, DemoError, httpx.HTTPError) as error:
        print(f"InvoUno cannot start: {error}\nThe logs are in {DATA / 'log'}", flush=True)
        return 1
    while True:
        signal.pause()


def _reachable(host: str) -> str:
    """The address by which this machine reaches a server that listens on ``host``."""
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 - compared, not bound


def wait_until_ready(gateway: httpx.Client) -> None:
    """Return when the gateway reaches everything it needs. Raises GuideError when that takes too long."""
    deadline = time.monotonic() + READY_WITHIN_S
    said = "nothing answers"
    while time.monotonic() < deadline:
        try:
            answer = gateway.get("/health/ready")
        except httpx.TransportError as error:
            said = str(error)
        else:
            if answer.is_success:
                return
            said = answer.text
        time.sleep(POLL_S)
    raise GuideError(f"the gateway was not ready within {READY_WITHIN_S:g} s ({said}).")


def provide_demo(gateway: httpx.Client, address: str) -> Demo:
    """Yesterday's demo account with a key that works, or a new one, that has done the main job once."""
    demo = msgspec.structs.replace(read_demo(DATA / "demo.env"), url=address)
    if not still_works(gateway, demo.key):
        demo = with_new_key(demo)
    write_demo(DATA / "demo.env", demo)
    if not demo.pdf:
        demo = msgspec.structs.replace(demo, pdf=do_main_job(gateway, demo.key, DATA / "demo"))
        write_demo(DATA / "demo.env", demo)
    return demo


def banner(demo: Demo) -> str:
    return f"""
  InvoUno is up.

    URL   {demo.url}
    Key   {demo.key}
    PDF   {demo.pdf}
    Logs  {DATA / "log"}

  URL and key are kept in {DATA / "demo.env"}. Try:

    curl {demo.url}/v1/documents -H "Authorization: Bearer {demo.key}"

  Ctrl-C stops everything; the data stays in {DATA}.
"""


if __name__ == "__main__":
    sys.exit(main())
