"""The service as a process."""

import asyncio
import os
import signal
import sys
from functools import partial

import httpx2

from deploy.local.store import free_port
from tests.services.metering.conftest import eventually


async def test_it_serves_and_stops_on_sigterm(database_url: str, redis_url: str) -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.metering",
        env={**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "SERVICE_TOKEN": "t",
             "METERING_PORT": str(port)},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        await eventually(partial(_is_ready, client), timeout_s=20)
        metrics = await client.get("/metrics")
        seeded = await client.post(
            "/internal/v1/accounts/acct_one/seed", headers={"Authorization": "Bearer t"}
        )
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(5):
        output, _ = await process.communicate()
    assert seeded.status_code == 204
    assert 'invouno_store_up{store="redis"} 1\n' in metrics.text
    assert process.returncode in (0, -signal.SIGTERM)
    assert b"Traceback" not in output


async def _is_ready(client: httpx2.AsyncClient) -> bool:
    try:
        return (await client.get("/health/ready")).status_code == 200
    except httpx2.TransportError:
        return False


async def test_a_missing_variable_is_named() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.metering",
        env={"PATH": os.environ["PATH"], "DATABASE_URL": "postgresql://x", "SERVICE_TOKEN": "t"},
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode == 1
    assert b"METER_REDIS_URL" in said
