"""The text that a detector's source has under the field of each parameter."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap

from agad.config.detector import DetectorConfig


def parameter_docs(detector: type[DetectorConfig]) -> dict[str, str]:
    """Return the text under each parameter of a class and of the classes that it inherits from.

    A parameter is left out if it has no text, or if the source of its class cannot be read.
    """
    found: dict[str, str] = {}
    for one in reversed(detector.__mro__):
        if dataclasses.is_dataclass(one):
            found |= _docs_in(one)
    names = [field.name for field in dataclasses.fields(detector)]
    return {name: found[name] for name in names if name in found}


def _docs_in(one: type) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(one))
    except (OSError, TypeError):
        return {}
    statement = ast.parse(source).body[0]
    if not isinstance(statement, ast.ClassDef):
        return {}
    docs = {}
    for field, text in zip(statement.body, statement.body[1:], strict=False):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(said))),
            ):
                docs[name] = " ".join(said.split())
    return docs
