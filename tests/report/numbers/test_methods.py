"""Methods of one study side by side: what is paired, what is ranked, and what is left open."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy import stats

from agad.config import Grid
from agad.records import TrialRow
from agad.report import PlannedDetector, leaderboard, markdown
from tests.report.numbers.method_rows import BACKBONES, RowBuilder, grid, printed, rows_of, words


def test_a_study_of_one_method_has_nothing_to_rank(make_confirm_row: RowBuilder) -> None:
    board = leaderboard([make_confirm_row(1, 0.9), make_confirm_row(2, 0.8)])

    assert (board.contrasts, board.rankings) == ((), ())


def test_methods_are_compared_over_the_cells_they_share(make_confirm_row: RowBuilder) -> None:
    rows = rows_of(make_confirm_row, grid(range(4)), {"naive": 0.0, "unet": 0.05})

    (contrast,) = leaderboard(rows).contrasts

    assert (contrast.first, contrast.second) == ("agad backbone=naive", "agad backbone=unet")
    assert contrast.difference == pytest.approx(-0.05)
    assert (contrast.num_cells, contrast.num_missing) == (4, 0)
    # Every pair of seeds differs by the same, from which no interval follows.
    assert contrast.interval is None
    assert contrast.probability == 0.0


def test_identical_methods_are_not_told_apart(make_confirm_row: RowBuilder) -> None:
    board = leaderboard(rows_of(make_confirm_row, grid(range(8)), {"naive": 0.0, "unet": 0.0}))

    (contrast,) = board.contrasts
    assert (contrast.difference, contrast.probability) == (0.0, 0.5)
    assert board.rankings[0].groups == ("a", "a")
    assert board.rankings[0].average_ranks == (1.5, 1.5)


def test_a_missing_cell_leaves_its_pair_out_and_is_counted(make_confirm_row: RowBuilder) -> None:
    cells = grid(range(8))
    gone = "digits class=3 ratio=0 backbone=naive"
    rows = rows_of(make_confirm_row, cells, {"naive": 0.0, "unet": 0.05}, missing=[gone])

    board = leaderboard(rows, planned=[PlannedDetector(cells=cells.all_cells)])

    (contrast,) = board.contrasts
    assert (contrast.num_cells, contrast.num_missing) == (7, 1)
    assert contrast.difference == pytest.approx(-0.05)
    assert (board.rankings[0].num_blocks, board.rankings[0].left_out) == (7, (("3", 1),))
    text = words(printed(board, 80))
    assert "7/8" in text
    assert "1 class left out, of which a method lacks cells: 3 (1 missing)." in text
    assert f"Not confirmed, and in no mean: 1 cell: {gone}." in text


def test_other_tasks_are_never_paired(make_confirm_row: RowBuilder) -> None:
    cells = Grid(
        dataset="digits",
        normal_class=0,
        pollution_ratio=[0, 0.1],
        settings={"backbone": list(BACKBONES)},
    )
    rows = rows_of(make_confirm_row, cells, {"naive": 0.0, "unet": 0.05})

    (contrast,) = leaderboard(rows).contrasts

    assert contrast.num_cells == 2


def test_a_polluted_cell_is_no_rival_of_a_clean_one(make_confirm_row: RowBuilder) -> None:
    rows = [
        make_confirm_row(1, 0.9),
        make_confirm_row(1, 0.5, cell="polluted", pollution_ratio=0.1),
    ]

    assert leaderboard(rows).contrasts == ()


VALUES = {
    ("a", 0, 0.0): [0.9, 0.8],
    ("a", 1, 0.0): [0.7, 0.6],
    ("a", 0, 0.1): [0.5, 0.4],
    ("b", 0, 0.0): [0.2, 0.3],
    ("b", 0, 0.1): [0.1, 0.2],
}
"""Scores by data set, class and ratio; one data set has more classes at one ratio."""


def rows_of_values(
    make_confirm_row: RowBuilder, values: Mapping[tuple[str, int, float], Sequence[float]]
) -> list[TrialRow]:
    return [
        make_confirm_row(
            seed,
            score,
            cell=f"{dataset} {label} {ratio}",
            dataset=dataset,
            normal_class=label,
            anomaly_ratio=ratio,
        )
        for (dataset, label, ratio), scores in values.items()
        for seed, score in enumerate(scores, start=1)
    ]


def test_ratios_and_data_sets_are_averaged_with_equal_weight(make_confirm_row: RowBuilder) -> None:
    board = leaderboard(rows_of_values(make_confirm_row, VALUES))

    summaries = {(one.dataset, one.anomaly_ratio): one.test_auroc for one in board.summaries}

    of_a, of_b = (0.75 + 0.45) / 2, (0.25 + 0.15) / 2
    assert summaries == {
        ("a", None): pytest.approx(of_a),
        ("b", None): pytest.approx(of_b),
        ("", 0.0): pytest.approx((0.75 + 0.25) / 2),
        ("", 0.1): pytest.approx((0.45 + 0.15) / 2),
        ("", None): pytest.approx((of_a + of_b) / 2),
    }


def test_the_interval_of_a_mean_weighs_the_cells_as_the_mean_does(
    make_confirm_row: RowBuilder,
) -> None:
    # Small spreads, so that no interval ends where an AUROC does.
    values = {
        place: [scores[0], scores[0] + (number + 1) / 1000, scores[0] - 0.001]
        for number, (place, scores) in enumerate(VALUES.items())
    }
    weights = {
        ("a", None): [1 / 4, 1 / 4, 1 / 2, 0, 0],
        ("b", None): [0, 0, 0, 1 / 2, 1 / 2],
        ("", 0.0): [1 / 4, 1 / 4, 0, 1 / 2, 0],
        ("", 0.1): [0, 0, 1 / 2, 0, 1 / 2],
        ("", None): [1 / 8, 1 / 8, 1 / 4, 1 / 4, 1 / 4],
    }

    board = leaderboard(rows_of_values(make_confirm_row, values))

    assert len(board.summaries) == len(weights)
    for one in board.summaries:
        shares = np.square(weights[one.dataset, one.anomaly_ratio]) * [
            np.var(scores, ddof=1) / 3 for scores in values.values()
        ]
        freedom = shares.sum() ** 2 / (shares**2 / 2).sum()
        half = stats.t.ppf(0.975, freedom) * np.sqrt(shares.sum())
        assert one.test_auroc is not None
        assert one.interval is not None
        assert (one.interval.low, one.interval.high) == pytest.approx(
            (one.test_auroc - half, one.test_auroc + half), abs=1e-12
        )


def test_the_interval_of_a_difference_is_of_pairs_where_seeds_are_shared(
    make_confirm_row: RowBuilder,
) -> None:
    rng = np.random.default_rng(2)
    cells = grid(range(2)).all_cells
    scores = {cell.label: 0.8 + rng.normal(0, 0.02, 3) for cell in cells}
    place = {
        cell.label: {
            "cell": cell.label,
            "normal_class": cell.normal_class,
            "settings": json.dumps(dict(cell.settings)),
        }
        for cell in cells
    }
    rows = [
        make_confirm_row(seed, float(score), **place[label])
        for label in scores
        for seed, score in enumerate(scores[label], start=1)
    ]
    naive, unet = ([scores[one] for one in scores if name in one] for name in BACKBONES)
    # Mean of two independent means: the difference of one and the other's opposite, halved.
    expected = stats.ttest_ind(
        naive[0] - unet[0], unet[1] - naive[1], equal_var=False
    ).confidence_interval()

    (contrast,) = leaderboard(rows).contrasts

    assert contrast.interval is not None
    assert (contrast.interval.low, contrast.interval.high) == pytest.approx(
        (expected.low / 2, expected.high / 2), abs=1e-12
    )


def test_a_summary_counts_the_cells_that_it_lacks(make_confirm_row: RowBuilder) -> None:
    planned = Grid(dataset="digits", normal_class=[0, 1], anomaly_ratio=[0, 0.05]).all_cells
    rows = [
        make_confirm_row(seed, 0.8 + seed / 100, cell=cell.label, anomaly_ratio=cell.anomaly_ratio)
        for cell in planned[:2]
        for seed in (1, 2)
    ]

    board = leaderboard(rows, planned=[PlannedDetector(cells=planned)])

    (summary,) = board.summaries
    assert (summary.num_cells, summary.num_missing, summary.num_confirmed) == (2, 2, 4)
    assert "2/4" in printed(board, 80)


@pytest.mark.parametrize("width", [80, 200])
def test_every_interval_is_printed_whole(make_confirm_row: RowBuilder, width: int) -> None:
    board = leaderboard(rows_of(make_confirm_row, grid(range(6)), {"naive": 0.0, "unet": 0.05}))

    text = printed(board, width)

    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for interval in (
        *(cell.test_auroc_interval for cell in board.cells),
        *(ratio.interval for ratio in board.ratios),
        *(ratio.iqm_interval for ratio in board.ratios),
    ):
        assert interval is not None
        assert f"{interval.low:.3f}-{interval.high:.3f}" in text
        assert f"{interval.low:.3f}-{interval.high:.3f}" in markdown(board)


def test_a_long_method_is_folded_and_never_cut(make_confirm_row: RowBuilder) -> None:
    cells = Grid(
        dataset="digits",
        normal_class=list(range(6)),
        settings={
            "backbone": list(BACKBONES),
            "latent_channels": [128],
            "learning_rate_of_the_discriminator": [0.00012345],
            "width": [16],
        },
    )
    board = leaderboard(rows_of(make_confirm_row, cells, {"naive": 0.0, "unet": 0.05}))

    text = printed(board, 80)

    assert max(map(len, text.splitlines())) <= 80
    ranks = text[text.index("Ranks over") : text.index("Pairs over")]
    assert ranks.count("width=16") == 2
    assert "1.00" in ranks
    assert "2.00" in ranks


def test_the_same_rows_in_another_order_give_the_same_intervals(
    make_confirm_row: RowBuilder,
) -> None:
    rows = rows_of(make_confirm_row, grid(range(3)), {"naive": 0.0, "unet": 0.05})

    first, second = leaderboard(rows), leaderboard(rows[::-1])

    assert (first.ratios, first.contrasts) == (second.ratios, second.contrasts)
