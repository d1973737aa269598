import pickle

import msgspec
import pytest

from shared.queue import RENDER_RETAKEN_AFTER_S, RENDER_TIMEOUT_S, decode_job, encode_job


def test_a_job_crosses_as_msgpack() -> None:
    job = {"t": 1, "f": "render", "a": ("pdf/x.pdf", b"\x00\xff"), "k": {}, "et": 1_700_000_000_000}
    assert decode_job(encode_job(job)) == {**job, "a": ["pdf/x.pdf", b"\x00\xff"]}


def test_a_pickle_is_never_read() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_job(pickle.dumps({"f": "render"}))


def test_a_killed_workers_job_is_taken_up_soon() -> None:
    assert RENDER_TIMEOUT_S <= 30
    assert RENDER_RETAKEN_AFTER_S <= 30
