"""Counts: the check of a user's count, and a count with its noun."""

from __future__ import annotations

from agad.errors import ConfigError


def check_count(name: str, value: object, least: int) -> None:
    """Refuse a value that is no whole number of at least ``least``.

    ``name`` is the dotted name that the error shows.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{name} is {value!r}, but must be a whole number, at least {least}.")


def count_text(count: int, singular: str, plural: str = "") -> str:
    """Return a count and its noun, such as ``1 trial``, ``1,200 trials`` or ``2 copies``."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
