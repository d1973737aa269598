"""The renderer's settings, read once from the environment."""

import os

import msgspec

from shared.settings import SettingsError, read_settings

PORT_MAX = 65_535


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    object_store_url: str
    """Where PDFs lie: file:///folder, s3://bucket, gs://… or az://…, shared with the gateways."""
    redis_url: str = ""
    """The Redis or Valkey of the render queue, where QUEUE_REDIS_URL is not given."""
    queue_redis_url: str = ""
    """The Redis of the render queue; REDIS_URL when empty."""
    chromium_path: str = "chromium-headless-shell"
    """The headless browser's executable, or its name on the PATH."""
    chromium_sandbox: bool | None = None
    """Chromium's own sandbox, true or false; when empty it is on, except under root, where it cannot be."""
    renderer_pages: int = 2
    """PDFs that one worker prints at the same time, each in a browser of its own; as many as cores is right."""
    renderer_export_pages: int = 1
    """Browsers beside these that print exports and let single PDFs go first; 0 for none."""
    renderer_prints_max: int = 1000
    """Prints after which a browser is replaced by a fresh one, so that what it leaks stays bounded."""
    renderer_memory_mb_max: int = 1024
    """Memory of a browser's own, in MB, beyond which it is replaced by a fresh one after the print under way."""
    renderer_host: str = "127.0.0.1"
    """The address on which the worker tells its health and metrics."""
    renderer_port: int = 0
    """The port for /health and /metrics; 0 for none."""
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
    _require_bounds(settings)
    return settings


def _require_bounds(settings: Settings) -> None:
    pages = (settings.renderer_pages, settings.renderer_export_pages)
    if min(pages) < 0 or max(pages) < 1:
        raise SettingsError(
            "RENDERER_PAGES and RENDERER_EXPORT_PAGES must be 0 or more, and one of them 1 or more"
        )
    if min(settings.renderer_prints_max, settings.renderer_memory_mb_max) < 1:
        raise SettingsError("RENDERER_PRINTS_MAX and RENDERER_MEMORY_MB_MAX must be 1 or more")
    if not 0 <= settings.renderer_port <= PORT_MAX:
        raise SettingsError("RENDERER_PORT must be from 0 to 65535")
