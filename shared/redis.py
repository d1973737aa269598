"""One way to reach Redis: bounded in time, so that a store that hangs is a store that is down."""

from functools import partial
from typing import cast

from redis.asyncio import Redis

from shared.cluster import Cluster, is_cluster_url

CONNECT_TIMEOUT_S = 2.0


def open_redis(url: str, *, timeout_s: float) -> "Redis":
    """A client of raw bytes on ``url``; each command fails with a redis error after ``timeout_s``.

    On `redis+cluster://` it is one of a cluster, which knows `execute_command` and `pipeline` and no more.
    """
    open_node = partial(_open_node, timeout_s=timeout_s)
    return cast("Redis", Cluster(url, open_node)) if is_cluster_url(url) else open_node(url)


def _open_node(url: str, *, timeout_s: float) -> "Redis":
    return Redis.from_url(
        url,
        decode_responses=False,
        socket_timeout=timeout_s,
        socket_connect_timeout=min(timeout_s, CONNECT_TIMEOUT_S),
        health_check_interval=0,
    )


async def nodes_of(redis: "Redis | Cluster") -> "list[Redis]":
    """Each server that holds a part of the keys."""
    return await redis.primaries() if isinstance(redis, Cluster) else [redis]
