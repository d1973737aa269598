"""A container's health check: an HTTP address that answers, or the render queue's Redis, which a worker needs."""

import os
import sys
import urllib.request

TIMEOUT_S = 3.0


def main() -> None:
    what = sys.argv[1]
    if what == "queue":
        _ping(os.environ.get("QUEUE_REDIS_URL") or os.environ["REDIS_URL"])
    elif what.startswith("http://"):
        urllib.request.urlopen(what, timeout=TIMEOUT_S).close()  # noqa: S310 - the scheme was looked at
    else:
        sys.exit("usage: health.py http://HOST:PORT/PATH | queue")


def _ping(url: str) -> None:
    from redis import Redis  # noqa: PLC0415 - only the renderer's image asks the queue

    with Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S) as client:
        client.ping()


if __name__ == "__main__":
    main()
