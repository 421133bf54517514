"""The numbers in the figures are those of the board and of the rows."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from agad.config import Asha, Grid, LabelFree
from agad.errors import StoreError
from agad.report import Curves, Picture, Scores, leaderboard
from agad.report import figures as study_figures
from agad.report.figures import DetectorSearch, FigureData
from agad.report.figures.ranks import rank_figures
from agad.report.numbers.statistics import mean_interval
from tests.report.figures.conftest import SEARCH, RowBuilder, StudyBuilder

MAX_CHARACTERS = 200_000


def test_auroc_by_ratio_holds_the_means_and_intervals_of_the_board(studies: StudyBuilder) -> None:
    drawn = studies.build()
    means = [one for one in drawn.values("auroc-by-ratio") if "mean" in one]
    assert [(one["ratio"], one["mean"], one["low"], one["high"]) for one in means] == [
        (one.anomaly_ratio, one.test_auroc, one.interval.low, one.interval.high)
        for one in drawn.board.ratios
        if one.interval
    ]
    classes = [one for one in drawn.values("auroc-by-ratio") if "class" in one]
    assert sorted(one["score"] for one in classes) == sorted(
        cell.test_auroc for cell in drawn.board.cells if cell.test_auroc is not None
    )


def test_average_precision_has_the_interval_of_its_seeds(studies: StudyBuilder) -> None:
    drawn = studies.build(ratios=[0.0])
    (mean,) = [one for one in drawn.values("average-precision-by-ratio") if "mean" in one]
    expected = mean_interval([[0.52, 0.54, 0.56]] * 2)
    assert expected is not None
    assert (mean["low"], mean["high"]) == pytest.approx((expected.low, expected.high))
    assert mean["mean"] == pytest.approx(0.54)


def test_the_map_shows_a_score_below_one_half_as_it_is_and_a_missing_cell_as_a_dash(
    make_row: RowBuilder, studies: StudyBuilder
) -> None:
    row = make_row(phase="confirm", seeds=(1,), test_auroc=0.31)
    drawn = studies.drawn([row], Grid(dataset="digits", normal_class=[0, 3]))
    shown = {one["class"]: (one["score"], one["shown"]) for one in drawn.values("auroc-by-class")}
    assert shown == {"0": (0.31, "0.310"), "3": (None, "-")}
    assert "1 cell without a confirmed seed" in drawn.figures["auroc-by-class"].caption


def test_ranks_are_drawn_with_a_bar_over_just_the_methods_that_do_not_differ(
    make_row: RowBuilder,
) -> None:
    rows = [
        make_row(
            phase="confirm",
            detector=name,
            cell=f"{name} {number}",
            normal_class=number,
            seeds=(1,),
            test_auroc=score + number / 1000,
        )
        for number in range(10)
        for name, score in (
            ("best", 0.9 + (number % 2) / 100),
            ("tied", 0.905 + (number % 2 == 0) / 150),
            ("worst", 0.5),
        )
    ]
    board = leaderboard(rows)
    first, *_ = rank_figures(board)
    values = first.spec["data"]["values"]
    ranks = {one["method"]: one["rank"] for one in values if "method" in one}
    ranking = board.rankings[0]
    assert ranks == dict(zip(ranking.methods, ranking.average_ranks, strict=True))
    bars = [(one["from"], one["to"]) for one in values if "bar" in one]
    groups = dict(zip(ranking.methods, ranking.groups, strict=True))
    for one, other in combinations(ranks, 2):
        under_one_bar = any(low <= ranks[one] <= high >= ranks[other] >= low for low, high in bars)
        assert under_one_bar == bool(set(groups[one]) & set(groups[other]))
    assert len(bars) == 1


def test_a_ranking_without_a_verdict_has_no_diagram(make_row: RowBuilder) -> None:
    rows = [
        make_row(phase="confirm", detector=name, cell=name, seeds=(1,), test_auroc=0.9)
        for name in ("one", "two")
    ]
    board = leaderboard(rows)
    assert [ranking.has_verdict for ranking in board.rankings] == [False, False]
    assert rank_figures(board) == []


def test_the_front_holds_just_what_no_complete_ratio_beats_for_as_little(
    make_row: RowBuilder, studies: StudyBuilder
) -> None:
    rows = [
        make_row(
            phase="confirm",
            cell=f"digits class={number} ratio={ratio:g}",
            normal_class=number,
            anomaly_ratio=ratio,
            seeds=(1,),
            test_auroc=score,
            seconds=seconds,
        )
        for ratio, score, seconds, classes in (
            (0.0, 0.8, 5.0, (0, 1)),
            (0.05, 0.7, 6.0, (0, 1)),
            (0.1, 0.9, 7.0, (0, 1)),
            (0.2, 0.99, 1.0, (0,)),
        )
        for number in classes
    ]
    grid = Grid(dataset="digits", normal_class=[0, 1], anomaly_ratio=[0.0, 0.05, 0.1, 0.2])
    values = studies.drawn(rows, grid).values("cost")
    assert {one["ratio"] for one in values if one["is_best"]} == {"0", "0.1"}
    assert {one["ratio"] for one in values if not one["is_complete"]} == {"0.2"}
    assert [one["time"] for one in values] == [10.0, 12.0, 14.0, 1.0]


def test_curves_hold_every_epoch_of_a_small_study_and_mark_the_confirmed_configuration(
    studies: StudyBuilder,
) -> None:
    drawn = studies.build(classes=[0], ratios=[0.0])
    curves = drawn.figure_data.curves
    assert curves is not None
    points = [(one["t"], one["e"], one["v"]) for one in drawn.values("learning-curves")]
    stored = zip(curves.trial, curves.num_epochs, curves.objective.round(5), strict=True)
    assert points == [*stored]
    spec = drawn.figures["learning-curves"].spec
    trials = spec["transform"][0]["from"]["data"]["values"]
    assert [one["number"] for one in trials if one["is_confirmed"]] == [11]
    rungs = spec["spec"]["layer"][0]["data"]["values"]
    assert rungs == [{"rung": 1}, {"rung": 3}]


def test_history_knows_every_trial_and_the_best_of_those_that_finished(
    studies: StudyBuilder,
) -> None:
    drawn = studies.build(classes=[0], ratios=[0.0])
    values = drawn.values("search-history")
    rows = [row for row in drawn.figure_data.trials if row.phase == "search"]
    assert [one["number"] for one in values] == [row.number for row in rows]
    assert {one["objective"] for one in values if one["state"] == "diverged"} == {None}
    finished = [row.val_auroc for row in rows if row.state == "finished"]
    assert [one["best"] for one in values if one["best"] is not None] == finished
    assert [one["number"] for one in values if one["is_confirmed"]] == [11]


def test_a_study_without_labels_shows_what_it_maximised_under_its_name(
    make_row: RowBuilder,
) -> None:
    rows = [
        make_row(number=number, val_auroc=None, objective=-3.0 + number, selection="label_free")
        for number in range(3)
    ]
    figure_data = FigureData(
        trials=rows, searches=[DetectorSearch(search=SEARCH, objective=LabelFree.objective)]
    )
    figures = {one.name: one for one in study_figures(leaderboard(rows), figure_data)}
    history = figures["search-history"]
    assert [one["objective"] for one in history.spec["data"]["values"]] == [-3.0, -2.0, -1.0]
    title = history.spec["spec"]["layer"][1]["encoding"]["y"]["title"]
    assert title == "minus the mean validation score"
    assert history.caption.startswith("Minus the mean validation score of 3 search trials")
    assert "AUROC" not in figures["slices"].title


def test_figures_of_a_large_study_stay_small(studies: StudyBuilder) -> None:
    drawn = studies.build(classes=range(10), ratios=[0.0, 0.05], num_trials=500, seeds=(1,))
    sizes = {name: len(json.dumps(one.spec)) for name, one in drawn.figures.items()}
    assert max(sizes.values()) < MAX_CHARACTERS, sizes
    assert sum(sizes.values()) < 10 * MAX_CHARACTERS
    chosen = [
        one
        for number in (1, 2)
        for one in drawn.figures[f"learning-curves-{number}"].spec["transform"][0]["from"]["data"][
            "values"
        ]
        if one["is_confirmed"]
    ]
    assert {one["cell"] for one in chosen} == {cell.cell for cell in drawn.board.cells}
    assert drawn.figures["search-history-2"].title == "Search history, part 2 of 2"


def test_long_curves_keep_their_rungs_and_their_ends(make_row: RowBuilder) -> None:
    row = make_row(epochs=200, max_epochs=200)
    curves = Curves(
        trial=np.zeros(200, np.int64),
        num_epochs=np.arange(1, 201),
        objective=np.linspace(0.5, 0.9, 200),
    )
    scheduler = Asha(max_epochs=200, grace_period=7, reduction_factor=4)
    figure_data = FigureData(
        trials=[row], searches=[DetectorSearch(scheduler=scheduler)], curves=curves
    )
    (figure,) = [
        one
        for one in study_figures(leaderboard([row]), figure_data)
        if one.name == "learning-curves"
    ]
    epochs = {one["e"] for one in figure.spec["data"]["values"]}
    assert {1, 7, 28, 112, 200} <= epochs
    assert len(epochs) < 30


def test_importance_is_that_of_the_parameter_that_decides(studies: StudyBuilder) -> None:
    drawn = studies.build(num_trials=40)
    means = {one["parameter"]: one["mean"] for one in drawn.values("importance") if "mean" in one}
    assert means["lr"] > 0.8 > means["weight_con"]
    shares = [one["share"] for one in drawn.values("importance") if "share" in one]
    assert sum(shares) == pytest.approx(len(drawn.board.cells))


def test_too_few_trials_have_no_importance(studies: StudyBuilder) -> None:
    assert "importance" not in studies.build(num_trials=9).figures


def test_slices_hold_each_parameter_of_the_trials_that_have_an_objective(
    studies: StudyBuilder,
) -> None:
    drawn = studies.build(classes=[0], ratios=[0.0])
    rows = [
        row
        for row in drawn.figure_data.trials
        if row.phase == "search" and row.state in ("finished", "pruned")
    ]
    expected = [(*json.loads(row.params).values(), row.val_auroc) for row in rows]
    values = drawn.values("slices")
    assert [(one["p0"], one["p1"], one["objective"]) for one in values] == expected
    assert [*SEARCH.space] == ["lr", "weight_con"]


def test_a_roc_curve_has_the_area_of_the_scores(studies: StudyBuilder) -> None:
    drawn = studies.build(classes=[0], ratios=[0.0], seeds=(1,))
    scores = drawn.figure_data.scores
    assert scores is not None
    values = drawn.values("roc")
    rates, found = ([one[name] for one in values] for name in ("fpr", "mean"))
    area = float(np.trapezoid(found, rates))
    # 20 normals: a step at each 0.05, between which the curve has one rate of 0.025 more.
    assert area == pytest.approx(roc_auc_score(scores.is_anomaly, scores.score), abs=0.02)
    assert (rates[0], rates[-1], found[-1]) == (0, 1, 1)
    assert found == sorted(found)


def test_a_roc_curve_of_scores_that_are_all_alike_is_the_diagonal(
    make_row: RowBuilder,
) -> None:
    row = make_row(phase="confirm", seeds=(1,), test_auroc=0.5)
    scores = Scores(
        trial=np.zeros(4, np.int64),
        is_anomaly=np.array([True, False, True, False]),
        score=np.ones(4),
    )
    figures = study_figures(leaderboard([row]), FigureData(trials=[row], scores=scores))
    (roc,) = [one for one in figures if one.name == "roc"]
    assert all(one["fpr"] == one["mean"] for one in roc.spec["data"]["values"])


def test_histograms_hold_every_image_of_each_kind(studies: StudyBuilder) -> None:
    values = studies.build(classes=[0], ratios=[0.0]).values("scores")
    for kind, num in (("normal", 20), ("anomalous", 40)):
        of_kind = [one for one in values if one["kind"] == kind]
        assert sum(one["count"] for one in of_kind) == num
        assert sum(one["share"] for one in of_kind) == pytest.approx(1)


def test_a_damaged_picture_is_one_clear_error(make_row: RowBuilder) -> None:
    row = make_row(phase="confirm", seeds=(1,), test_auroc=0.5)
    damaged = Picture(
        trial_key=row.trial_key, image=7, is_anomaly=False, score=0.5, png=b"<svg onload=x>"
    )
    with pytest.raises(StoreError, match=r"image 7 of the trial .* is no PNG"):
        study_figures(leaderboard([row]), FigureData(trials=[row], pictures=[damaged]))
