"""`python -m services.api`: the gateway on its host and port."""

import sys

import uvicorn

from services.api.app import create_app
from services.api.protocol import BoundedProtocol
from services.api.settings import load_settings
from shared.log import configure_logging
from shared.settings import SettingsError

KEEP_ALIVE_S = 75
SHUTDOWN_S = 20


def main() -> None:
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.exit(str(error))
    configure_logging("api", settings.log_level)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        http=BoundedProtocol,
        loop="uvloop",
        ws="none",
        access_log=False,
        server_header=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )


if __name__ == "__main__":
    main()
