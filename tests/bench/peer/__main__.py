"""`python -m tests.bench.peer`: the same API as an ordinary team would write it, for the benchmark to compare with."""

import os

import uvicorn

from tests.bench.peer.app import create_app

if __name__ == "__main__":
    uvicorn.run(
        create_app(os.environ["DATABASE_URL"], os.environ["REDIS_URL"]),
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        server_header=False,
        log_level="warning",
        timeout_keep_alive=75,
    )
