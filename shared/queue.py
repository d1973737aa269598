"""arq's settings that both ends of the render queue must share: msgpack on the wire, never pickle."""

from typing import Any

import msgspec
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool

from shared.messages import RENDER_QUEUE
from shared.redis import CONNECT_TIMEOUT_S

RENDER_TIMEOUT_S = 20
RENDER_TRIES_MAX = 2
# arq keeps a killed worker's job locked for the timeout and ten seconds more, and then another takes it up.
RENDER_RETAKEN_AFTER_S = RENDER_TIMEOUT_S + 10


def encode_job(job: dict[str, Any]) -> bytes:
    return msgspec.msgpack.encode(job)


def decode_job(data: bytes) -> dict[str, Any]:
    return msgspec.msgpack.decode(data, type=dict[str, Any])


def open_queue(url: str) -> ArqRedis:
    """The enqueuing end; it connects when it is first used."""
    return ArqRedis(
        ConnectionPool.from_url(url, socket_connect_timeout=CONNECT_TIMEOUT_S),
        job_serializer=encode_job,
        job_deserializer=decode_job,
        default_queue_name=RENDER_QUEUE,
    )
