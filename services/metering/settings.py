"""The metering service's settings, read once from the environment."""

import os
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.settings import SettingsError, read_settings


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    database_url: str
    """PostgreSQL, with the schema `metering` migrated."""
    service_token: str
    """What callers of /internal/v1 show as their bearer token, beside those that `invouno tokens create` makes."""
    redis_url: str = ""
    """One Redis or Valkey for queue and meter, where these are not given of their own."""
    meter_redis_url: str = ""
    """The Redis of admission and counting; REDIS_URL when empty."""
    metering_host: str = "127.0.0.1"
    """The address to listen on."""
    metering_port: Annotated[int, Meta(ge=0, le=65535)] = 8081
    """The port to listen on."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""

    @property
    def meter_url(self) -> str:
        return self.meter_redis_url or self.redis_url


def load_settings() -> Settings:
    """Raises SettingsError, which names the variable."""
    settings = read_settings(Settings, os.environ)
    if not settings.meter_url:
        raise SettingsError(
            "The environment variable METER_REDIS_URL is missing, and REDIS_URL too: set one."
        )
    return settings
