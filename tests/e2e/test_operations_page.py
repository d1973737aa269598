"""The settings on the operations page are those of the code, no more, no fewer, with their defaults."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli.stores import Settings as Command
from services.api.settings import Settings as Gateway
from services.metering.settings import Settings as Metering
from services.renderer.settings import Settings as Renderer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
SECTIONS: dict[str, type[msgspec.Struct]] = {
    "Gateway (`services/api`)": Gateway,
    "Metering (`services/metering`)": Metering,
    "Renderer (`services/renderer`)": Renderer,
    "The operator's command (`invouno`)": Command,
}


@pytest.mark.parametrize("title", SECTIONS)
def test_every_setting_stands_with_its_default(title: str) -> None:
    section = PAGE.split(f"### {title}\n")[1].split("\n#")[0]
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| ", section, re.MULTILINE))
    fields = msgspec.structs.fields(SECTIONS[title])
    assert rows == {field.name.upper(): _shown(field) for field in fields}


@pytest.mark.parametrize("kind", SECTIONS.values(), ids=SECTIONS)
def test_every_setting_stands_in_the_example(kind: type[msgspec.Struct]) -> None:
    example = (ROOT / ".env.example").read_text()
    missing = [
        name for field in msgspec.structs.fields(kind) if f"{(name := field.name.upper())}=" not in example
    ]
    assert not missing


def _shown(field: Any) -> str:
    if field.required:
        return "required"
    return "empty" if field.default in {"", None} else f"`{field.default}`"
