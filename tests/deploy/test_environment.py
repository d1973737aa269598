import shutil
from pathlib import Path

import pytest

from deploy.local.environment import embedded_stores, kept_secret, read_dotenv, require_free, surroundings
from deploy.local.store import StoreError, free_port

OURS = {
    "DATABASE_URL": "postgresql://u:p@db/x",
    "REDIS_URL": "redis://cache/0",
    "OBJECT_STORE_URL": "s3://bucket",
}


@pytest.fixture
def given() -> dict[str, str]:
    """A shell's environment with a browser that starts and a port that is free."""
    return {"CHROMIUM_PATH": shutil.which("true") or "", "PORT": str(free_port())}


def test_configured_stores_win_over_the_embedded_ones(tmp_path: Path, given: dict[str, str]) -> None:
    around = surroundings(tmp_path, tmp_path, given | OURS)
    assert around.stores == ()
    assert {name: around.variables[name] for name in OURS} == OURS


def test_only_what_is_not_configured_is_embedded(tmp_path: Path) -> None:
    names = [store.name for store in embedded_stores(tmp_path, {"DATABASE_URL": "postgresql://db/x"})]
    assert names == ["valkey"]
    assert (
        embedded_stores(tmp_path, OURS | {"REDIS_URL": ""} | {"METER_REDIS_URL": "m", "QUEUE_REDIS_URL": "q"})
        == ()
    )


def test_the_environment_wins_over_the_file_and_what_is_empty_counts_as_absent(
    tmp_path: Path, given: dict[str, str]
) -> None:
    (tmp_path / ".env").write_text(
        "LOG_LEVEL=DEBUG\nREDIS_URL=redis://file/0\nOBJECT_STORE_URL=\nPDF_WAIT_S=7\n"
    )
    around = surroundings(
        tmp_path, tmp_path, given | {"DATABASE_URL": "postgresql://db/x", "LOG_LEVEL": "ERROR"}
    )
    assert around.variables["LOG_LEVEL"] == "ERROR"
    assert around.variables["PDF_WAIT_S"] == "7"
    assert around.variables["REDIS_URL"] == "redis://file/0"
    assert around.variables["OBJECT_STORE_URL"] == (tmp_path / "objects").as_uri()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("NAME='never closed\n")
    with pytest.raises(StoreError, match="needs quotes"):
        read_dotenv(tmp_path / ".env")


def test_metering_is_reached_on_the_port_that_was_chosen_for_it(
    tmp_path: Path, given: dict[str, str]
) -> None:
    variables = surroundings(tmp_path, tmp_path, given | OURS).variables
    assert variables["METERING_URL"] == f"http://127.0.0.1:{variables['METERING_PORT']}"


def test_the_service_token_is_kept_and_closed_to_others(tmp_path: Path) -> None:
    token = kept_secret(tmp_path / "token")
    assert kept_secret(tmp_path / "token") == token
    assert len(token) > 40
    assert (tmp_path / "token").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("port", ["x", "70000", "-1"])
def test_a_port_that_is_none_is_said_in_words(port: str) -> None:
    with pytest.raises(StoreError, match="Choose another port"):
        require_free("127.0.0.1", port)
