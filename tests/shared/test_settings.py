import msgspec
import pytest

from shared.settings import SettingsError, read_settings


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    database_url: str
    port: int = 8080


def test_variables_become_fields_of_their_types() -> None:
    assert read_settings(Settings, {"DATABASE_URL": "x", "PORT": "81"}) == Settings(database_url="x", port=81)


def test_an_empty_variable_counts_as_absent() -> None:
    assert read_settings(Settings, {"DATABASE_URL": "x", "PORT": ""}).port == 8080


@pytest.mark.parametrize(
    ("environment", "named"), [({}, "DATABASE_URL"), ({"DATABASE_URL": "x", "PORT": "eighty"}, "PORT")]
)
def test_a_bad_variable_is_named(environment: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        read_settings(Settings, environment)
