"""The stored table of curves: what is drawn, kept and found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agad import Agad, Asha, Choice, Confirm, Grid, Labelled, LogUniform, Search, Study, Uniform
from agad.cli import load_study
from agad.errors import ConfigError
from benchmarks.curve_table import (
    STUDY_FILE,
    Curve,
    CurveTable,
    append_curve,
    at_point,
    draw_configurations,
    make_table,
    rank_correlations,
    read_curves,
    unit_point,
)

if TYPE_CHECKING:
    from agad.config import Distribution

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "benchmarks/curves/digits-class-8.csv"
SPACE: dict[str, Distribution] = {"lr": LogUniform(1e-4, 1e-2)}


def _curve(number: int, lr: float, *aurocs: float, diverged: str = "") -> Curve:
    return Curve(
        number=number, params={"lr": lr}, val_aurocs=aurocs, diverged=diverged, seconds=1.5
    )


def test_curve_table_finds_the_nearest_configuration_by_its_logarithm() -> None:
    table = CurveTable(SPACE, [_curve(0, 1e-4, 0.5), _curve(1, 1e-2, 0.7)])
    # Nearer to 1e-4 as a number, nearer to 1e-2 as a logarithm.
    assert table.nearest({"lr": 2e-3}).number == 1
    assert table.nearest({"lr": 2e-4}).number == 0


def test_unit_point_is_the_inverse_of_at_point() -> None:
    space: dict[str, Distribution] = {"b": Uniform(5, 7), "a": LogUniform(1e-4, 1e-2)}
    params = at_point(space, [0.5, 0.25])
    assert params == pytest.approx({"a": 1e-3, "b": 5.5})
    assert unit_point(space, params) == pytest.approx([0.5, 0.25])


def test_unit_point_refuses_what_has_no_distance() -> None:
    with pytest.raises(ConfigError, match=r"'lr'\] is Choice.*must be a Uniform or LogUniform"):
        unit_point({"lr": Choice([1e-3, 1e-2])}, {"lr": 1e-3})


def test_draw_configurations_begins_alike_however_many_are_drawn() -> None:
    assert draw_configurations(SPACE, 9)[:4] == draw_configurations(SPACE, 4)


def test_read_curves_returns_what_was_appended_in_order_of_the_number(tmp_path: Path) -> None:
    curves = [_curve(1, 1e-3, 0.5, 0.75), _curve(0, 2e-3, 0.5, diverged="loss_g is nan, twice")]
    for curve in curves:
        append_curve(tmp_path / "a.csv", curve, max_epochs=2, commit="abc")
    assert read_curves(tmp_path / "a.csv") == curves[::-1]


def test_rank_correlations_tell_whether_a_rung_has_the_order_of_the_end() -> None:
    curves = [_curve(number, 1e-3, number, 1 / (1 + number), number / 10) for number in range(4)]
    broken_off = _curve(4, 1e-3, 0.9, diverged="loss_g is nan")
    assert rank_correlations([*curves, broken_off], [1, 2]) == pytest.approx([1, -1])


@pytest.fixture
def tiny_study() -> Study:
    return Study(
        name="tiny",
        cells=Grid(dataset="digits", normal_class=8),
        detector=Agad(backbone="naive", base_width=4, discriminator_width=4, batch_size=64),
        search=Search(space=SPACE),
        scheduler=Asha(max_epochs=2, grace_period=1),
        confirm=Confirm(seeds=1),
        selection=Labelled(num_anomalies=30, val_share=0.25),
    )


@pytest.mark.slow
@pytest.mark.nightly
def test_make_table_trains_only_what_the_table_lacks(tmp_path: Path, tiny_study: Study) -> None:
    path = tmp_path / "a.csv"
    make_table(path, tiny_study, "digits class=8 ratio=0", num=1, processes=1)
    before = path.read_text()
    make_table(path, tiny_study, "digits class=8 ratio=0", num=2, processes=1)
    assert path.read_text().startswith(before)
    curves = read_curves(path)
    assert [curve.params for curve in curves] == draw_configurations(SPACE, 2)
    assert [len(curve.val_aurocs) for curve in curves] == [2, 2]


def test_make_table_refuses_a_cell_that_the_study_lacks(tmp_path: Path, tiny_study: Study) -> None:
    with pytest.raises(ConfigError, match=r"--cell is 'digits', but must be one of: digits class"):
        make_table(tmp_path / "a.csv", tiny_study, "digits", num=1, processes=1)


def test_the_stored_table_holds_200_full_curves_of_the_quickstart_space() -> None:
    study = load_study(ROOT / STUDY_FILE)
    curves = read_curves(TABLE)
    num = len(curves)
    assert num >= 200
    assert [curve.params for curve in curves] == draw_configurations(study.search.space, num)
    lengths = {len(curve.val_aurocs) for curve in curves if not curve.diverged}
    assert lengths == {study.scheduler.max_epochs}
