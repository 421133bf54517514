"""Parsed JSON as a dataclass: what fits is read, and all else is refused with its place."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import pytest

from agad.config import typed
from agad.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    count: int
    share: float | None
    kind: Literal["old", "new"] = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    name: str
    is_done: bool
    parts: tuple[_Part, ...]
    at: datetime
    further: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name == "refused":
            raise ConfigError("name is 'refused'.")


_TEXT = (
    '{"name": "a", "is_done": true, "at": "2026-01-02T03:04:05.000006+00:00",'
    ' "parts": [{"count": 1, "share": 2, "kind": "old"}, {"count": 0, "share": null}],'
    ' "further": {"any": [-1, NaN]}}'
)


def _changed(path: tuple[Any, ...], value: object) -> dict[str, Any]:
    values: Any = json.loads(_TEXT)
    inner = values
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return dict(values)


def test_parsed_json_becomes_the_dataclass_that_it_describes() -> None:
    whole = typed(_Whole, json.loads(_TEXT), only_known=True)
    assert whole == _Whole(
        name="a",
        is_done=True,
        parts=(_Part(count=1, share=2.0, kind="old"), _Part(count=0, share=None)),
        at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        further=whole.further,
    )
    assert isinstance(whole.parts[0].share, float)
    assert whole.further["any"][0] == -1


def test_a_part_that_is_built_already_stays() -> None:
    part = _Part(count=1, share=None)
    assert typed(_Whole, _changed(("parts",), [part])).parts[0] is part


def test_a_name_that_is_no_field_is_ignored_unless_it_is_refused() -> None:
    values = _changed(("parts", 0, "more"), 1)
    assert typed(_Whole, values).name == "a"
    with pytest.raises(ValueError, match=r"^it holds 'more'$"):
        typed(_Whole, values, only_known=True)


def test_a_field_that_is_missing_is_named() -> None:
    values = json.loads(_TEXT)
    del values["parts"][1]["share"]
    with pytest.raises(KeyError, match=r"^'share'$"):
        typed(_Whole, values)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("name",), 3, "name is 3, but must be: str"),
        (("name",), None, "name is None, but must be: str"),
        (("is_done",), 1, "is_done is 1, but must be: bool"),
        (("at",), "yesterday", "at is 'yesterday', but must be valid (Invalid RFC3339"),
        (("parts",), {}, "parts is {}, but must be: array"),
        (("parts", 1), "x", "parts[1] is 'x', but must be: object"),
        (("parts", 1, "count"), True, "parts[1].count is True, but must be: int"),
        (("parts", 1, "count"), 1.0, "parts[1].count is 1.0, but must be: int"),
        (("parts", 1, "share"), "1", "parts[1].share is '1', but must be: float | None"),
        (("parts", 1, "share"), 10**400, "parts[1].share is 10000"),
        (("parts", 0, "kind"), "x", "parts[0].kind is 'x', but must be valid"),
        (("parts", 0, "kind"), "` - at `$.no[9]`", "parts[0].kind is '` - at `$.no[9]`', but"),
        (("further",), [], "further is [], but must be: object"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_place(
    path: tuple[Any, ...], value: object, message: str
) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(message)}") as raised:
        typed(_Whole, _changed(path, value))
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("parts", 1, "count"), -1, r"^parts\[1\].count is -1, but must be at least 0$"),
        (("parts", 1, "count"), -(10**400), r"^parts\[1\].count is -10+, but must be"),
        (("parts", 1, "share"), float("nan"), r"^parts\[1\].share is nan, but must be finite$"),
        (("parts", 1, "share"), float("-inf"), r"^parts\[1\].share is -inf, but must be finite$"),
        (("\ud800",), 1, "."),
    ],
    ids=["negative", "hugely-negative", "nan", "infinite", "half-a-character"],
)
def test_a_value_that_its_type_alone_allows_is_refused(
    path: tuple[Any, ...], value: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        typed(_Whole, _changed(path, value), only_known=True)


def test_the_error_of_the_dataclass_itself_comes_as_it_is() -> None:
    with pytest.raises(ConfigError, match=r"^name is 'refused'\.$"):
        typed(_Whole, _changed(("name",), "refused"))


@pytest.mark.parametrize("values", [None, 3, "text", []])
def test_what_is_no_object_is_refused(values: object) -> None:
    with pytest.raises(TypeError, match=r"^all is .*, but must be: object$"):
        typed(_Whole, values)
