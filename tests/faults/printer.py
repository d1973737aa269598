"""A renderer that two documents harm, by their title: one stops every page that it is put on, one ends the worker."""

import os
import signal

import psutil

from services.renderer.chromium import Page
from services.renderer.worker import main

HANGS = "This stops its page"
KILLS = "This ends its worker"
_print = Page.print


async def _harmed(self: Page, html: str) -> bytes:
    if KILLS in html:
        os.kill(os.getpid(), signal.SIGKILL)
    if HANGS in html:
        for process in psutil.Process(self.process_id).children(recursive=True):
            if "--type=renderer" in process.cmdline():
                process.suspend()
    return await _print(self, html)


if __name__ == "__main__":
    Page.print = _harmed
    main()
