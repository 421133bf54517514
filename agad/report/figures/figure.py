"""What one figure is, before anything draws it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from agad.report.pages.page import TextTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A Vega-Lite chart and what is said of it. It has no colours of light or dark."""

    name: str
    """Of lower-case letters, digits and ``-``: a file's name without its ending."""

    title: str
    """Plain text on one line, never read as markup."""

    caption: str
    """A few sentences: what is shown, of how many, and what it does not show."""

    alt: str
    """The text that stands for the picture, with its main numbers."""

    spec: dict[str, Any]
    """Vega-Lite 5, its data inline; no text of a study stands in an expression."""

    table: TextTable | None = None
    """The same numbers as text; None where they are too many to read."""

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:  # noqa: ANN401  What a notebook asks.
        """Return what a notebook shows: the chart itself, or else its picture, or its text."""
        from agad.report.figures.render import png, themed

        return {
            "application/vnd.vegalite.v5+json": themed(self),
            "image/png": base64.b64encode(png(self)).decode(),
            "text/plain": f"{self.title}. {self.caption} {self.alt}",
        }
