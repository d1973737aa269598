"""A container's health check: an HTTP address that answers."""

import sys
import urllib.request

TIMEOUT_S = 3.0


def main() -> None:
    what = sys.argv[1]
    if not what.startswith("http://"):
        sys.exit("usage: health.py http://HOST:PORT/PATH")
    urllib.request.urlopen(what, timeout=TIMEOUT_S).close()  # noqa: S310 - the scheme was looked at


if __name__ == "__main__":
    main()
