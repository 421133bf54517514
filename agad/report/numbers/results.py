"""The result of each cell, and the means over classes, ratios and data sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agad.report.numbers.statistics import Interval

NOTHING = "nothing"
"""What a detector was given if it had normal images alone."""


def without_words(variant: str, *names: str) -> str:
    """Return a variant or a task without the words of some names, such as ``labels=10``."""
    starts = tuple(f"{name}=" for name in names)
    return " ".join(word for word in variant.split() if not word.startswith(starts))


@dataclass(frozen=True, slots=True, kw_only=True)
class CellResult:
    """The search of a cell, its confirmed configuration and their cost."""

    study: str
    cell: str
    """The cell's label."""

    dataset: str
    detector: str
    """Empty if neither the cell nor its study has rows."""

    given_class: int | str
    """The normal class (in the leave-one-out protocol the anomalous class) as the study names it;
    for a search on development classes, their list."""

    anomaly_ratio: float
    """In [0, 1)."""

    variant: str
    """Everything else that the cell fixes, such as ``labelled=1 backbone=naive``."""

    task: str = ""
    """The part of ``variant`` that changes the question, such as ``labelled=1``."""

    method: str = ""
    """The detector and the settings that the cell fixes; empty if ``detector`` is empty."""

    selection: str = ""
    """The rule that chose the configuration, such as ``labelled(30)``."""

    policy: str = ""
    """``label_free`` or ``fixed_epoch``, whose cells are ranked apart unless they are candidates of
    one study; else empty."""

    num_trials: int = 0
    """Search trials that have ended, in whatever way."""

    num_trials_planned: int = 0
    """Search trials planned for the cell, or ``num_trials`` if that is more."""

    ended_by: str = ""
    """The reason why the search ended before all planned trials, such as ``the budget of 2
    GPU-hours``; empty if there is no such reason, or no winner yet."""

    num_finished: int = 0
    num_pruned: int = 0
    """Search trials that were stopped early."""

    num_diverged: int = 0
    num_failed: int = 0
    num_confirmed: int = 0
    """n: confirm trials of the chosen configuration that finished with a test AUROC."""

    num_confirm_planned: int = 0
    """Confirm seeds planned for the configuration, or the seeds that ran if they are more."""

    num_confirm_diverged: int = 0
    """Diverged confirm trials of the configuration; of all configurations while none has a test
    AUROC."""

    num_confirm_failed: int = 0
    """Failed confirm trials, counted as ``num_confirm_diverged`` is."""

    num_candidates: int = 1
    """Configurations from which validation on the confirm seeds chose the one to test."""

    num_other_confirm_trials: int = 0
    """Confirm trials of other configurations. No mean includes them."""

    test_auroc: float | None = None
    """Mean over the n seeds, in [0, 1], never flipped."""

    test_auroc_sd: float | None = None
    """Sample SD over the n seeds (ddof 1); None for fewer than two."""

    test_auroc_interval: Interval | None = None
    """Student's 95 % interval of the mean over seeds; None unless two seeds differ."""

    test_aurocs: tuple[float, ...] = ()
    """The n values, in order of seed."""

    seeds: tuple[int, ...] = ()
    """The seeds of ``test_aurocs``."""

    test_average_precision: float | None = None
    """Mean over the n seeds, in [0, 1]."""

    val_auroc: float | None = None
    """Mean validation AUROC of the n confirm trials, in [0, 1]."""

    objective: float | None = None
    """Mean over the n confirm trials of the value that the study maximises."""

    best_params: dict[str, Any] | None = None
    """The confirmed configuration; for a search, the one confirmed in the cells that it is for.

    None before the first test AUROC.
    """

    num_val_anomalies: int | None = None
    """Labelled anomalies that selection used, in the trial that used the most, all its instances
    together; None if there are no rows."""

    num_fit_anomalies: int | None = None
    """Labelled anomalies trained on, counted as ``num_val_anomalies``; None without rows."""

    data_fingerprint: str = ""
    """Fingerprint of the data set; empty if there are no rows."""

    total_s: float = 0.0
    """Seconds of training and validating, search and confirm, and ``encode_s``."""

    gpu_s: float = 0.0
    """GPU seconds, search and confirm."""

    cost: float | None = None
    """Price of the GPU seconds or of a share of the wall time; None if no price was given."""

    num_epochs: int = 0
    """Epochs trained, search and confirm; each instance counts its own epochs."""

    num_search_epochs: int = 0
    """Epochs trained in the search."""

    num_planned_search_epochs: int = 0
    """Epochs that the search trials would have trained if none had ended early."""

    encode_s: float = 0.0
    """Seconds of ``total_s`` on features of an encoder."""

    num_instances: int = 1
    """Pairs of class and seed that a search trial trained in lock-step."""

    is_development: bool = False
    """Whether the cell's class is a development class: the search for all classes used it."""

    is_search: bool = False
    """Whether this is a search on development classes for other cells, which confirms nothing."""

    stands_for: str = ""
    """The label of the cell that ran, if this cell did not: its detector uses no labels, so the
    result stands here too. The trials, times and costs are counted there alone; empty if the cell
    runs itself."""

    given: str = ""
    """What the detector was given beside normal images, such as ``labels``; empty if the study has
    one detector, or if the cell has no row."""

    label_budget: int | None = None
    """Labelled anomalies that all trials of the cell may use together; None if the ratio says how
    many are labelled."""

    num_normals: int | None = None
    """Normal images that the cell fits on; None for all."""

    num_labelled: int | None = None
    """Distinct labelled anomalies that all trials of the cell use, to fit and to validate; None
    if no row says so."""

    num_test_anomalies: int | None = None
    """Labelled anomalies of the test split, which judge; None if no row says so."""

    @property
    def variant_order(self) -> tuple[str, float, int]:
        """The place of the variant among others: numbers of normals and budgets ascend."""
        normals = float("inf") if self.num_normals is None else self.num_normals
        budget = -1 if self.label_budget is None else self.label_budget
        return without_words(self.variant, "labels", "normals"), normals, budget

    @property
    def origin(self) -> str:
        """The label of the cell whose trials gave the result."""
        return self.stands_for or self.cell


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioResult:
    """The mean over the normal classes of a data set at one anomaly ratio."""

    dataset: str
    detector: str
    variant: str
    """As ``CellResult.variant``."""

    anomaly_ratio: float
    """In [0, 1)."""

    label_budget: int | None = None
    """As ``CellResult.label_budget``."""

    test_auroc: float | None
    """Mean over the confirmed classes of the means over seeds."""

    interval: Interval | None
    """95 % interval of ``test_auroc`` over seeds; None if a class has fewer than two seeds."""

    iqm: float | None
    """Interquartile mean of the scores of all seeds of all classes."""

    iqm_interval: Interval | None
    """95 % interval of ``iqm`` over seeds; also None for a single class."""

    sd_over_classes: float | None
    """Sample SD (ddof 1) of the classes' means; None for fewer than two classes."""

    sd_over_seeds: float | None
    """SD over seeds: the root of the cells' mean variance, each cell with weight n - 1."""

    test_average_precision: float | None
    """Mean over the confirmed classes."""

    num_classes: int
    """Confirmed cells, one for each class."""

    num_missing: int
    """Cells without a confirmed seed."""

    num_confirmed: int
    """n: confirmed trials in all cells together; a trial is one seed of one class."""

    left_out: tuple[int | str, ...] = ()
    """Development classes that no number here includes; empty if all classes count."""

    given: str = ""
    """As ``CellResult.given``, of all cells together."""

    task: str = ""
    """As ``CellResult.task``."""

    num_normals: int | None = None
    """As ``CellResult.num_normals``."""

    stands: bool = False
    """Whether every cell stands for another, in which the trials ran."""

    is_highest: bool = False
    """Whether no other mean of the same question and the same ``given`` is higher. False if the
    mean stands alone, or lacks a class. The test split decides this, so this is no choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The mean of a method over several ratios of a data set, over several data sets, or both.

    Each class has the same weight in its ratio, each ratio in its data set, each data set in the
    whole.
    """

    dataset: str
    """The data set; empty if there are several."""

    detector: str
    variant: str
    """As ``CellResult.variant``."""

    anomaly_ratio: float | None
    """In [0, 1); None if there are several."""

    label_budget: int | None = None
    """As ``CellResult.label_budget``."""

    num_datasets: int
    """Data sets with a confirmed cell."""

    num_ratios: int
    """Ratios with a confirmed cell."""

    test_auroc: float | None
    interval: Interval | None
    """95 % interval of ``test_auroc`` over seeds; None if a cell has fewer than two seeds."""

    iqm: float | None
    """Interquartile mean of the scores of all seeds of all cells."""

    iqm_interval: Interval | None
    sd_over_datasets: float | None
    """Sample SD (ddof 1) of the data sets' means; None for fewer than two."""

    sd_over_seeds: float | None
    """As in ``RatioResult``."""

    num_cells: int
    """Confirmed cells."""

    num_missing: int
    """Cells without a confirmed seed."""

    num_confirmed: int
    """n: confirmed trials in all cells together."""

    left_out: tuple[int | str, ...] = ()
    """As in ``RatioResult``."""
