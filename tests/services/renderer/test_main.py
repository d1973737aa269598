"""How a worker's process refuses to start: in words, and with an exit code that an orchestrator sees."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"OBJECT_STORE_URL": ""}, "Set the environment variable OBJECT_STORE_URL"),
        ({"REDIS_URL": ""}, "REDIS_URL"),
        ({"CHROMIUM_PATH": "/bin/false"}, "No headless browser starts: set CHROMIUM_PATH"),
    ],
)
def test_it_says_what_it_lacks(changed: dict[str, str], said: str, object_url: str) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "OBJECT_STORE_URL": object_url,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        **changed,
    }
    done = subprocess.run(
        (sys.executable, "-m", "services.renderer"),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert said in done.stderr
