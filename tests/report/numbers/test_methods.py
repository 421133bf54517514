"""Methods of one study side by side: what is paired, what is ranked, and what is left open."""

import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from agad.config import Grid
from agad.records import TrialRow
from agad.report import Leaderboard, leaderboard, markdown, terminal

RowBuilder: TypeAlias = Callable[..., TrialRow]
BACKBONES = ("naive", "unet")


def printed(board: Leaderboard, width: int) -> str:
    out = io.StringIO()
    Console(width=width, file=out, color_system=None).print(terminal(board))
    return out.getvalue()


def words(text: str) -> str:
    return " ".join(text.replace("•", " ").split())


def rows_of(
    make_confirm_row: RowBuilder,
    grid: Grid,
    shifts: Mapping[str, float],
    missing: Iterable[str] = (),
) -> list[TrialRow]:
    """Return three seeds a cell: a level of the class, and a shift of the backbone."""
    rng = np.random.default_rng(0)
    levels: dict[object, float] = {}
    rows = []
    for cell in grid.all_cells:
        level = levels.setdefault((cell.dataset, cell.given_class), float(rng.uniform(0.6, 0.9)))
        shift = shifts[str(dict(cell.settings)["backbone"])]
        place = {
            "cell": cell.label,
            "dataset": cell.dataset,
            "normal_class": cell.normal_class,
            "anomaly_ratio": cell.anomaly_ratio,
            "pollution_ratio": cell.pollution_ratio,
            "settings": json.dumps(dict(cell.settings)),
        }
        rows += [
            make_confirm_row(seed, level + shift + seed / 100, **place)
            for seed in (1, 2, 3)
            if cell.label not in missing
        ]
    return rows


def grid(classes: Iterable[int], datasets: Iterable[str] = ("digits",)) -> Grid:
    return Grid(
        dataset=list(datasets), normal_class=list(classes), settings={"backbone": list(BACKBONES)}
    )


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

    board = leaderboard(rows, planned_cells=cells.all_cells)

    (contrast,) = board.contrasts
    assert (contrast.num_cells, contrast.num_missing) == (7, 1)
    assert contrast.difference == pytest.approx(-0.05)
    assert (board.rankings[0].num_blocks, board.rankings[0].left_out) == (7, (("3", 1),))
    text = words(printed(board, 80))
    assert "7/8" in text
    assert "1 class left out, of which a method lacks cells: 3 (1 missing)." in text
    assert f"Not confirmed, and in no mean: 1 cell: {gone}." in text


def test_one_class_of_one_data_set_gives_no_verdict(make_confirm_row: RowBuilder) -> None:
    board = leaderboard(rows_of(make_confirm_row, grid([0]), {"naive": 0.0, "unet": 0.2}))

    assert not any(ranking.has_verdict for ranking in board.rankings)
    for text in (words(printed(board, 80)), words(printed(board, 200)), words(markdown(board))):
        assert "Too few classes of digits to rank: 2 methods over 1" in text
        assert "Too few data sets to rank: 2 methods over 1" in text
        assert "average rank" not in text


def test_classes_of_one_data_set_are_not_data_sets(make_confirm_row: RowBuilder) -> None:
    board = leaderboard(rows_of(make_confirm_row, grid(range(10)), {"naive": 0.0, "unet": 0.2}))

    of_digits, over_datasets = board.rankings

    assert of_digits.methods == ("agad backbone=unet", "agad backbone=naive")
    assert of_digits.average_ranks == (1.0, 2.0)
    assert of_digits.groups == ("a", "b")
    assert (over_datasets.num_blocks, over_datasets.has_verdict) == (1, False)
    text = words(printed(board, 80))
    assert "this holds for this data set alone" in text
    assert "Too few data sets to rank" in text


def test_each_data_set_is_one_block_over_data_sets(make_confirm_row: RowBuilder) -> None:
    datasets = [f"set-{number}" for number in range(6)]
    rows = rows_of(make_confirm_row, grid([0, 1], datasets), {"naive": 0.0, "unet": 0.2})

    ranking = leaderboard(rows).rankings[-1]

    assert (ranking.dataset, ranking.num_blocks) == ("", 6)
    assert ranking.groups == ("a", "b")


def test_a_data_set_of_which_a_method_lacks_a_class_is_not_ranked(
    make_confirm_row: RowBuilder,
) -> None:
    datasets = [f"set-{number}" for number in range(7)]
    cells = grid(range(3), datasets)
    gone = [f"set-4 class={label} ratio=0 backbone=unet" for label in (1, 2)]
    assert set(gone) <= {cell.label for cell in cells.all_cells}

    rows = rows_of(make_confirm_row, cells, {"naive": 0.0, "unet": 0.2}, missing=gone)
    board = leaderboard(rows, planned_cells=cells.all_cells)

    ranking = board.rankings[-1]
    assert (ranking.dataset, ranking.num_blocks) == ("", 6)
    assert ranking.left_out == (("set-4", 2),)
    assert ranking.groups == ("a", "b")
    text = words(printed(board, 80))
    assert "Ranked over 6 data sets, 2 methods" in text
    assert "1 data set left out, of which a method lacks cells: set-4 (2 missing)." in text


def test_data_sets_of_which_one_class_is_shared_are_too_few_to_rank(
    make_confirm_row: RowBuilder,
) -> None:
    datasets = [f"set-{number}" for number in range(7)]
    cells = grid(range(3), datasets)
    gone = [
        cell.label
        for cell in cells.all_cells
        if cell.normal_class != 0 and dict(cell.settings)["backbone"] == "unet"
    ]

    board = leaderboard(
        rows_of(make_confirm_row, cells, {"naive": 0.0, "unet": 0.2}, missing=gone),
        planned_cells=cells.all_cells,
    )

    ranking = board.rankings[-1]
    assert (ranking.num_blocks, ranking.has_verdict) == (0, False)
    assert ranking.left_out == tuple((dataset, 2) for dataset in datasets)
    text = words(printed(board, 80))
    assert "Too few data sets to rank: 2 methods over 0" in text
    assert "7 data sets left out, of which a method lacks cells: set-0 (2 missing)" in text


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

    board = leaderboard(rows, planned_cells=planned)

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
