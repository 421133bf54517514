"""Hides private parts of Ray from agad alone; Ray itself goes on using them.

A process that has this file as its ``sitecustomize`` hides them from its start.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from typing import Any

MODULES = (
    "ray._private",
    "ray._raylet",
    "ray.air.integrations.wandb",
    "ray.autoscaler._private",
    "ray.core.generated",
    "ray.tune.progress_reporter",
)
"""The modules of Ray that hold the parts."""


def hiding(real: Callable[..., Any]) -> Callable[..., Any]:
    """Return Python's import function, except that modules of agad find none of ``MODULES``."""

    def look(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:  # noqa: ANN401
        importer = (globals or {}).get("__name__") or ""
        if importer.startswith("agad.") and name.startswith(MODULES):
            raise ImportError(f"{name} is hidden")
        return real(name, globals, locals, fromlist, level)

    return look


if __name__ == "sitecustomize":
    builtins.__import__ = hiding(builtins.__import__)
