"""`python -m services.metering`: serve until SIGTERM or Ctrl-C, then finish what is under way."""

import sys

import uvicorn

from services.metering.app import create_app
from services.metering.settings import load_settings
from shared.log import configure_logging
from shared.settings import SettingsError

STOP_TIMEOUT_S = 10


def main() -> None:
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.exit(str(error))
    configure_logging("metering", settings.log_level)
    uvicorn.run(
        create_app(settings),
        host=settings.metering_host,
        port=settings.metering_port,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_TIMEOUT_S,
    )


if __name__ == "__main__":
    main()
