"""What a study plans: its detectors, and the cells that each of them answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from agad.config import Cell, method_label


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDetector:
    """One detector of a study, or the only one."""

    cells: Sequence[Cell]
    """The cells that run."""

    name: str = ""
    """The registered name; empty if only rows tell the name."""

    policy: str = ""
    """As ``CellResult.policy``; of no meaning without a name."""

    cell_trials: int = 0
    """Search trials planned for a cell that searches; 0 if unknown, or if nothing is searched."""

    searches: Sequence[Cell] = ()
    """The cells that search on development classes, if there are any."""

    standing: Mapping[Cell, Cell] = field(default_factory=dict)
    """The cell that runs, for each cell that the detector answers without running there."""

    external_data: str = ""
    """Data of others that the detector was made from, such as ``ImageNet``."""

    left_out: Sequence[Cell] = ()
    """The cells without the labelled anomalies that the detector needs."""

    unsearched: Sequence[Cell] = ()
    """The cells in which nothing is searched, although the detector has a search elsewhere."""

    @property
    def method(self) -> str:
        """The name, with the parameters that tell the detector from another candidate."""
        cell = next(iter((*self.cells, *self.left_out)), None)
        return method_label(self.name, dict(cell.settings)) if cell else self.name

    @property
    def searching(self) -> Sequence[Cell]:
        """The cells that search: those on development classes, else all."""
        return self.searches or [cell for cell in self.cells if cell not in self.unsearched]


@dataclass(frozen=True)
class PlannedStudy:
    """All detectors of a study, by the labels of their cells."""

    detectors: Sequence[PlannedDetector]

    @property
    def has_several(self) -> bool:
        """Whether the study compares detectors, so that they are ranked together."""
        return len(self.detectors) > 1

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """Every cell that runs, searches on development classes last."""
        return {
            cell.label: cell
            for of_detector in ("cells", "searches")
            for one in self.detectors
            for cell in getattr(one, of_detector)
        }

    @cached_property
    def by_cell(self) -> dict[str, PlannedDetector]:
        """The detector of every cell that runs."""
        return {cell.label: one for one in self.detectors for cell in (*one.cells, *one.searches)}

    @property
    def searches(self) -> list[Cell]:
        """The cells that search on development classes."""
        return [cell for one in self.detectors for cell in one.searches]

    @cached_property
    def num_trials(self) -> dict[str, int]:
        """The search trials planned for every cell that searches."""
        return {cell.label: one.cell_trials for one in self.detectors for cell in one.searching}

    @property
    def standing(self) -> Iterator[tuple[Cell, str]]:
        """Each cell that is answered without being run, and the label of the cell that runs."""
        for one in self.detectors:
            for asked, ran in one.standing.items():
                yield asked, ran.label
