"""The check of a user's count."""

from __future__ import annotations

from agad.errors import ConfigError


def check_count(name: str, value: object, least: int) -> None:
    """Refuse a value that is no whole number of at least ``least``.

    ``name`` is the dotted name that the error shows.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{name} is {value!r}, but must be a whole number, at least {least}.")
