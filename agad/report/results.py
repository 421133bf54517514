"""What a leaderboard holds: one value a cell, a ratio and a study, at full precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
    """The normal class, or in the leave-one-out protocol the anomalous one, as it was given."""

    anomaly_ratio: float
    """In [0, 1)."""

    variant: str
    """What else the cell fixes, such as ``labelled=1 backbone=naive``; empty where nothing."""

    selection: str = ""
    """What chose the configuration, such as ``labelled(30)``."""

    num_trials: int = 0
    """Search trials that ended, however they did."""

    num_finished: int = 0
    num_pruned: int = 0
    """Search trials that were stopped early."""

    num_diverged: int = 0
    num_failed: int = 0
    num_confirmed: int = 0
    """n: finished confirm trials of the chosen configuration that have a test AUROC."""

    num_confirm_planned: int = 0
    """Confirm trials planned for the configuration, or those that ran where they are more."""

    num_confirm_diverged: int = 0
    """Diverged confirm trials of the configuration; of all while none has a test AUROC."""

    num_confirm_failed: int = 0
    """Failed confirm trials, counted as ``num_confirm_diverged``."""

    num_other_confirm_trials: int = 0
    """Confirm trials of other configurations, which no mean holds."""

    test_auroc: float | None = None
    """Mean over the n seeds, in [0, 1], never flipped."""

    test_auroc_sd: float | None = None
    """Sample SD over the n seeds (ddof 1); None for fewer than two."""

    test_aurocs: tuple[float, ...] = ()
    """The n values, in order of seed."""

    seeds: tuple[int, ...] = ()
    """The seeds of ``test_aurocs``."""

    test_average_precision: float | None = None
    """Mean over the n seeds, in [0, 1]."""

    val_auroc: float | None = None
    """Mean validation AUROC of the n confirm trials, in [0, 1]."""

    best_params: dict[str, Any] | None = None
    """The configuration confirmed; None before the first test AUROC."""

    num_val_anomalies: int | None = None
    """Labelled anomalies that selecting took; None where no row tells."""

    num_fit_anomalies: int | None = None
    """Labelled anomalies trained on; None where no row tells."""

    total_s: float = 0.0
    """Seconds of training and validating, search and confirm."""

    gpu_s: float = 0.0
    """GPU seconds, search and confirm."""

    num_epochs: int = 0
    """Epochs trained, search and confirm."""

    num_search_epochs: int = 0
    """Epochs trained in the search."""

    num_planned_search_epochs: int = 0
    """Epochs that the search trials would have trained, had none ended early."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the whole study ran."""

    num_trials: int
    """Search trials that ended, however they did."""

    num_pruned: int
    num_diverged: int
    num_failed: int
    num_confirm_trials: int
    """Confirm trials that ended, of whatever configuration."""

    num_confirm_diverged: int
    num_confirm_failed: int
    total_s: float
    gpu_s: float
    num_epochs: int
    """Epochs trained, search and confirm."""

    num_search_epochs: int
    num_planned_search_epochs: int
    unstopped_cells: tuple[str, ...]
    """Labels of the cells that searched and in which no trial was stopped early."""

    @property
    def num_saved_epochs(self) -> int:
        """Search epochs planned and not trained, since trials ended early."""
        return self.num_planned_search_epochs - self.num_search_epochs


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What made the rows: each a sorted tuple of the different texts found."""

    detectors: tuple[str, ...]
    commits: tuple[str, ...]
    fingerprints: tuple[str, ...]
    """Data sets, each with the first digits of its fingerprint."""

    versions: tuple[str, ...]
    hardware: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """A study's results. Cells do not compare, so they are ordered by name, never ranked."""

    study: str
    cells: tuple[CellResult, ...]
    """By data set, detector, variant, class and ratio; those without rows among them."""

    ratios: tuple[RatioResult, ...]
    """By data set, detector, variant and ratio."""

    totals: Totals
    provenance: Provenance

    @property
    def has_rows(self) -> bool:
        """Whether any trial has ended."""
        return self.totals.num_trials + self.totals.num_confirm_trials > 0
