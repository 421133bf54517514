"""Parsed JSON as a frozen dataclass, or the first place where the JSON does not fit."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from agad.errors import ConfigError

_T = TypeVar("_T")


def typed(kind: type[_T], values: object, *, only_known: bool = False) -> _T:
    """Return parsed JSON as a value of a dataclass, each field of its type.

    A field that the JSON lacks has its default. Every count must be at least 0, and every real
    number finite.

    Args:
        kind: The dataclass. The fields can be dataclasses again.
        values: The value that ``json.loads`` returned. Parts of it can be built values already.
        only_known: Whether a name that is no field is an error. If not, the name is ignored.

    Raises:
        KeyError: A field without a default is missing; the message is the field's name.
        TypeError: A value has another type, such as ``cells[0].epochs is '3', but must be: int``.
        ValueError: A number or a name is not allowed, or the dataclass refuses the value.
    """
    # ``import agad`` reads no JSON, and should not wait 20 ms for this library.
    import msgspec

    try:
        value = msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        # The cause is an error that a ``__post_init__`` raised.
        raise error.__cause__ or _refusal(str(error), values) from None
    _check(value, values, "", only_known)
    return value


def _refusal(message: str, values: Any) -> Exception:  # noqa: ANN401  Not checked yet.
    """Return a msgspec error, as ``Expected `int`, got `str` - at `$.seed```, in our words."""
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


def one_of_kinds(
    place: str,
    values: Mapping[str, Any],
    kinds: Mapping[str, type],
    tag: str,
    default: str | None = None,
) -> Any:  # noqa: ANN401  A value of one of the kinds.
    """Return a part of a ``study.json`` that is one of several dataclasses.

    Args:
        place: Where the part stands, such as ``scheduler``.
        values: The fields of the dataclass, and the name of the kind.
        kinds: The dataclasses by name.
        tag: The field that holds the name of the kind.
        default: The kind of a part that names none.

    Raises:
        ConfigError: This version does not know the kind or a field, or the dataclass refuses a
            value.
        KeyError: The part names no kind, and there is no default.
    """
    given = dict(values)
    name = given.pop(tag) if default is None else given.pop(tag, default)
    if name not in kinds:
        named = place if tag == "name" else f"{place}.{tag}"
        raise ConfigError(
            f"{named} is {name!r}, but must be one of: {', '.join(kinds)}; upgrade agad."
        )
    if unknown := sorted(given.keys() - {field.name for field in fields(kinds[name])}):
        raise ConfigError(
            f"{place} has {', '.join(unknown)}, which {name} does not know; upgrade agad."
        )
    return kinds[name](**given)
