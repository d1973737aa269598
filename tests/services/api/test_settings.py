"""The gateway's settings: what must be given, what is bounded, and the words for what is wrong."""

import pytest

from services.api.settings import load_settings
from shared.settings import SettingsError

GIVEN = {
    "DATABASE_URL": "postgresql://db/x",
    "OBJECT_STORE_URL": "file:///x",
    "SERVICE_TOKEN": "t",
    "REDIS_URL": "redis://r/0",
}
OWN = {"REDIS_URL": "", "QUEUE_REDIS_URL": "redis://q/0", "METER_REDIS_URL": "redis://m/0"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (
        "PORT",
        "HOST",
        "LOG_LEVEL",
        "PDF_WAIT_S",
        "RESERVATION_KEPT_S",
        "METER_DOWN",
        "DATABASE_CONNECTIONS_MAX",
        *OWN,
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_one_redis_serves_both_queue_and_meter(environment: pytest.MonkeyPatch) -> None:
    del environment
    settings = load_settings()
    assert (settings.queue_url, settings.meter_url) == ("redis://r/0", "redis://r/0")


def test_queue_and_meter_may_have_their_own(environment: pytest.MonkeyPatch) -> None:
    for name, value in OWN.items():
        environment.setenv(name, value)
    settings = load_settings()
    assert (settings.queue_url, settings.meter_url) == ("redis://q/0", "redis://m/0")


@pytest.mark.parametrize("name", GIVEN)
def test_a_missing_variable_is_named(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv(name)
    with pytest.raises(SettingsError, match=name):
        load_settings()


@pytest.mark.parametrize("name", ["QUEUE_REDIS_URL", "METER_REDIS_URL"])
def test_one_of_two_redis_alone_is_not_enough(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv("REDIS_URL")
    environment.setenv(name, "redis://one/0")
    with pytest.raises(SettingsError, match="REDIS_URL"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "http"), ("PORT", "65536"), ("PORT", "-1"), ("DATABASE_CONNECTIONS_MAX", "0"), ("PDF_WAIT_S", "0"),
     ("CONNECTIONS_MAX", "0"),
     ("RESERVATION_KEPT_S", "0"), ("METER_DOWN", "open"),
     ("PDF_WAIT_S", "soon"), ("LOG_LEVEL", "LOUD")],
)  # fmt: skip
def test_a_malformed_variable_is_named(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        load_settings()
