"""A renderer of exports alone, as a process: it writes down each document that it prints, one id a line.

Its variables are the renderer's, and PRINTS, the file that it writes to; a document entitled POISON kills it. So does
the first document that it joins, as long as the file JOINS has fewer lines than JOINS_THAT_KILL says.
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from arq.connections import ArqRedis

from services.renderer.archives import ARCHIVES, Zip
from services.renderer.chromium import open_chromium
from services.renderer.exports import LOCKED_S, PART_TIMEOUT_S, Exporter, functions
from services.renderer.fill import template_environment
from services.renderer.logos import Logos
from services.renderer.press import Press
from services.renderer.queue import QueueWorker
from services.renderer.worker import run_until
from shared.messages import EXPORT_QUEUE, ExportedDocument, RenderJob
from shared.objects import open_store
from shared.queue import Queue, decode_job, encode_job

POISON = "This kills"


class DeadlyZip(Zip):
    def add(self, document: ExportedDocument) -> bytes:
        written = super().add(document)
        joins = Path(os.environ["JOINS"])
        if len(joins.read_text().split() if joins.exists() else ()) < int(os.environ["JOINS_THAT_KILL"]):
            with joins.open("a") as file:
                file.write(f"{document.document_id}\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return written


@dataclass(frozen=True)
class CountingPress:
    press: Press
    prints: Path

    async def print(self, jobs: Sequence[RenderJob]) -> list[bytes | Exception]:
        if any(job.items[0].title == POISON for job in jobs):
            os.kill(os.getpid(), signal.SIGKILL)
        printed = await self.press.print(jobs)
        with self.prints.open("a") as file:
            file.writelines(f"{job.document_id}\n" for job in jobs)
        return printed


async def run() -> None:
    ARCHIVES["zip"] = DeadlyZip
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    path = os.environ.get("CHROMIUM_PATH", "chromium-headless-shell")
    async with open_chromium(path=path, sandbox=False, pages=1, prints_max=1000) as chromium:
        store = open_store(os.environ["OBJECT_STORE_URL"])
        press = Press(template_environment(), chromium, Logos(store).read)
        exporter = Exporter(CountingPress(press, Path(os.environ["PRINTS"])), store)
        queue = ArqRedis.from_url(os.environ["REDIS_URL"])
        queue.job_serializer, queue.job_deserializer = encode_job, decode_job
        worker = QueueWorker(
            queue,
            Queue(queue, EXPORT_QUEUE),
            functions(),
            slots=2,
            timeout_s=PART_TIMEOUT_S,
            locked_s=LOCKED_S,
            context={"exporter": exporter},
        )
        await run_until(worker, stopping)


if __name__ == "__main__":
    asyncio.run(run())
