"""Sees to it that the tests can read PDFs: poppler's pdftotext and pdftoppm."""

import shutil
import sys

from deploy.local.packages import apt_can_install, apt_install

TOOLS = ("pdftotext", "pdftoppm")
ADVICE = """\
The tests read PDFs with poppler's pdftotext and pdftoppm, which are not installed.
  Debian, Ubuntu: sudo apt install poppler-utils
  macOS:          brew install poppler"""


def main() -> int:
    if _installed() or (apt_can_install() and apt_install("poppler-utils") and _installed()):
        return 0
    print(ADVICE, file=sys.stderr)
    return 1


def _installed() -> bool:
    return all(shutil.which(tool) for tool in TOOLS)


if __name__ == "__main__":
    sys.exit(main())
