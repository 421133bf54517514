"""What the columns mean: the strings below the fields of the rows."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache

from agad.records import TrialRow


def descriptions(row_type: type) -> dict[str, str]:
    """Return the string below each field, by the field's name, each on one line.

    A field without one means what the trial's field of its name does; ``""`` where there is none.
    """
    trial = {} if row_type is TrialRow else descriptions(TrialRow)
    own = _parsed(inspect.getsource(row_type))
    return {name: text or trial.get(name, "") for name, text in own.items()}


@cache
def _parsed(source: str) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(source)).body[0]
    assert isinstance(tree, ast.ClassDef)
    return {
        node.target.id: " ".join(_string(following).replace("``", "`").split())
        for node, following in zip(tree.body, [*tree.body[1:], None], strict=True)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def _string(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return str(node.value.value)
    return ""
