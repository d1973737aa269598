"""`python -m services.api`: the gateway on its host and port."""

import contextlib
import gc
import resource
import sys

import structlog
import uvicorn
from starlette.types import ASGIApp

from services.api.app import create_app
from services.api.compression import Compression
from services.api.protocol import BoundedProtocol
from services.api.settings import Settings, load_settings
from shared.log import configure_logging
from shared.settings import SettingsError

KEEP_ALIVE_S = 75
SHUTDOWN_S = 20
# For stores, logs, files and what libraries open, beside the callers' connections.
OWN_FILES = 256
# New objects between two looks for garbage; requests make none that counting references does not free, but for errors.
OBJECTS_UNLOOKED = 20_000

log = structlog.get_logger()


def main() -> None:
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.exit(str(error))
    configure_logging("api", settings.log_level)
    connections_max = allowed_connections(settings.connections_max)
    server = uvicorn.Server(serving(create_app(settings), settings, connections_max=connections_max))
    gc.freeze()
    gc.set_threshold(OBJECTS_UNLOOKED)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()


def serving(app: ASGIApp, settings: Settings, *, connections_max: int) -> uvicorn.Config:
    """How any application is served to callers."""
    return uvicorn.Config(
        Compression(app),
        host=settings.host,
        port=settings.port,
        http=BoundedProtocol,
        loop="uvloop",
        ws="none",
        proxy_headers=False,  # nobody asks where a caller comes from
        access_log=False,
        server_header=False,
        log_config=None,
        limit_concurrency=connections_max,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )


def allowed_connections(wanted: int) -> int:
    """As many of these as the process may have files, for which its limit is raised where that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + OWN_FILES
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < needed:
        log.warning("fewer_connections", wanted=wanted, files=most)
    return max(1, most - OWN_FILES)


if __name__ == "__main__":
    main()
