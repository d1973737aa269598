"""The renderer's settings, read once from the environment."""

import os

import msgspec

from shared.settings import SettingsError, read_settings


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    object_store_url: str
    """Where PDFs lie: file:///folder, s3://bucket, gs://… or az://…, shared with the gateways."""
    redis_url: str = ""
    """The Redis or Valkey of the render queue, where QUEUE_REDIS_URL is not given."""
    queue_redis_url: str = ""
    """The Redis of the render queue; REDIS_URL when empty."""
    chromium_path: str = ""
    """The headless browser's executable; empty lets Playwright find the one that it installed."""
    chromium_sandbox: bool | None = None
    """Chromium's own sandbox, true or false; when empty it is on, except under root, where it cannot be."""
    renderer_pages: int = 2
    """PDFs that one worker prints at the same time, each in a browser of its own; one a core is right."""
    renderer_prints_max: int = 1000
    """Prints after which a browser is replaced by a fresh one, so that what it leaks stays bounded."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""

    @property
    def queue_url(self) -> str:
        return self.queue_redis_url or self.redis_url


def load_settings() -> Settings:
    """Raises SettingsError, which names the variable."""
    settings = read_settings(Settings, os.environ)
    if not settings.queue_url:
        raise SettingsError("Set QUEUE_REDIS_URL or REDIS_URL to the Redis of the render queue")
    if settings.renderer_pages < 1 or settings.renderer_prints_max < 1:
        raise SettingsError("RENDERER_PAGES and RENDERER_PRINTS_MAX must be 1 or more")
    return settings
