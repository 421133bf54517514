"""Every figure of a study: that it renders, and that no name in it is read as anything else."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import pytest

from agad.config import Grid
from agad.errors import NotInstalledError
from agad.report import Figure, PlannedDetector, leaderboard, png, svg, themed
from agad.report import figures as study_figures
from agad.report.figures import FigureData
from tests.report.figures.conftest import RowBuilder, StudyBuilder

ALL = {
    *("auroc-by-ratio", "average-precision-by-ratio", "auroc-by-class", "cost"),
    *("learning-curves", "search-history", "slices", "importance", "roc", "scores"),
    *(f"reconstructions-{number}" for number in range(1, 5)),
}
HOSTILE = "<script>alert('x')</script> \"datum.y\" \\ {{}} & $_% ​‮ 中"


@pytest.mark.slow
def test_every_figure_of_a_study_renders_in_both_colours_and_says_what_it_shows(
    studies: StudyBuilder,
) -> None:
    figures = studies.build().figures
    assert set(figures) == ALL
    for one in figures.values():
        assert png(one).startswith(b"\x89PNG")
        assert png(one, is_dark=True) != png(one)
        assert svg(one).startswith("<svg")
        assert one.caption.endswith(".")
        assert one.alt.endswith(".")


@pytest.mark.slow
@pytest.mark.parametrize("dataset", [HOSTILE, "a.b[0]", "__proto__"])
def test_no_name_of_a_study_is_read_as_markup_or_as_an_expression(
    studies: StudyBuilder, dataset: str
) -> None:
    drawn = studies.build(classes=[0], ratios=[0.0], dataset="digits", detector=dataset)
    for one in drawn.figures.values():
        text = svg(one)
        assert "<script" not in text
        assert not re.search(r"(?:href|src)=.https?:", text)
    shown = drawn.values("auroc-by-ratio")[0]["method"]
    assert shown.isprintable()


def test_no_text_of_a_study_stands_in_an_expression_or_names_a_field(
    studies: StudyBuilder,
) -> None:
    def expressions(node: Any) -> list[str]:  # noqa: ANN401  Any JSON.
        if isinstance(node, list):
            return [one for part in node for one in expressions(part)]
        if not isinstance(node, dict):
            return []
        own = [
            value
            for key, value in node.items()
            if key in ("filter", "test", "calculate", "expr", "labelExpr", "field")
            and isinstance(value, str)
        ]
        parts = [value for key, value in node.items() if key != "values"]
        return own + [one for part in parts for one in expressions(part)]

    drawn = studies.build(detector="evil", classes=[0], ratios=[0.0])
    for one in drawn.figures.values():
        for text in expressions(one.spec):
            assert not re.search(r"evil|weight_con|lr\b|digits", text)


def test_a_chart_has_no_colour_of_text_or_background_before_it_is_themed(
    studies: StudyBuilder,
) -> None:
    for one in studies.build().figures.values():
        assert not {"config", "background"} & one.spec.keys()
        dark, light = themed(one, is_dark=True), themed(one)
        assert dark["config"]["background"] != light["config"]["background"]
        assert themed(one, is_in_page=True)["config"]["background"] == "transparent"


def test_every_chart_is_plain_json(studies: StudyBuilder) -> None:
    for one in studies.build().figures.values():
        assert json.dumps(one.spec, allow_nan=False).startswith("{")


def test_a_study_without_a_row_has_no_figure() -> None:
    cells = Grid(dataset="digits", normal_class=[0, 1]).all_cells
    assert (
        study_figures(
            leaderboard([], planned=[PlannedDetector(cells=cells)]), FigureData(trials=[])
        )
        == []
    )


def test_a_study_that_only_searched_yet_has_the_figures_of_its_search(
    studies: StudyBuilder,
) -> None:
    assert set(studies.build(seeds=()).figures) == {
        *("learning-curves", "search-history", "slices", "importance"),
    }


def test_a_leaderboard_alone_has_the_figures_of_its_numbers(make_row: RowBuilder) -> None:
    rows = [make_row(phase="confirm", seeds=(one,), test_auroc=0.9) for one in range(2)]
    names = [one.name for one in study_figures(leaderboard(rows), FigureData(trials=rows))]
    assert names == ["auroc-by-ratio", "auroc-by-class", "cost"]


def test_a_notebook_shows_the_chart_or_else_its_picture_or_its_text(
    studies: StudyBuilder,
) -> None:
    one = studies.build(classes=[0], ratios=[0.0]).figures["auroc-by-class"]
    shown = one._repr_mimebundle_(include=None, exclude=None)
    assert shown["application/vnd.vegalite.v5+json"] == themed(one)
    assert shown["image/png"].startswith("iVBOR")
    assert shown["text/plain"].startswith("Test AUROC of each class at each ratio.")


def test_a_missing_renderer_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    one = Figure(name="x", title="x", caption="x", alt="x", spec={})
    with pytest.raises(NotInstalledError, match="lacks its package vl_convert; install agad"):
        svg(one)
