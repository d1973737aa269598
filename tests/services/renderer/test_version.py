"""The version of the page is the one that the catalogue names, and changes with what shapes the page."""

from pathlib import Path

import pytest

from services.renderer import version
from shared.templates import TEMPLATES_VERSION


def test_the_catalogue_names_it() -> None:
    """If not: put what `make template-version` prints into shared/templates.py."""
    assert version.templates_version() == TEMPLATES_VERSION


def test_all_code_that_a_page_passes_through_counts() -> None:
    other = {
        "__init__.py",
        "__main__.py",
        "archives.py",
        "deadline.py",
        "exports.py",
        "gallery.py",
        "health.py",
        "metrics.py",
        "presence.py",
        "processes.py",
        "queue.py",
        "render.py",
        "settings.py",
        "version.py",
        "wear.py",
        "worker.py",
    }
    assert {path.name for path in version.FOLDER.glob("*.py")} - other == set(version.CODE)


def test_it_changes_with_any_font_or_style(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in version.CODE:
        (tmp_path / name).write_text("")
    style = tmp_path / "templates" / "clean" / "style.css"
    style.parent.mkdir(parents=True)
    monkeypatch.setattr(version, "FOLDER", tmp_path)
    seen = {version.templates_version()}
    for content in ("a", "b"):
        style.write_text(content)
        seen.add(version.templates_version())
    assert len(seen) == 3
