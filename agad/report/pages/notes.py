"""The lines below the tables: what the numbers mean, what they cost and what is missing."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from agad.config import FixedEpoch, LabelFree, ranked_apart
from agad.report.numbers.chance import chance_verdict
from agad.report.numbers.leaderboard import Leaderboard, Totals
from agad.report.numbers.methods import answers_by_method
from agad.report.numbers.rankings import Ranking
from agad.report.numbers.results import CellResult
from agad.report.numbers.statistics import MIN_SEEDS_FOR_CHANCE, NUM_RESAMPLES
from agad.report.pages.rounding import (
    cost_text,
    count_text,
    names_text,
    p_text,
    plain,
    seconds_text,
)


def no_rows_line(board: Leaderboard) -> str:
    """Return the sentence that replaces a leaderboard without rows."""
    planned = f"; {count_text(len(board.cells), 'cell is', 'cells are')} planned"
    return f"No trial of this study has ended yet{planned if board.cells else ''}."


def notes(board: Leaderboard) -> list[str]:
    """Return the notes in the order in which they are printed, each a sentence or two."""
    return [*explanations(board), *_provenance(board)]


def explanations(board: Leaderboard) -> list[str]:
    """Return all notes but those about the code and machines that made the rows."""
    return [
        *_meaning(board),
        *_chance(board),
        *_detectors(board),
        *_external_data(board),
        *_instances(board),
        *_comparing(board),
        *_variants(board),
        *_cost(board),
        *_incomplete(cell for cell in board.cells if not cell.stands_for),
        *_unstopped(board),
    ]


INTERVALS_NOTE = (
    "Intervals over several cells, none where a cell has one seed or nothing varies: what other "
    "seeds would give on these classes and data sets, and nothing of others, nor of other test "
    "images. Of a mean or a difference: Student's, with Welch and Satterthwaite's degrees of "
    "freedom, cells taken as independent though they share seeds. Of normal scores that are, it "
    "holds the true mean in about 95 of 100 cases, and in 90 to 98 where cells have 2. Of "
    "an IQM or a chance: bootstrap of the seeds within each cell, "
    f"{NUM_RESAMPLES:,} resamples. The IQM's is too narrow: it holds the true "
    "IQM, with 2 seeds a cell, in 40 to 70 of 100 cases over 2 cells and 70 to 80 over 10; with 3 "
    "in 55 to 85 and about 85; with 5 in 70 to 90 and about 90. IQM: mean of the middle half of "
    "all seeds of all cells."
)
"""Explains an interval over several cells, on every page that shows such an interval."""


def _meaning(board: Leaderboard) -> list[str]:
    selections = sorted(
        {cell.selection for cell in board.cells if cell.selection}, key=_selection_order
    )
    most = max((cell.num_candidates for cell in board.cells), default=1)
    policies = {cell.policy for cell in board.cells} - {FixedEpoch.policy}
    chosen_by = "objective" if any(policies) else "validation AUROC"
    candidates = (
        f"Of the up to {most} best configurations of a cell's search, mean {chosen_by} over "
        "the confirm seeds chose one; it alone was tested. "
        if most > 1
        else ""
    )
    phase = "test" if most > 1 else "confirm"
    return [
        "Test AUROC by cell: mean ± sample SD over n confirm seeds, trained anew to the last "
        "epoch, and Student's 95 % interval of that mean, which needs two seeds that differ. "
        f"By {_axis(board)}: mean over the classes' means; its SD over classes and the pooled SD "
        "over seeds stand apart. No AUROC is flipped: one below 0.5 stands as it is.",
        INTERVALS_NOTE,
        f"{candidates}{_choice(selections)}; the test split was scored once a {phase} trial, at "
        "the last epoch, and chose nothing. Cells do not compare, so none is ranked against "
        "another.",
    ]


def _selection_order(selection: str) -> tuple[list[int], str]:
    """Return the place of a policy: ``labelled(2 of 5)`` is before ``labelled(10 of 10)``."""
    return [*map(int, re.findall(r"\d+", selection))][::-1], selection


def _chance(board: Leaderboard) -> list[str]:
    """Name the cells whose test AUROC is not better than chance."""
    found: dict[str, list[str]] = defaultdict(list)
    for cell in board.cells:
        if cell.test_auroc is not None:
            verdict = chance_verdict(cell.test_auroc, cell.test_auroc_interval)
            found[verdict].append(cell.cell)
    lines = []
    if found["worse"]:
        lines.append(
            f"Worse than chance, marked <0.5: {count_text(len(found['worse']), 'cell')}: "
            f"{names_text(found['worse'])}. The scores put normal images above anomalous ones."
        )
    if found["chance"]:
        lines.append(
            f"Not told apart from chance, marked ~0.5: {count_text(len(found['chance']), 'cell')}: "
            f"{names_text(found['chance'])}. More confirm seeds make an interval narrower."
        )
    return lines


def _detectors(board: Leaderboard) -> list[str]:
    """Explain the candidates of a study, and the cells that a detector answers without a run."""
    lines = []
    if board.detectors:
        lines.append(
            "Detectors: each has its own search space, epochs and number of trials, and all are in "
            "one ranking. Given: what a detector had beside normal images to train and to be "
            "selected. Highest: of the detectors that were given the same and asked the same, none "
            "has a higher mean; the differences say how sure that is. A cell whose name has no "
            f"detector is a cell of {plain(board.detectors[0])}."
        )
    lines += [
        f"Labels needed: {plain(name)} has no row in {count_text(num, 'cell')} at {_axis(board)} "
        "0, where no labelled anomaly can be fitted."
        for name, num in board.left_out
    ]
    standing = [cell for cell in board.cells if cell.stands_for]
    if standing:
        methods = sorted({plain(cell.method) for cell in standing})
        lines.append(
            f"No labels used: {names_text(methods)} ran once for each class. The results stand in "
            f"{count_text(len(standing), 'further cell')} too, whose trials and time are counted "
            f"once, and so are shown as -. Of each, the means by what was given show the first "
            f"{_axis(board)} alone."
        )
    if board.detectors and len({len(one) for one in answers_by_method(board.cells).values()}) > 1:
        lines.append(f"Ranks hold only the {_axis(board)}s that every method answers.")
    searched = sorted(
        {
            f"{plain(cell.method)} sets {name}"
            for cell in board.cells
            for name in dict(_settings(cell.variant))
            if name in (cell.best_params or {})
        }
    )
    if searched:
        lines.append(
            f"Searched although named: the search of {names_text(searched)}; the confirmed value "
            "stands with the configuration."
        )
    return lines


def _external_data(board: Leaderboard) -> list[str]:
    """Say which cells had data of others, and if these data hold the classes of the cells."""
    given = [cell for cell in board.cells if _IMAGENET in cell.given.split(", ")]
    cifar = sorted({plain(cell.dataset) for cell in given if cell.dataset.startswith("cifar")})
    lines = []
    if not board.detectors and any(cell.given for cell in board.cells):
        lines.append("Given: what the detector had beside normal images.")
    if cifar:
        lines.append(
            f"External data: the classes of {names_text(cifar)} are among those of {_IMAGENET}, on "
            "whose labels the encoder was trained, so objects of other kinds may be harder."
        )
    return lines


_IMAGENET = "ImageNet"


def _axis(board: Leaderboard) -> str:
    """Return the name of the axis that says how many anomalies are labelled."""
    return "label budget" if board.has_budgets else "ratio"


def _settings(variant: str) -> list[tuple[str, str]]:
    pairs = (word.partition("=") for word in variant.split())
    return [(name, value) for name, _, value in pairs]


def _instances(board: Leaderboard) -> list[str]:
    """Explain search trials of more than one class and seed, and development classes."""
    most = max((cell.num_instances for cell in (*board.cells, *board.searches)), default=1)
    mean = (
        f"A search trial trains up to {most} instances (class and seed) in lock-step; its "
        "objective is the mean over them, and its images are counted together."
    )
    lines = [mean] if most > 1 else []
    if board.searches:
        classes = names_text(list(dict.fromkeys(str(one.given_class) for one in board.searches)))
        compared = " Differences and ranks hold them." if board.contrasts else ""
        lines.append(
            f"Development classes: {classes}. Configurations were searched on these alone, and "
            "each was then confirmed on every class. Means stand with them and without: the other "
            f"classes chose nothing.{compared}"
        )
    return lines


def _choice(selections: Sequence[str]) -> str:
    """Return the rules that chose the configurations, by policy."""
    by_policy: dict[str, list[str]] = defaultdict(list)
    for selection in selections:
        by_policy[ranked_apart(selection)].append(selection)
    rules = [
        f"{_CHOSEN_BY[policy]}, {', '.join(named)}" for policy, named in sorted(by_policy.items())
    ]
    return "; ".join([*rules[:1], *(f"{rule[0].lower()}{rule[1:]}" for rule in rules[1:])])


_CHOSEN_BY = {
    "": "Chosen by validation AUROC",
    LabelFree.policy: "Chosen without labels, by the lowest mean score of held-out normal images "
    "(objective: minus that, no AUROC)",
    FixedEpoch.policy: "Chosen by nothing: one configuration, trained for epochs given in advance "
    "(objective: minus the mean score of held-out normal images, shown and not used)",
}


_VARIANTS = {
    "labels": "Label budget: labelled anomalies of one pool, drawn by the study's seed or named by "
    "the user, for all seeds, phases and detectors of a cell; a smaller pool lies inside a larger "
    "one. Half of it is fitted and half validates, drawn by the seed of the trial; all of it "
    "validates where the fit uses no labels, and all of it is fitted where they choose nothing. At "
    "0, nothing is searched by labels. labelled(2 of 5): 2 of a budget of 5 validate. Intervals "
    "are over seeds, which share the pool, and say nothing of other pools.",
    "selection": "Selection: cells of a policy without labelled validation anomalies are ranked "
    "apart; no mean, contrast or ranking holds them beside those that labels selected.",
    "leave-one-out": "Leave-one-out: the class named is the anomalous one, all others are normal.",
    "pollution": "Pollution: share of hidden anomalies among the unlabelled images; those of "
    "validation count as normal in the validation AUROC.",
    "labelled": "Labelled: anomalous classes of which images are labelled, how many or (which); "
    "anomalies of the others are first met in the test split.",
    "normals": "Normals: how many normal images were fitted, drawn by the seed of the trial. Fewer "
    "are always among more, and validation has the same images at every number.",
}


def _variants(board: Leaderboard) -> list[str]:
    words = {word.partition("=")[0] for cell in board.cells for word in cell.variant.split()}
    return [line for word, line in _VARIANTS.items() if word in words]


def _comparing(board: Leaderboard) -> list[str]:
    if not board.contrasts:
        return []
    return [CONTRAST_NOTE, *map(ranking_note, board.rankings)]


CONTRAST_NOTE = (
    "First - second: mean difference over the cells that both have confirmed, by seed where both "
    "have it; cells that one lacks are in no number. P: chance that a seed of the first beats one "
    "of the second in the same cell; too few for an interval: a single cell, a cell of fewer than "
    f"{MIN_SEEDS_FOR_CHANCE} seeds, or resamples that all agree."
)
"""Explains the comparison of two methods."""


def ranking_note(ranking: Ranking) -> str:
    """Return the result of a ranking, or the reason why there is none."""
    noun = ("class", "classes") if ranking.dataset else ("data set", "data sets")
    of = f" of {ranking.dataset}" if ranking.dataset else ""
    of += f", {ranking.policy} alone" if ranking.policy else ""
    gone = [f"{name} ({num_missing:,} missing)" for name, num_missing in ranking.left_out]
    left_out = (
        f" {count_text(len(gone), *noun)} left out, of which a method lacks cells: "
        f"{names_text(gone)}."
        if gone
        else ""
    )
    methods = count_text(len(ranking.methods), "method")
    if not ranking.has_verdict:
        return (
            f"Too few {noun[1]}{of} to rank: {methods} over {ranking.num_blocks}, but no test can "
            f"tell them apart below {ranking.num_needed}.{left_out}"
        )
    friedman = (
        f"Friedman p {p_text(ranking.friedman_p)}; " if ranking.friedman_p is not None else ""
    )
    scope = (
        "Classes of a data set share its images: this holds for this data set alone."
        if ranking.dataset
        else "Each data set counts once, as its mean over all its classes and ratios."
    )
    return (
        f"Ranked over {count_text(ranking.num_blocks, *noun)}{of}, {methods}: {friedman}those that "
        f"share a letter are not apart at 0.05 (Wilcoxon, Holm). {scope}{left_out}"
    )


def _cost(board: Leaderboard) -> list[str]:
    totals = board.totals
    lines = []
    labels = labels_span(board)
    if labels:
        is_one = all(cell.num_instances == 1 for cell in (*board.cells, *board.searches))
        unit = "a seed" if is_one else "a trial, all its instances together"
        lines.append(f"Labels: anomalies labelled to select + to train; {labels} {unit}.")
    if board.num_labelled is not None and board.num_test_anomalies is not None and labels:
        distinct = count_text(board.num_labelled, "distinct anomaly", "distinct anomalies")
        # Detectors that are chosen in other ways draw other labels from the same seed.
        least = "at least " if board.detectors and not board.has_budgets else ""
        lines.append(
            f"Labels in all: {least}{distinct} to build (to select and to train, in all seeds and "
            f"phases), {board.num_test_anomalies:,} more of the test split to judge; each counted "
            "once a class."
        )
    num_missing = totals.num_trials_planned - totals.num_trials
    missing = f", {num_missing:,} planned and missing" if num_missing else ""
    if totals.num_trials or totals.num_trials_planned:
        lines.append(
            f"Search: {count_text(totals.num_trials, 'trial')} run{missing}, "
            f"{totals.num_pruned:,} stopped early, {totals.num_diverged:,} diverged, "
            f"{totals.num_failed:,} failed; {totals.num_search_epochs:,} of "
            f"{count_text(totals.num_planned_search_epochs, 'planned epoch')} trained, "
            f"{totals.num_saved_epochs:,} saved by stopping."
        )
    lines += _ended_early(board.cells)
    lines.append(
        f"Confirm: {count_text(totals.num_confirm_trials, 'trial')}, "
        f"{totals.num_confirm_diverged:,} diverged, {totals.num_confirm_failed:,} failed."
    )
    gpu = f", {seconds_text(totals.gpu_s)} of GPU" if totals.gpu_s else ", no GPU"
    if totals.encode_s:
        gpu += (
            f", {seconds_text(totals.encode_s)} of it on features of an encoder, which the column "
            "of the time leaves out"
        )
    lines.append(
        f"Time: of the workers, from the data to the scores, search and confirm; in all "
        f"{seconds_text(totals.total_s)}{gpu}, {count_text(totals.num_epochs, 'epoch')}. Wall "
        f"time with a trial at work: {seconds_text(totals.wall_s)}. One "
        "attempt a trial counts: what a lost worker did after its last checkpoint, and an attempt "
        "that another replaced, is in no time and no cost."
    )
    return [*lines, *_price(totals)]


def _price(totals: Totals) -> list[str]:
    """Return what the study cost if a price was given."""
    if totals.cost is None:
        return []
    if totals.cost_of == "wall time":
        return [
            f"Cost: {cost_text(totals.cost)} for {seconds_text(totals.wall_s)} of wall time, at "
            "the price given; a cell costs its share of the workers' time."
        ]
    if not totals.gpu_s:
        return [
            "Cost: none by the GPU-hour, since no trial took a GPU; --price-per-hour prices the "
            "wall time."
        ]
    return [f"Cost: {cost_text(totals.cost)} for the GPU time, at the price given."]


def labels_span(board: Leaderboard) -> str:
    """Return the least and the most labels of a cell, to select + to train; empty if unknown."""
    labels = sorted(
        (cell.num_val_anomalies + cell.num_fit_anomalies, cell.num_val_anomalies)
        for cell in (*board.cells, *board.searches)
        if cell.num_val_anomalies is not None and cell.num_fit_anomalies is not None
    )
    if not labels:
        return ""
    (least, least_val), (most, most_val) = labels[0], labels[-1]
    fewest = f"{least_val}+{least - least_val}"
    return f"{fewest} to {most_val}+{most - most_val}" if most > least else fewest


def _ended_early(cells: Sequence[CellResult]) -> list[str]:
    lines = []
    for ended_by in sorted({cell.ended_by for cell in cells} - {""}):
        ended = [cell for cell in cells if cell.ended_by == ended_by]
        num_trials = sum(cell.num_trials for cell in ended)
        num_planned = sum(cell.num_trials_planned for cell in ended)
        lines.append(
            f"{num_trials:,} of {num_planned:,} planned trials in {count_text(len(ended), 'cell')}:"
            f" {plain(ended_by)} ended the search."
        )
    return lines


def _incomplete(cells: Iterable[CellResult]) -> list[str]:
    missing, short, other = [], [], []
    for cell in cells:
        broken = {"diverged": cell.num_confirm_diverged, "failed": cell.num_confirm_failed}
        ends = "".join(f", {count} {state}" for state, count in broken.items() if count)
        of_planned = f"{cell.num_confirmed} of {cell.num_confirm_planned}"
        if not cell.num_confirmed:
            missing.append(f"{cell.cell} ({of_planned}{ends})" if ends else cell.cell)
        elif cell.num_confirmed < cell.num_confirm_planned:
            short.append(f"{cell.cell} ({of_planned}{ends})")
        if cell.num_other_confirm_trials:
            other.append(f"{cell.cell} ({cell.num_other_confirm_trials})")
    lines = []
    if missing:
        lines.append(
            f"Not confirmed, and in no mean: {count_text(len(missing), 'cell')}: "
            f"{names_text(missing)}."
        )
    if short:
        lines.append(
            f"Fewer confirm seeds than planned, in {count_text(len(short), 'cell')}: "
            f"{names_text(short)}."
        )
    if other:
        lines.append(
            "Confirm trials of configurations that are not the cell's choice, in no mean: "
            f"{names_text(other)}."
        )
    return lines


def _unstopped(board: Leaderboard) -> list[str]:
    cells = board.totals.unstopped_cells
    if not cells:
        return []
    return [f"No trial was stopped early in {count_text(len(cells), 'cell')}: {names_text(cells)}."]


def _provenance(board: Leaderboard) -> list[str]:
    made_by = board.provenance
    seeds = sorted({seed for cell in board.cells for seed in cell.seeds})
    shown_seeds = ", ".join(map(str, seeds)) or "none yet"
    return [
        f"Confirm seeds: {shown_seeds}. Detector: {names_text(made_by.detectors)}. "
        f"Code: {names_text(made_by.commits)}. Data: {names_text(made_by.fingerprints)}.",
        f"Versions: {names_text(made_by.versions, 2)}. Hardware: {names_text(made_by.hardware)}.",
    ]
