"""The operator's command as its users meet it: arguments in, words and an exit code out."""

from collections.abc import Callable

import msgspec
import pytest

from cli.main import main


class Outcome(msgspec.Struct, frozen=True):
    code: int
    out: str
    err: str

    def json(self) -> dict[str, object]:
        return msgspec.json.decode(self.out or self.err)


Invouno = Callable[..., Outcome]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("DATABASE_URL", "REDIS_URL", "METER_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture
def anywhere(capsys: pytest.CaptureFixture[str]) -> Invouno:
    """Runs the command on whatever the environment names."""

    def run(*arguments: str) -> Outcome:
        try:
            code = main(arguments)
        except SystemExit as ended:  # argparse's own way out
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return run


@pytest.fixture
def invouno(environment: pytest.MonkeyPatch, anywhere: Invouno, database_url: str, redis_url: str) -> Invouno:
    """Runs the command on a migrated, empty database and an empty Redis."""
    environment.setenv("DATABASE_URL", database_url)
    environment.setenv("REDIS_URL", redis_url)
    return anywhere
