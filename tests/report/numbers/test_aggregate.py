"""The leaderboard against values worked out by hand and by numpy."""

import json
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest

from agad.config import Cell, Grid
from agad.errors import ConfigError
from agad.records import TrialRow
from agad.report import PlannedDetector, leaderboard
from agad.report.html.facts import totals as totals_facts
from agad.report.pages.notes import notes

RowBuilder: TypeAlias = Callable[..., TrialRow]


def test_a_cell_has_the_mean_and_sample_sd_over_its_seeds(make_confirm_row: RowBuilder) -> None:
    values = [0.91, 0.95, 0.90]
    rows = [make_confirm_row(seed, value) for seed, value in enumerate(values, start=1)]

    (cell,) = leaderboard(rows).cells

    assert cell.test_auroc == pytest.approx(np.mean(values), abs=1e-12)
    assert cell.test_auroc_sd == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    assert cell.test_aurocs == tuple(values)
    assert cell.seeds == (1, 2, 3)
    assert cell.num_confirmed == 3


def test_a_cell_lists_its_values_in_order_of_seed(make_confirm_row: RowBuilder) -> None:
    rows = [make_confirm_row(3, 0.7), make_confirm_row(1, 0.9), make_confirm_row(2, 0.8)]

    (cell,) = leaderboard(rows).cells

    assert cell.seeds == (1, 2, 3)
    assert cell.test_aurocs == (0.9, 0.8, 0.7)


def test_one_seed_has_no_sd(make_confirm_row: RowBuilder) -> None:
    board = leaderboard([make_confirm_row(1, 0.9)])

    assert board.cells[0].test_auroc == 0.9
    assert board.cells[0].test_auroc_sd is None
    assert board.ratios[0].sd_over_classes is None
    assert board.ratios[0].sd_over_seeds is None


def test_a_ratio_keeps_the_sd_over_classes_apart_from_the_sd_over_seeds(
    make_confirm_row: RowBuilder,
) -> None:
    by_class = {0: [0.90, 0.92], 1: [0.60, 0.66, 0.63], 2: [0.40]}
    rows = [
        make_confirm_row(seed, value, cell=f"digits class={label} ratio=0", normal_class=label)
        for label, values in by_class.items()
        for seed, value in enumerate(values, start=1)
    ]

    (ratio,) = leaderboard(rows).ratios

    means = [np.mean(values) for values in by_class.values()]
    residuals = np.concatenate(
        [np.subtract(values, np.mean(values)) for values in by_class.values()]
    )
    degrees_of_freedom = sum(len(values) - 1 for values in by_class.values())
    assert ratio.test_auroc == pytest.approx(np.mean(means), abs=1e-12)
    assert ratio.sd_over_classes == pytest.approx(np.std(means, ddof=1), abs=1e-12)
    assert ratio.sd_over_seeds == pytest.approx(
        np.sqrt(np.sum(residuals**2) / degrees_of_freedom), abs=1e-12
    )
    assert (ratio.num_classes, ratio.num_missing, ratio.num_confirmed) == (3, 0, 6)


def test_every_way_a_search_trial_ends_is_counted(make_row: RowBuilder) -> None:
    states = ["finished", "pruned", "pruned", "diverged", "failed", "failed", "failed"]

    board = leaderboard([make_row(state=state) for state in states])

    (cell,) = board.cells
    counts = (cell.num_finished, cell.num_pruned, cell.num_diverged, cell.num_failed)
    assert counts == (1, 2, 1, 3)
    assert cell.num_trials == 7
    totals = board.totals
    assert (totals.num_trials, totals.num_pruned, totals.num_diverged) == (7, 2, 1)


@pytest.mark.parametrize(
    "ends",
    [
        pytest.param({"state": "failed", "test_auroc": None}, id="failed"),
        pytest.param({"state": "diverged", "test_auroc": None}, id="diverged"),
        pytest.param({"state": "failed", "test_auroc": 0.1}, id="failed after its test"),
        pytest.param({"state": "finished", "test_auroc": None}, id="without a test score"),
    ],
)
def test_only_a_finished_confirm_trial_with_a_test_score_counts(
    make_confirm_row: RowBuilder, ends: dict[str, Any]
) -> None:
    rows = [make_confirm_row(1, 0.8), make_confirm_row(2, 0.9), make_confirm_row(3, **ends)]

    (cell,) = leaderboard(rows, confirm_seeds=3).cells

    assert cell.test_auroc == pytest.approx(0.85)
    assert (cell.num_confirmed, cell.num_confirm_planned) == (2, 3)


def test_confirm_trials_that_broke_are_counted_where_none_succeeded(
    make_row: RowBuilder, make_confirm_row: RowBuilder
) -> None:
    rows = [
        make_row(),
        make_confirm_row(1, None, state="diverged"),
        make_confirm_row(2, None, state="failed"),
    ]

    (cell,) = leaderboard(rows).cells

    assert cell.test_auroc is None
    assert cell.best_params is None
    assert (cell.num_confirm_diverged, cell.num_confirm_failed) == (1, 1)
    assert (cell.num_confirmed, cell.num_confirm_planned) == (0, 2)


def test_search_rows_never_enter_the_mean(
    make_row: RowBuilder, make_confirm_row: RowBuilder
) -> None:
    rows = [make_row(test_auroc=0.1), make_confirm_row(1, 0.9)]

    assert leaderboard(rows).cells[0].test_auroc == 0.9


def test_a_planned_cell_without_rows_is_shown_and_counted_as_missing(
    make_confirm_row: RowBuilder,
) -> None:
    planned = [
        Cell(dataset="digits", normal_class=label, anomaly_ratio=ratio)
        for label, ratio in ((0, 0.0), (1, 0.0), (1, 1e-05))
    ]

    board = leaderboard(
        [make_confirm_row(1, 0.9)], planned=[PlannedDetector(cells=planned)], confirm_seeds=3
    )

    axes = [(cell.cell, cell.given_class, cell.anomaly_ratio) for cell in board.cells]
    assert axes == [(one.label, one.given_class, one.anomaly_ratio) for one in planned]
    assert [cell.num_confirm_planned for cell in board.cells] == [3, 3, 3]
    assert [(one.num_classes, one.num_missing) for one in board.ratios] == [(1, 1), (0, 1)]
    assert board.ratios[1].test_auroc is None


def test_a_missing_cell_joins_the_ratio_of_its_settings(make_confirm_row: RowBuilder) -> None:
    settings = json.dumps({"backbone": "naive", "lr": 0.001})
    grid = Grid(
        dataset="digits",
        normal_class=[0, 1],
        anomaly_ratio=1 / 3,
        settings={"backbone": ["naive"], "lr": [0.001]},
    )
    label = grid.all_cells[0].label
    row = make_confirm_row(1, 0.9, cell=label, settings=settings, anomaly_ratio=1 / 3)

    (ratio,) = leaderboard([row], planned=[PlannedDetector(cells=grid.all_cells)]).ratios

    assert (ratio.num_classes, ratio.num_missing) == (1, 1)
    assert ratio.variant == "backbone=naive lr=0.001"
    assert ratio.anomaly_ratio == 1 / 3


@pytest.mark.parametrize(
    ("changes", "variant"),
    [
        ({}, ""),
        (
            {"protocol": "leave-one-out", "normal_class": None, "anomalous_class": 0},
            "leave-one-out",
        ),
        ({"pollution_ratio": 0.1}, "pollution=0.1"),
        ({"labelled_classes": "1"}, "labelled=1"),
        ({"labelled_classes": "(3,5)"}, "labelled=(3,5)"),
        ({"settings": '{"lr": 0.001, "backbone": "naive"}'}, "backbone=naive lr=0.001"),
        (
            {"pollution_ratio": 0.05, "labelled_classes": "1", "settings": '{"lr": 1}'},
            "pollution=0.05 labelled=1 lr=1",
        ),
    ],
    ids=["plain", "leave-one-out", "pollution", "number", "which", "settings", "all"],
)
def test_a_cell_has_the_variant_that_its_rows_tell(
    make_row: RowBuilder, changes: dict[str, Any], variant: str
) -> None:
    board = leaderboard([make_row(**changes)])

    assert [cell.variant for cell in board.cells] == [variant]
    assert [ratio.variant for ratio in board.ratios] == [variant]


def test_a_planned_cell_has_the_same_variant_with_and_without_rows(make_row: RowBuilder) -> None:
    (cell,) = Grid(
        dataset="digits",
        anomalous_class=3,
        pollution_ratio=0.1,
        labelled_classes=(5, "cat"),
        settings={"lr": [1e-3]},
    ).all_cells
    row = make_row(
        cell=cell.label,
        protocol="leave-one-out",
        normal_class=None,
        anomalous_class=3,
        pollution_ratio=0.1,
        labelled_classes="(5,cat)",
        settings='{"lr": 0.001}',
    )

    with_row, without = (
        leaderboard(rows, study="a-study", planned=[PlannedDetector(cells=[cell])]).cells[0]
        for rows in ([row], [])
    )

    assert with_row.variant == without.variant == cell.variant
    assert with_row.given_class == without.given_class == 3


def test_variants_of_one_class_and_ratio_are_never_averaged(make_confirm_row: RowBuilder) -> None:
    clean, polluted = Grid(dataset="digits", normal_class=0, pollution_ratio=[0.0, 0.1]).all_cells
    rows = [
        make_confirm_row(1, 0.9, cell=clean.label),
        make_confirm_row(1, 0.7, cell=polluted.label, pollution_ratio=0.1),
    ]

    ratios = leaderboard(rows, planned=[PlannedDetector(cells=[clean, polluted])]).ratios

    assert [(one.variant, one.test_auroc) for one in ratios] == [("", 0.9), ("pollution=0.1", 0.7)]


def test_a_class_stands_as_the_study_gave_it(make_confirm_row: RowBuilder) -> None:
    cat, other = Grid(dataset="cifar10", normal_class=["cat", "dog"]).all_cells
    row = make_confirm_row(1, 0.9, cell=cat.label, dataset="cifar10", normal_class=3)

    board = leaderboard([row], planned=[PlannedDetector(cells=[other, cat])])

    assert [(one.given_class, one.test_auroc) for one in board.cells] == [
        ("cat", 0.9),
        ("dog", None),
    ]


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"normal_class": 3}, 3),
        ({"normal_class": None, "anomalous_class": 0, "protocol": "leave-one-out"}, 0),
    ],
    ids=["one-class", "leave-one-out"],
)
def test_a_class_that_was_not_planned_stands_by_its_label(
    make_row: RowBuilder, changes: dict[str, Any], label: int
) -> None:
    assert leaderboard([make_row(**changes)]).cells[0].given_class == label


def test_cells_are_in_order_of_data_set_variant_class_and_ratio() -> None:
    one_class = Grid(
        dataset=["mnist", "digits"],
        normal_class=[10, "cat", 9, "bird"],
        anomaly_ratio=[0.1, 0.05],
        pollution_ratio=[0.0, 0.1],
    )
    leave_one_out = Grid(dataset="digits", anomalous_class=0)
    planned = [*leave_one_out.all_cells, *one_class.all_cells]

    board = leaderboard([], study="a-study", planned=[PlannedDetector(cells=planned)])

    axes = [(one.dataset, one.variant, one.given_class, one.anomaly_ratio) for one in board.cells]
    classes: list[int | str] = [9, 10, "bird", "cat"]
    of_dataset = [(label, ratio) for label in classes for ratio in (0.05, 0.1)]
    assert axes[:9] == [
        *(("digits", "", *one) for one in of_dataset),
        ("digits", "leave-one-out", 0, 0.0),
    ]
    assert axes[9:17] == [("digits", "pollution=0.1", *one) for one in of_dataset]
    assert axes[17:25] == [("mnist", "", *one) for one in of_dataset]
    assert len(axes) == 33


def test_costs_add_up_over_both_phases(make_row: RowBuilder, make_confirm_row: RowBuilder) -> None:
    rows = [
        make_row(seconds=10.0, gpu_s=2.5, epochs=3, state="pruned"),
        make_row(seconds=20.0, gpu_s=5.0, epochs=27),
        make_confirm_row(1, 0.9, seconds=30.0, gpu_s=7.5, epochs=27, num_fit_anomalies=12),
    ]

    board = leaderboard(rows)

    (cell,), totals = board.cells, board.totals
    assert (cell.total_s, cell.gpu_s, cell.num_epochs) == (60.0, 15.0, 57)
    assert (totals.total_s, totals.gpu_s, totals.num_epochs) == (60.0, 15.0, 57)
    assert (totals.num_planned_search_epochs, totals.num_saved_epochs) == (54, 24)
    assert (cell.num_val_anomalies, cell.num_fit_anomalies) == (30, 12)


def test_only_trials_that_were_stopped_save_epochs(make_row: RowBuilder) -> None:
    rows = [
        make_row(state="pruned", epochs=3, seeds=(1, 2)),
        make_row(state="failed", epochs=0),
        make_row(state="diverged", epochs=5),
        make_row(state="finished", epochs=27),
    ]

    board = leaderboard(rows)

    assert board.totals.num_saved_epochs == 2 * 24
    assert ("Epochs saved by stopping", "48") in totals_facts(board)
    assert any(
        note.endswith("38 of 135 planned epochs trained, 48 saved by stopping.")
        for note in notes(board)
    )


def test_cells_in_which_nothing_was_stopped_are_named(make_row: RowBuilder) -> None:
    rows = [
        make_row(state="pruned"),
        make_row(cell="digits class=1 ratio=0", normal_class=1),
        make_row(cell="digits class=1 ratio=0", normal_class=1, state="diverged"),
    ]
    planned = Grid(dataset="digits", normal_class=2).all_cells

    board = leaderboard(rows, planned=[PlannedDetector(cells=planned)])

    assert board.totals.unstopped_cells == ("digits class=1 ratio=0",)


def test_no_rows_make_an_empty_leaderboard() -> None:
    board = leaderboard([], study="a-study")

    assert (board.study, board.cells, board.ratios) == ("a-study", (), ())
    assert not board.has_rows
    assert math.isclose(board.totals.total_s, 0.0)


def test_rows_of_two_studies_are_refused(make_row: RowBuilder) -> None:
    with pytest.raises(ConfigError, match="studies a, b, but must be of one"):
        leaderboard([make_row(study="b"), make_row(study="a")])


def test_a_trial_key_given_twice_is_refused(make_row: RowBuilder) -> None:
    with pytest.raises(ConfigError, match="trial key same 2 times, but must hold each once"):
        leaderboard([make_row(trial_key="same"), make_row(trial_key="same", attempt=1)])
