"""Two studies side by side: what pairs, what falls, what cannot tell."""

import csv as csv_format
import io
from collections.abc import Callable, Sequence
from typing import TypeAlias

import pytest
from rich.cells import cell_len
from rich.console import Console

from agad.records import TrialRow
from agad.report import (
    Comparison,
    Leaderboard,
    compare,
    comparison_csv,
    comparison_page,
    leaderboard,
    markdown,
    terminal,
)

RowBuilder: TypeAlias = Callable[..., TrialRow]
OLD = (0.80, 0.82, 0.81)


def compared(new: Leaderboard, old: Leaderboard) -> Comparison:
    return compare((new.study, new.cells), (old.study, old.cells))


def lines(comparison: Comparison) -> list[dict[str, str]]:
    return list(csv_format.DictReader(io.StringIO(comparison_csv(comparison))))


@pytest.mark.parametrize(
    ("new", "outcome"),
    [
        (OLD, "not apart"),
        ((0.70, 0.72, 0.72), "lower"),
        ((0.90, 0.92, 0.92), "higher"),
        ((0.70, 0.72, 0.71), "all lower"),
        ((0.90, 0.92, 0.91), "all higher"),
        ((0.75, 0.86, 0.80), "not apart"),
        ((0.70,), "fewer seeds"),
        ((), "not confirmed"),
    ],
    ids=["same", "lower", "higher", "lower alike", "higher alike", "within", "one left", "none"],
)
def test_a_cell_is_called_by_its_interval(
    board: Callable[..., Leaderboard], new: Sequence[float], outcome: str
) -> None:
    comparison = compared(board(new), board(OLD, study="old"))

    assert [line["outcome"] for line in lines(comparison)] == [outcome]
    assert bool(comparison.fallen) == (
        outcome in ("lower", "all lower", "fewer seeds", "not confirmed")
    )


def test_a_cell_falls_when_fewer_of_its_seeds_are_confirmed(
    board: Callable[..., Leaderboard],
) -> None:
    comparison = compared(board(OLD[:2], OLD), board(OLD, OLD[:2], study="old"))

    text = " ".join(markdown(comparison_page(comparison, is_checked=True)).split())

    assert [line["outcome"] for line in lines(comparison)] == ["not apart", "not apart"]
    assert [one.either.cell for one in comparison.fallen] == ["digits class=0 ratio=0"]
    assert "Fewer seeds than the second side: digits class=0 ratio=0." in text


def test_one_swapped_pair_of_a_saturated_cell_is_no_fall(
    board: Callable[..., Leaderboard],
) -> None:
    new = board((0.999, 0.999), first_seed=10)
    comparison = compared(new, board((1.0, 1.0), study="old"))

    text = " ".join(markdown(comparison_page(comparison, is_checked=True)).split())

    assert [line["outcome"] for line in lines(comparison)] == ["no spread"]
    assert comparison.fallen == ()
    assert "1 cell of one seed or no spread could not be checked." in text


def test_a_cell_of_equal_seeds_that_collapsed_has_fallen(
    board: Callable[..., Leaderboard],
) -> None:
    comparison = compared(board((0.5, 0.5, 0.5)), board((1.0, 1.0, 1.0), study="old"))

    text = " ".join(markdown(comparison_page(comparison, is_checked=True)).split())

    assert [one.either.cell for one in comparison.fallen] == ["digits class=0 ratio=0"]
    assert "Check: 1 cell fell: digits class=0 ratio=0." in text
    assert "could not be checked" not in text


def test_a_chance_that_too_few_seeds_show_has_no_interval(
    board: Callable[..., Leaderboard],
) -> None:
    new, old = board((0.9, 0.92), (0.8, 0.83)), board((0.7, 0.71), (0.6, 0.62), study="old")

    page = markdown(comparison_page(compared(new, old)))

    (row,) = (line for line in page.splitlines() if line.startswith("| new | old |"))
    assert "| 1.000 | too few |" in row
    assert "a cell of fewer than 3 seeds" in " ".join(page.split())


def test_one_seed_on_both_sides_tells_nothing(board: Callable[..., Leaderboard]) -> None:
    comparison = compared(board((0.2,)), board((0.8,), study="old"))

    assert [line["outcome"] for line in lines(comparison)] == ["one seed"]
    assert comparison.fallen == ()


def test_a_comparison_carries_differences_at_full_precision(
    board: Callable[..., Leaderboard],
) -> None:
    comparison = compared(board((0.7, 0.8, 0.9)), board((0.6, 0.8, 0.8), study="old"))

    (line,) = lines(comparison)

    # Differences .1, 0, .1: mean .0667, error .0333, Student's 4.302653 at two degrees.
    assert float(line["difference"]) == pytest.approx(0.2 / 3, rel=1e-12)
    assert float(line["difference_low"]) == pytest.approx(0.2 / 3 - 4.302653 / 30, abs=1e-7)
    assert float(line["difference_high"]) == pytest.approx(0.2 / 3 + 4.302653 / 30, abs=1e-7)
    assert (line["interval_by"], line["n"]) == ("paired t", "3")


def test_seeds_that_are_not_shared_are_two_samples(board: Callable[..., Leaderboard]) -> None:
    comparison = compared(board(OLD, first_seed=10), board(OLD, study="old"))

    (line,) = lines(comparison)

    assert (line["interval_by"], line["difference"]) == ("Welch", "0.0")
    assert float(line["difference_low"]) < 0 < float(line["difference_high"])


def test_cells_of_one_side_are_named_and_in_no_mean(board: Callable[..., Leaderboard]) -> None:
    comparison = compared(board(OLD, OLD), board(OLD, study="old"))

    text = " ".join(markdown(comparison_page(comparison)).split())

    assert [line["outcome"] for line in lines(comparison)] == ["not apart", "first only"]
    assert (comparison.contrast.num_cells, comparison.contrast.num_missing) == (1, 1)
    assert "1 cell without a score on both sides: digits class=1 ratio=0." in text


def test_another_detector_is_paired_by_the_question(
    board: Callable[..., Leaderboard], make_confirm_row: RowBuilder
) -> None:
    rows = [
        make_confirm_row(seed, 0.9, study="old", cell="x", detector="cae", settings='{"width": 8}')
        for seed in (1, 2)
    ]

    comparison = compared(board(OLD), leaderboard(rows))

    assert [line["second_variant"] for line in lines(comparison)] == ["width=8"]
    assert comparison.contrast.num_cells == 1


def test_few_classes_give_no_verdict(board: Callable[..., Leaderboard]) -> None:
    comparison = compared(board(OLD), board((0.1, 0.12, 0.11), study="old"))

    assert not any(ranking.has_verdict for ranking in comparison.rankings)
    text = " ".join(markdown(comparison_page(comparison)).split())
    assert "Too few classes of digits to rank: 2 methods over 1" in text


def test_many_classes_are_ranked(board: Callable[..., Leaderboard]) -> None:
    high, low = [[0.9, 0.91, 0.92]] * 6, [[0.8, 0.83, 0.81]] * 6

    ranking = compared(board(*low), board(*high, study="old")).rankings[0]

    assert ranking.methods == ("old", "new")
    assert ranking.groups == ("a", "b")


@pytest.mark.parametrize("width", [80, 200])
def test_every_line_of_a_comparison_fits(board: Callable[..., Leaderboard], width: int) -> None:
    comparison = compared(board(OLD, OLD), board((0.7, 0.71, 0.72), OLD, study="old"))

    out = io.StringIO()
    Console(width=width, file=out, color_system=None).print(
        terminal(comparison_page(comparison, is_checked=True))
    )

    text = out.getvalue()
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    # Seeds differ by .10, .11 and .09: mean .1, error .00577, Student's 4.3027.
    assert "+0.100  +0.075 to +0.125" in " ".join(text.split(" "))
    assert "Check: 0 cells fell." in text


def test_a_name_in_a_comparison_is_never_read_as_markup_or_as_a_command(
    make_confirm_row: RowBuilder,
) -> None:
    hostile = "[bold]x[/]|<script>&*_@me\x1b[31m"
    boards = [
        leaderboard(
            [
                make_confirm_row(
                    seed,
                    score + seed / 100,
                    cell=f"{hostile} {label}",
                    dataset=hostile,
                    normal_class=label,
                    selection=f"{hostile} {score}",
                )
                for label in range(6)
                for seed in (1, 2)
            ]
        )
        for score in (0.7, 0.8)
    ]
    page = comparison_page(compare((hostile, boards[0].cells), (hostile + "2", boards[1].cells)))
    out = io.StringIO()
    Console(width=200, file=out, color_system=None).print(terminal(page))

    assert "Ranks over 6 classes of [bold]x[/]" in out.getvalue()
    assert "\x1b" not in out.getvalue() + markdown(page)
    assert "<script>" not in markdown(page)


def test_other_images_are_noted(
    board: Callable[..., Leaderboard], make_confirm_row: RowBuilder
) -> None:
    other = leaderboard(
        [make_confirm_row(seed, 0.8, study="old", data_fingerprint="ff" * 32) for seed in (1, 2)]
    )

    text = markdown(comparison_page(compared(board(OLD), other)))

    assert "Not the same images" in text
    assert "Not chosen alike" not in text


def test_another_label_cost_is_noted(
    board: Callable[..., Leaderboard], make_confirm_row: RowBuilder
) -> None:
    other = leaderboard(
        [make_confirm_row(seed, 0.8, study="old", selection="labelled(100)") for seed in (1, 2)]
    )

    text = markdown(comparison_page(compared(board(OLD), other)))

    assert "Not chosen alike: first by labelled(30), second by labelled(100)" in text
