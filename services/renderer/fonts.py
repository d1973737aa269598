"""Which fonts the browser sees: those that are shipped here and no other."""

from pathlib import Path

FOLDER = Path(__file__).parent / "fonts"


def fontconfig_environment() -> dict[str, str]:
    """The variables under which fontconfig knows the shipped fonts only."""
    return {"FONTCONFIG_FILE": str(FOLDER / "fonts.conf")}
