"""The gateway's settings, read once from the environment."""

import os
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.settings import SettingsError, read_settings


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    database_url: str
    """PostgreSQL, with the schema `api` migrated."""
    object_store_url: str
    """Where PDFs lie: file:///folder, s3://bucket, gs://… or az://…, shared with the renderers."""
    service_token: str
    """What the gateway shows to metering."""
    redis_url: str = ""
    """One Redis or Valkey for queue and meter, where these are not given of their own."""
    queue_redis_url: str = ""
    """The Redis of the render queue; REDIS_URL when empty."""
    meter_redis_url: str = ""
    """The Redis of admission and counting; REDIS_URL when empty."""
    metering_url: str = "http://127.0.0.1:8081"
    """The metering service."""
    host: str = "127.0.0.1"
    """The address to listen on."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    """The port to listen on."""
    connections_max: Annotated[int, Meta(ge=1)] = 10_000
    """Callers' connections that one gateway process may hold; who comes beyond them is told 503 at once."""
    database_connections_max: Annotated[int, Meta(ge=1)] = 20
    """Connections to PostgreSQL that one gateway process may hold."""
    pdf_wait_s: Annotated[float, Meta(gt=0)] = 40.0
    """How long a caller waits for a PDF before it is told render_timeout, in seconds."""
    pdf_queue_wait_s_max: Annotated[float, Meta(gt=0)] = 15.0
    """How long a new PDF may have to wait for its turn; one that would wait longer is refused at once, in seconds."""
    pdf_cache_mb: Annotated[int, Meta(ge=0)] = 16
    """Memory for the PDFs that were asked for last, in MB; 0 reads each from the object store."""
    streams_max: Annotated[int, Meta(ge=1)] = 6
    """Streams that one gateway process may have open; at full speed they share what the event loop has left."""
    streams_per_account_max: Annotated[int, Meta(ge=1)] = 2
    """Streams that an account may have open on one of them; all but its first within the first half of those."""
    reservation_kept_s: Annotated[float, Meta(gt=0)] = 30.0
    """How long a create may take before it is asked after, and given up if it came to nothing, in seconds."""
    meter_down: Literal["refuse", "fail_open"] = "refuse"
    """While the meter is away: refuse calls with 503, or let them through without limits and count them afterwards."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""

    @property
    def meter_url(self) -> str:
        return self.meter_redis_url or self.redis_url

    @property
    def queue_url(self) -> str:
        return self.queue_redis_url or self.redis_url


def load_settings() -> Settings:
    """Raises SettingsError, which names the variable."""
    settings = read_settings(Settings, os.environ)
    if not (settings.meter_url and settings.queue_url):
        raise SettingsError("Set REDIS_URL, or both QUEUE_REDIS_URL and METER_REDIS_URL")
    return settings
