"""What a leaderboard holds: one value a cell, a ratio and a study, at full precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agad.report.numbers.statistics import Difference, Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class CellResult:
    """One cell: its search, its confirmed configuration and what both cost."""

    study: str
    cell: str
    """The cell's label."""

    dataset: str
    detector: str
    """Empty for a cell without rows in a study without rows."""

    given_class: int | str
    """The normal class, or in the leave-one-out protocol the anomalous one, as it was given; of a
    search on development classes, their list."""

    anomaly_ratio: float
    """In [0, 1)."""

    variant: str
    """What else the cell fixes, such as ``labelled=1 backbone=naive``; empty where nothing."""

    task: str = ""
    """The part of ``variant`` that changes the question, such as ``labelled=1``."""

    method: str = ""
    """Who answers it: the detector and the settings that the cell fixes; empty as ``detector``."""

    selection: str = ""
    """What chose the configuration, such as ``labelled(30)``."""

    policy: str = ""
    """The policy by which it is ranked apart, ``label_free`` or ``fixed_epoch``; else empty."""

    num_trials: int = 0
    """Search trials that ended, however they did."""

    num_trials_planned: int = 0
    """Search trials planned for the cell, or those that ended where they are more."""

    ended_by: str = ""
    """What ended the search before them, such as ``the budget of 2 GPU-hours``; empty where nothing
    did, or where there is no winner yet."""

    num_finished: int = 0
    num_pruned: int = 0
    """Search trials that were stopped early."""

    num_diverged: int = 0
    num_failed: int = 0
    num_confirmed: int = 0
    """n: finished confirm trials of the chosen configuration that have a test AUROC."""

    num_confirm_planned: int = 0
    """Confirm seeds planned for the configuration, or those that ran where they are more."""

    num_confirm_diverged: int = 0
    """Diverged confirm trials of the configuration; of all while none has a test AUROC."""

    num_confirm_failed: int = 0
    """Failed confirm trials, counted as ``num_confirm_diverged``."""

    num_candidates: int = 1
    """Configurations among which validation on the confirm seeds chose before any was tested."""

    num_other_confirm_trials: int = 0
    """Confirm trials of other configurations, which no mean holds."""

    test_auroc: float | None = None
    """Mean over the n seeds, in [0, 1], never flipped."""

    test_auroc_sd: float | None = None
    """Sample SD over the n seeds (ddof 1); None for fewer than two."""

    test_auroc_interval: Interval | None = None
    """Student's 95 % interval of the mean over seeds; None for fewer than two that differ."""

    test_aurocs: tuple[float, ...] = ()
    """The n values, in order of seed."""

    seeds: tuple[int, ...] = ()
    """The seeds of ``test_aurocs``."""

    test_average_precision: float | None = None
    """Mean over the n seeds, in [0, 1]."""

    val_auroc: float | None = None
    """Mean validation AUROC of the n confirm trials, in [0, 1]."""

    objective: float | None = None
    """Mean of the n confirm trials of what the study maximises: higher is better."""

    best_params: dict[str, Any] | None = None
    """The configuration confirmed, of a search by the cells that it is for; None before the first
    test AUROC."""

    num_val_anomalies: int | None = None
    """Labelled anomalies that selecting took in the trial that took the most, all its instances
    together; None where no row tells."""

    num_fit_anomalies: int | None = None
    """Labelled anomalies trained on, counted alike; None where no row tells."""

    data_fingerprint: str = ""
    """Of the data set; empty where no row tells."""

    total_s: float = 0.0
    """Seconds of training and validating, search and confirm."""

    gpu_s: float = 0.0
    """GPU seconds, search and confirm."""

    cost: float | None = None
    """Price of the GPU seconds; None where no price was given."""

    num_epochs: int = 0
    """Epochs trained, search and confirm, one an instance."""

    num_search_epochs: int = 0
    """Epochs trained in the search."""

    num_planned_search_epochs: int = 0
    """Epochs that the search trials would have trained, had none ended early."""

    num_instances: int = 1
    """Classes and seeds that a search trial trained in lock-step."""

    is_development: bool = False
    """Whether its class is one that the configuration was searched on, for other classes too."""

    is_search: bool = False
    """Whether it is a search on development classes for other cells, which confirms nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioResult:
    """One anomaly ratio of a data set, over its normal classes."""

    dataset: str
    detector: str
    variant: str
    """As ``CellResult.variant``."""

    anomaly_ratio: float
    """In [0, 1)."""

    test_auroc: float | None
    """Mean over the confirmed classes of each one's mean over seeds."""

    interval: Interval | None
    """95 % interval of ``test_auroc`` over seeds; None where a class has fewer than two."""

    iqm: float | None
    """Interquartile mean of the scores of all seeds of all classes."""

    iqm_interval: Interval | None
    """95 % interval of ``iqm`` over seeds; None too for a single class."""

    sd_over_classes: float | None
    """Sample SD (ddof 1) of the classes' means; None for fewer than two classes."""

    sd_over_seeds: float | None
    """SD over seeds inside a cell: the root of the cells' mean variance, each weighing n - 1."""

    test_average_precision: float | None
    """Mean over the confirmed classes."""

    num_classes: int
    """Cells confirmed, one a class."""

    num_missing: int
    """Cells without a confirmed seed."""

    num_confirmed: int
    """n: confirmed trials in all cells together, a seed of a class each."""

    left_out: tuple[int | str, ...] = ()
    """Development classes that no number holds; empty where all classes count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A method over several ratios of a data set, over several data sets, or over both.

    Classes weigh the same inside a ratio, ratios inside a data set, data sets in the whole.
    """

    dataset: str
    """The data set; empty over several."""

    detector: str
    variant: str
    """As ``CellResult.variant``."""

    anomaly_ratio: float | None
    """In [0, 1); None over several."""

    num_datasets: int
    """Data sets with a confirmed cell."""

    num_ratios: int
    """Ratios with a confirmed cell."""

    test_auroc: float | None
    interval: Interval | None
    """95 % interval of ``test_auroc`` over seeds; None where a cell has fewer than two."""

    iqm: float | None
    """Interquartile mean of the scores of all seeds of all cells."""

    iqm_interval: Interval | None
    sd_over_datasets: float | None
    """Sample SD (ddof 1) of the data sets' means; None for fewer than two."""

    sd_over_seeds: float | None
    """As in ``RatioResult``."""

    num_cells: int
    """Cells confirmed."""

    num_missing: int
    """Cells without a confirmed seed."""

    num_confirmed: int
    """n: confirmed trials in all cells together."""

    left_out: tuple[int | str, ...] = ()
    """As in ``RatioResult``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPair:
    """One cell of one side and its partner on the other."""

    first: CellResult | None
    """None where the other side alone has the cell."""

    second: CellResult | None
    difference: Difference | None
    """First minus second; None where one of them has no confirmed seed."""

    @property
    def either(self) -> CellResult:
        """The first cell, or else the second: both name the same question."""
        cell = self.first or self.second
        assert cell is not None
        return cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """Two methods, or two studies, over the cells that both have confirmed."""

    first: str
    second: str
    num_cells: int
    """Cells confirmed on both sides: all that the numbers are about."""

    num_missing: int
    """Cells that one side lacks."""

    difference: float | None
    """Mean over the cells of the first's mean minus the second's, in [-1, 1]."""

    interval: Interval | None
    """95 % interval of ``difference`` over seeds; None where a cell has one or all are alike."""

    probability: float | None
    """Chance that a seed of the first beats one of the second in a cell, ties one half."""

    probability_interval: Interval | None
    """95 % interval of ``probability`` over seeds; None where they are too few to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Methods over the classes of a data set, or over data sets; or why they are not ranked."""

    dataset: str
    """Whose classes were ranked over; empty where data sets were."""

    methods: tuple[str, ...]
    """By average rank, the best first; by name where there is no verdict."""

    num_blocks: int
    """N: classes, or data sets, that every method has all cells of."""

    left_out: tuple[tuple[str, int], ...]
    """Classes, or data sets, of which a method lacks a cell, and how many cells methods lack."""

    num_needed: int
    """The N below which the tests could tell no two of so many methods apart."""

    average_ranks: tuple[float, ...] = ()
    """In order of ``methods``, 1 the best; empty where there are too few blocks."""

    policy: str = ""
    """The policy by which the methods' cells are ranked apart, as ``CellResult.policy``."""

    groups: tuple[str, ...] = ()
    """Letters of each method; two that share none differ."""

    friedman_p: float | None = None
    """None without a verdict, and for two methods."""

    pair_ps: tuple[tuple[str, str, float], ...] = ()
    """Two methods and their Wilcoxon p, Holm-corrected."""

    @property
    def has_verdict(self) -> bool:
        """Whether there were enough blocks to test."""
        return bool(self.average_ranks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the whole study ran."""

    num_trials: int
    """Search trials that ended, however they did."""

    num_trials_planned: int
    """As ``CellResult.num_trials_planned``, over all cells."""

    num_pruned: int
    num_diverged: int
    num_failed: int
    num_confirm_trials: int
    """Confirm trials that ended, of whatever configuration."""

    num_confirm_diverged: int
    num_confirm_failed: int
    total_s: float
    """Seconds of one attempt a trial, without what a lost worker did after its checkpoint."""

    gpu_s: float
    """GPU seconds, counted alike."""

    num_epochs: int
    """Epochs trained, search and confirm."""

    num_search_epochs: int
    num_planned_search_epochs: int
    num_saved_epochs: int
    """Epochs that search trials which were stopped early would have trained, one an instance."""

    unstopped_cells: tuple[str, ...]
    """Labels of the cells that searched and in which no trial was stopped early."""

    cost: float | None = None
    """Price of the GPU seconds; None where no price was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOrigins:
    """What made the rows: each a sorted tuple of the different texts found."""

    detectors: tuple[str, ...]
    commits: tuple[str, ...]
    fingerprints: tuple[str, ...]
    """Data sets, each with the first digits of its fingerprint."""

    versions: tuple[str, ...]
    hardware: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """A study's results. Cells do not compare, so they are ordered by name; methods are ranked."""

    study: str
    cells: tuple[CellResult, ...]
    """By data set, detector, variant, class and ratio; those without rows among them."""

    ratios: tuple[RatioResult, ...]
    """By data set, detector, variant and ratio."""

    summaries: tuple[Summary, ...]
    """Over ratios, over data sets and over both, where there are several."""

    contrasts: tuple[Contrast, ...]
    """Every two methods of the study."""

    rankings: tuple[Ranking, ...]
    """One over the classes of each data set, one over data sets; empty for a single method."""

    totals: Totals
    provenance: RowOrigins
    searches: tuple[CellResult, ...] = ()
    """The searches on development classes, which have no test AUROC; empty where each cell searched
    for itself."""

    @property
    def searching(self) -> tuple[CellResult, ...]:
        """The cells that search: on development classes for others, or else each for itself."""
        return self.searches or self.cells

    @property
    def has_rows(self) -> bool:
        """Whether any trial has ended."""
        return self.totals.num_trials + self.totals.num_confirm_trials > 0
