from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from deploy.local.output import LogFiles


class Said(msgspec.Struct):
    """A message as honcho makes it."""

    name: str
    data: bytes | str


@pytest.fixture
def output(tmp_path: Path) -> Generator[LogFiles]:
    with closing(LogFiles(tmp_path)) as files:
        yield files


@pytest.fixture
def say(output: LogFiles) -> Callable[[str, str], None]:
    return lambda name, line: output.write(Said(name, f"{line}\n".encode()))


def test_the_guide_is_heard_and_a_service_goes_into_its_file(
    say: Callable[[str, str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    say("guide", "InvoUno is up.")
    say("api", '{"level": "info", "event": "served"}')
    assert capsys.readouterr() == ("InvoUno is up.\n", "")
    assert "served" in (tmp_path / "api.log").read_text()


def test_a_services_error_is_told_in_one_line(
    say: Callable[[str, str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    say("api", '{"level": "error", "event": "request_failed", "exception": "Traceback:\\n  x\\nKeyError: 1"}')
    assert capsys.readouterr().err == f"api: request_failed KeyError: 1 (see {tmp_path}/api.log)\n"


def test_what_ended_first_is_named_with_its_last_words(
    say: Callable[[str, str], None], output: LogFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(100):
        say("api", f"line {number}")
    say("system", "api stopped (rc=1)")
    say("system", "postgres stopped (rc=0)")
    output.explain_end()
    said = capsys.readouterr().err
    assert said.startswith("api has ended")
    assert "  line 99\n" in said
    assert "  line 9\n" not in said
