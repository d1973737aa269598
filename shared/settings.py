"""Environment variables to one frozen struct per service; a bad variable is named in the error."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)


class SettingsError(Exception):
    """A variable is missing or malformed; the message names it."""


def read_settings(kind: type[S], environment: Mapping[str, str]) -> S:
    """The struct's fields from variables of the same name in capitals; an empty variable counts as absent.

    Raises SettingsError.
    """
    names = {field.name.upper(): field.name for field in msgspec.structs.fields(kind)}
    given = {name: environment[variable] for variable, name in names.items() if environment.get(variable)}
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(_in_words(str(error), names)) from error


def _in_words(message: str, names: dict[str, str]) -> str:
    for variable, name in names.items():
        if f"`{name}`" in message or f"`$.{name}`" in message:
            missing = "missing required" in message
            return (
                f"Set the environment variable {variable}"
                if missing
                else f"{variable} is malformed: {message}"
            )
    return message
