"""The version of the page: a hash over all that shapes it. As a command it prints it, for shared/templates.py."""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent
CODE = (
    "amounts.py",
    "chromium.py",
    "devtools.py",
    "fill.py",
    "fonts.py",
    "kinds.py",
    "logos.py",
    "page.py",
    "payment_code.py",
    "press.py",
    "preview.py",
)
PACKAGES = ("layout", "pdf", "words")
LOOKS = (".html", ".css", ".json", ".ttf", ".conf")
DIGITS = 16


def templates_version() -> str:
    digest = hashlib.sha256()
    for path in _files():
        content = path.read_bytes()
        digest.update(f"{path.relative_to(FOLDER).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:DIGITS]


def _files() -> Iterator[Path]:
    yield from (FOLDER / name for name in CODE)
    yield from sorted(path for package in PACKAGES for path in (FOLDER / package).glob("*.py"))
    folders = (FOLDER / "templates", FOLDER / "fonts")
    yield from sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in LOOKS)


if __name__ == "__main__":
    sys.stdout.write(templates_version() + "\n")
