"""A user's numbers: the checks of whole and of finite numbers, and a count with its noun."""

from __future__ import annotations

import math

from agad.errors import ConfigError

MAX_COUNT = 1_000_000
"""The most of nearly everything that a user counts, such as epochs, trials or pixels."""

MAX_INT64 = 2**63 - 1
"""The largest whole number of a column, and the largest seed."""

_MAX_SHOWN_BITS = 256
"""A longer whole number is named by its length: Python refuses to print very long ones."""


def check_count(name: str, value: object, least: int, most: int = MAX_COUNT) -> None:
    """Refuse a value that is no whole number from ``least`` to ``most``.

    ``name`` is the dotted name that the error shows.
    """
    if not is_count(value, least, most):
        raise ConfigError(
            f"{name} is {shown_number(value)}, but must be {count_rule(least, most)}."
        )


def check_label_budget(stated: str, value: object, *, least: int) -> None:
    """Refuse a value that is no label budget: ``least``, or a whole number of at least 2.

    With ``least=0``, the budgets are 0, 2, 3, and so on; 1 is never a budget.

    ``stated`` is what the error says before the value, such as ``cells.labels holds``.
    """
    if value == 1 and is_count(value, 1, 1):
        raise ConfigError(
            f"{stated} 1, but must be at least 2: one anomaly to fit on, and another to validate."
        )
    if not is_count(value, least, MAX_COUNT):
        raise ConfigError(
            f"{stated} {shown_number(value)}, but must be {count_rule(least, MAX_COUNT)}."
        )


def is_count(value: object, least: int, most: int) -> bool:
    """Whether a value is a whole number from ``least`` to ``most``, and neither True nor False."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def count_rule(least: int, most: int) -> str:
    """Return the rule that ``is_count`` checks, as an error names it."""
    return f"a whole number, at least {least} and at most {most:,}"


def shown_number(value: object) -> str:
    """Return a value as an error shows it; a very long whole number is named by its length."""
    if isinstance(value, int) and value.bit_length() > _MAX_SHOWN_BITS:
        return f"a whole number of about {round(value.bit_length() * math.log10(2)):,} digits"
    return repr(value)


def is_finite_number(value: object) -> bool:
    """Whether a value is a number that a double can hold, and neither True nor False."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # A whole number above 1.8e308.
        return False


def count_text(count: int, singular: str, plural: str = "") -> str:
    """Return a count and its noun, such as ``1 trial``, ``1,200 trials`` or ``2 copies``."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
