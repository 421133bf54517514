"""Showing a study as one output of a notebook that changes in place, elsewhere as lines."""

from __future__ import annotations

import io
import sys
from typing import Any

from rich.console import Console, RenderableType

_PAGE = '<pre style="line-height: 1.2; white-space: pre">{code}</pre>'


def as_html(view: RenderableType, width: int) -> str:
    """Return a view as HTML with its text escaped.

    Args:
        view: The view as for a terminal.
        width: Characters in a line.
    """
    console = Console(file=io.StringIO(), record=True, width=width, force_jupyter=False)
    console.print(view, markup=False, highlight=False)
    return console.export_html(inline_styles=True, code_format=_PAGE)


class Shown:
    """An output of a notebook's cell that changes in place; elsewhere a line at each change."""

    def __init__(self) -> None:
        self._display = _notebook_display()
        self._output: Any = None
        self._last_line = ""

    def show(self, line: str, html: str) -> None:
        """Show the study as it is now.

        Args:
            line: The text outside a notebook.
            html: The view in a notebook.
        """
        if self._display is None:
            if line != self._last_line:
                print(line, flush=True)
            self._last_line = line
            return
        data = {"text/html": html, "text/plain": line}
        if self._output is None:
            self._output = self._display(data, raw=True, display_id=True)
        else:
            self._output.update(data, raw=True)


def _notebook_display() -> Any:  # noqa: ANN401  IPython is no dependency.
    """Return IPython's ``display`` in a notebook's kernel, None elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import display

    return display
