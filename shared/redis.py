"""One way to reach Redis: bounded in time, so that a store that hangs is a store that is down."""

from redis.asyncio import Redis

CONNECT_TIMEOUT_S = 2.0


def open_redis(url: str, *, timeout_s: float) -> "Redis":
    """A client of raw bytes on ``url``; each command fails with a redis error after ``timeout_s``."""
    return Redis.from_url(
        url,
        decode_responses=False,
        socket_timeout=timeout_s,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        health_check_interval=0,
    )
