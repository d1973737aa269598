"""The requests of a Markdown page: each `curl` of its code blocks, read as a shell would."""

import re
import shlex
from collections.abc import Iterator

import msgspec

_BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)


class Request(msgspec.Struct, frozen=True):
    """``output`` is the file that -o names, ``upload`` the one that --data-binary sends."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    output: str | None
    upload: str | None


def documented_requests(page: str) -> list[Request]:
    """Raises ValueError for a curl that it cannot read whole, so that none is passed over."""
    commands = (command for block in _BLOCK.findall(page) for command in _commands(block))
    return [_request(words) for words in commands if words[0] == "curl"]


def _commands(block: str) -> Iterator[list[str]]:
    """A command ends where a line begins a new one; quoted and continued lines belong to the one before."""
    text = block.replace("\\\n", " ")
    for command in re.split(r"\n(?=curl )", text):
        words = shlex.split(command)
        if words:
            yield words


def _request(words: list[str]) -> Request:
    method, url, body, output, upload = None, "", None, None, None
    headers: list[tuple[str, str]] = []
    rest = iter(words[1:])
    for word in rest:
        match word:
            case "-X":
                method = next(rest)
            case "-H":
                name, _, value = next(rest).partition(":")
                headers.append((name, value.strip()))
            case "-d":
                body = next(rest).encode()
            case "--data-binary":
                upload = next(rest).removeprefix("@")
            case "-o":
                output = next(rest)
            case _ if word.startswith("http") and not url:
                url = word
            case _:
                raise ValueError(f"not read: {word}")
    return Request(method or ("GET" if body is None else "POST"), url, tuple(headers), body, output, upload)
