"""Logs as a process writes them, so that this one's logging stays as it is."""

import json
import subprocess
import sys

SCRIPT = """
import logging, structlog
from shared.log import configure_logging
configure_logging("api", "INFO")
structlog.get_logger().info("ours", size_bytes=3)
logging.getLogger("theirs").warning("from a library")
logging.getLogger("httpx2").info("HTTP Request: GET /internal/v1/usage/acct_1")
try:
    raise ValueError("why")
except ValueError:
    structlog.get_logger().exception("failed")
"""


def test_every_line_is_one_json_object() -> None:
    done = subprocess.run((sys.executable, "-c", SCRIPT), capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in lines] == ["ours", "from a library", "failed"]
    assert {line["service"] for line in lines} == {"api"}
    assert lines[0]["size_bytes"] == 3
    assert "ValueError: why" in lines[2]["exception"]
    assert not done.stderr
