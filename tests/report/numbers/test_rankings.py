"""The ranks of two methods over classes and over data sets."""

from agad.report import PlannedDetector, leaderboard, markdown
from tests.report.numbers.method_rows import RowBuilder, grid, printed, rows_of, words


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
    board = leaderboard(rows, planned=[PlannedDetector(cells=cells.all_cells)])

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
        planned=[PlannedDetector(cells=cells.all_cells)],
    )

    ranking = board.rankings[-1]
    assert (ranking.num_blocks, ranking.has_verdict) == (0, False)
    assert ranking.left_out == tuple((dataset, 2) for dataset in datasets)
    text = words(printed(board, 80))
    assert "Too few data sets to rank: 2 methods over 0" in text
    assert "7 data sets left out, of which a method lacks cells: set-0 (2 missing)" in text
