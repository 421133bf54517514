"""A figure as SVG and PNG, without a browser or a network, in light and dark colours."""

from __future__ import annotations

import base64
import importlib
from dataclasses import dataclass
from typing import Any

from agad.errors import naming_missing_package
from agad.report.pages.page import TextTable

Spec = dict[str, Any]
"""A Vega-Lite chart or a part of a chart."""

VEGA_LITE = "v5.21"
"""The version that figures are rendered with."""

_VEGA_LITE_OF_PAGES = "v6.4"
"""The version for Vega 6, which the bundle holds; a chart means the same in both versions."""

_PNG_SCALE = 2.0
"""Pixels of a PNG for each pixel of the chart, for dense screens."""

_LIGHT = ("#ffffff", "#1b1b1b", "#d9d9d9")
_DARK = ("#14171c", "#e6e6e6", "#3a3f47")
_PAGE = ("transparent", "currentColor", "#8888")
"""Background, text and grid. A figure in a page takes the page's colours, light or dark."""

_LIGHT_SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8a8a8a")
_DARK_SERIES = ("#56B4E9", "#E69F00", "#2fbf8f", "#CC79A7", "#D55E00", "#3a8fd0", "#a0a0a0")
_PAGE_SERIES = tuple(
    f"light-dark({light}, {dark})" for light, dark in zip(_LIGHT_SERIES, _DARK_SERIES, strict=True)
)
"""Colours that colour-blind readers can tell apart.

Source: Okabe and Ito 2008, Color universal design.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A Vega-Lite chart and its texts. ``themed`` adds the colours, light or dark."""

    name: str
    """A file's name without its ending: lower-case letters, digits and ``-``."""

    title: str
    """Plain text on one line, never read as markup."""

    caption: str
    """A few sentences: what the figure shows, of how many, and what it does not show."""

    alt: str
    """The text that stands for the picture, with its main numbers."""

    spec: Spec
    """Vega-Lite 5, its data inline; no text of a study stands in an expression."""

    table: TextTable | None = None
    """The same numbers as text; None if they are too many to read."""

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:  # noqa: ANN401  What a notebook asks.
        """Return the chart, its picture and its text: a notebook shows the first that it can."""
        return {
            "application/vnd.vegalite.v5+json": themed(self),
            "image/png": base64.b64encode(png(self)).decode(),
            "text/plain": f"{self.title}. {self.caption} {self.alt}",
        }


def themed(figure: Figure, *, is_dark: bool = False, is_in_page: bool = False) -> Spec:
    """Return a figure's chart with its colours and letters.

    Args:
        figure: Any figure.
        is_dark: Whether the figure stands on a dark page.
        is_in_page: Whether the figure takes its colours from the page around it, as SVG can.
    """
    background, text, grid = _PAGE if is_in_page else _DARK if is_dark else _LIGHT
    series = _PAGE_SERIES if is_in_page else _DARK_SERIES if is_dark else _LIGHT_SERIES
    config = {
        "background": background,
        "font": "DejaVu Sans, Verdana, sans-serif",
        "view": {"stroke": grid},
        "axis": {
            "labelColor": text,
            "titleColor": text,
            "gridColor": grid,
            "domainColor": grid,
            "tickColor": grid,
            "labelLimit": 220,
            "titleFontWeight": "normal",
        },
        "header": {"labelColor": text, "titleColor": text, "labelLimit": 300, "labelFontSize": 11},
        "legend": {"labelColor": text, "titleColor": text, "labelLimit": 320},
        "title": {"color": text, "subtitleColor": text, "anchor": "start"},
        "text": {"color": text},
        "rule": {"color": text},
        "tick": {"color": text},
        "mark": {"color": series[0]},
        "range": {"category": [*series], "heatmap": {"scheme": "viridis"}},
    }
    return {**figure.spec, "config": config}


def svg(figure: Figure, *, is_dark: bool = False) -> str:
    """Return a figure as an SVG file, which loads nothing.

    Raises:
        NotInstalledError: The package that renders is not installed.
    """
    text: str = _converter().vegalite_to_svg(**_file_options(figure, is_dark=is_dark))
    return text


def png(figure: Figure, *, is_dark: bool = False) -> bytes:
    """Return a figure as a PNG file.

    Raises:
        NotInstalledError: As in ``svg``.
    """
    options = _file_options(figure, is_dark=is_dark)
    data: bytes = _converter().vegalite_to_png(**options, scale=_PNG_SCALE)
    return data


def _file_options(figure: Figure, *, is_dark: bool) -> dict[str, Any]:
    """Return what draws a figure with its title: around a file there is no page that has it."""
    chart = {**themed(figure, is_dark=is_dark), "title": {"text": figure.title, "offset": 14}}
    return {"vl_spec": chart, "vl_version": VEGA_LITE, "allowed_base_urls": []}


def javascript() -> str:
    """Return the code that draws figures in a browser: Vega, Vega-Lite and Vega-Embed.

    Raises:
        NotInstalledError: As in ``svg``.
    """
    code: str = _converter().javascript_bundle(vl_version=_VEGA_LITE_OF_PAGES)
    return code


def check_renderer() -> None:
    """Refuse figures before there is anything to draw.

    Raises:
        NotInstalledError: As in ``svg``.
    """
    _converter()


def _converter() -> Any:  # noqa: ANN401  A module that may be missing.
    with naming_missing_package():
        return importlib.import_module("vl_convert")
