"""Settings come from the environment; a missing or senseless one is named."""

import pytest

from services.renderer.settings import load_settings
from shared.settings import SettingsError

NEEDED = {"OBJECT_STORE_URL": "file:///objects", "REDIS_URL": "redis://everything"}
VARIABLES = (
    *NEEDED,
    "QUEUE_REDIS_URL",
    "RENDERER_PAGES",
    "RENDERER_EXPORT_PAGES",
    "RENDERER_PRINTS_MAX",
    "RENDERER_MEMORY_MB_MAX",
    "RENDERER_PORT",
    "CHROMIUM_SANDBOX",
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)


def test_the_queue_may_have_a_redis_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().queue_url == "redis://everything"
    monkeypatch.setenv("QUEUE_REDIS_URL", "redis://queue")
    assert load_settings().queue_url == "redis://queue"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OBJECT_STORE_URL", ""),
        ("REDIS_URL", ""),
        ("RENDERER_PAGES", "many"),
        ("RENDERER_PAGES", "-1"),
        ("RENDERER_EXPORT_PAGES", "-1"),
        ("RENDERER_PRINTS_MAX", "0"),
        ("RENDERER_MEMORY_MB_MAX", "0"),
        ("RENDERER_PORT", "70000"),
        ("CHROMIUM_SANDBOX", "perhaps"),
    ],
)
def test_a_bad_one_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        load_settings()


def test_a_worker_may_print_exports_alone_or_none_but_must_print(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENDERER_PAGES", "0")
    assert load_settings().renderer_export_pages == 1
    monkeypatch.setenv("RENDERER_EXPORT_PAGES", "0")
    with pytest.raises(SettingsError, match="RENDERER_EXPORT_PAGES"):
        load_settings()


@pytest.mark.parametrize(("value", "wanted"), [("", None), ("true", True), ("false", False), ("0", False)])
def test_the_sandbox_is_left_to_the_user_unless_it_is_set(
    value: str, wanted: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHROMIUM_SANDBOX", value)
    assert load_settings().chromium_sandbox is wanted
