"""Parsed JSON as a frozen dataclass, or the first place where the two do not fit."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, TypeVar

_T = TypeVar("_T")


def typed(kind: type[_T], values: object, *, only_known: bool = False) -> _T:
    """Return parsed JSON as a value of a dataclass, each field of its type.

    A field that the JSON lacks has its default. Every count is at least 0, every real number
    finite.

    Args:
        kind: The dataclass. Its fields can be dataclasses again.
        values: What ``json.loads`` returned; a part of it can be a built value already.
        only_known: Whether a name that is no field is an error. Otherwise it is ignored.

    Raises:
        KeyError: A field without a default is missing: its name.
        TypeError: A value has another type, such as ``cells[0].epochs is '3', but must be: int``.
        ValueError: A number or a name is not allowed, or the dataclass refuses the value.
    """
    # ``import agad`` reads no JSON, and need not wait 20 ms for the library.
    import msgspec

    try:
        value = msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        # The cause is what a ``__post_init__`` raised.
        raise error.__cause__ or _refusal(str(error), values) from None
    _check(value, values, "", only_known)
    return value


def _refusal(message: str, values: Any) -> Exception:  # noqa: ANN401  Not checked yet.
    """Return an error of msgspec, as ``Expected `int`, got `str` - at `$.seed```, in our words."""
    found = re.fullmatch(r"(.*?) - at `\$([^`]*)`", message, re.DOTALL)
    reason, path = found.groups() if found else (message, "")
    if missing := re.match(r"Object missing required field `(.+)`", reason):
        return KeyError(missing[1])
    for name, place in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        values = values[name or int(place)]
    wanted = re.match(r"Expected `(.+)`, got", reason)
    kind = f": {wanted[1].replace('null', 'None')}" if wanted else f" valid ({reason:.80})"
    return TypeError(f"{path[1:] or 'all'} is {values!r:.40}, but must be{kind}")


def _check(value: object, given: Any, place: str, only_known: bool) -> None:  # noqa: ANN401
    """Refuse numbers and names that the types alone allow."""
    if is_dataclass(value) and isinstance(given, Mapping):
        names = value.__dataclass_fields__
        if only_known and (unknown := sorted(given.keys() - names.keys())):
            raise ValueError(f"it holds {unknown[0]!r:.40}")
        for name in names:
            _check(getattr(value, name), given.get(name), f"{place}.{name}", only_known)
    elif isinstance(value, tuple):
        for number, one in enumerate(value):
            _check(one, given[number], f"{place}[{number}]", only_known)
    elif type(value) is int and value < 0:
        raise ValueError(f"{place[1:]} is {value!r:.40}, but must be at least 0")
    elif type(value) is float and not math.isfinite(value):
        raise ValueError(f"{place[1:]} is {value}, but must be finite")
