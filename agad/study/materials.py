"""What a study needs of its data, found and checked before any trial starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agad.config import Cell, Setting, Study, with_parameters
from agad.data import OneClass, OneClassSplit, check_files, describe, load_images, one_class_split
from agad.errors import ConfigError
from agad.records import Phase
from agad.trial import TrialSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class CellMaterials:
    """One cell's data: which, how much of it, and what its labels cost."""

    cell: Cell
    protocol: OneClass
    split: OneClassSplit
    """As the study's own seed draws it; its sizes are those of every seed."""

    data_fingerprint: str

    def search_spec(self, study: Study, number: int, params: dict[str, Setting]) -> TrialSpec:
        """Return a trial of the cell's search, on the study's own seed."""
        return self._spec(study, "search", number, params, study.seed)

    def confirm_spec(self, study: Study, number: int, params: dict[str, Setting]) -> TrialSpec:
        """Return a trial of the confirm phase, on the fresh seed of that number."""
        return self._spec(study, "confirm", number, params, study.confirm_seeds[number])

    def _spec(
        self, study: Study, phase: Phase, number: int, params: dict[str, Setting], seed: int
    ) -> TrialSpec:
        return TrialSpec(
            cell=self.cell,
            phase=phase,
            number=number,
            params=params,
            seed=seed,
            max_epochs=study.scheduler.max_epochs,
            detector=with_parameters(study.detector, {**dict(self.cell.settings), **params}),
            num_val_anomalies=self.protocol.num_val_anomalies,
            val_share=self.protocol.val_share,
            data_fingerprint=self.data_fingerprint,
        )


def find_materials(study: Study, data_root: Path) -> dict[str, CellMaterials]:
    """Open every data set's training images and draw every cell's split once.

    Args:
        study: Its cells name data sets and classes.
        data_root: Holds a folder of official files a data set.

    Returns:
        Materials by the cell's label.

    Raises:
        ConfigError: A data set or class is unknown, or too small for what the study asks of it.
        DataError: A data file is missing or damaged.
    """
    for cell in study.cells.all_cells:
        info = describe(cell.dataset)
        if cell.normal_class >= len(info.class_names):
            raise ConfigError(
                f"cells.normal_class holds {cell.normal_class}, but {info.name} has the classes 0 "
                f"to {len(info.class_names) - 1}."
            )
    for name in study.cells.datasets:
        check_files(name, data_root)
    fingerprints = {
        name: load_images(name, "train", data_root).fingerprint() for name in study.cells.datasets
    }
    materials = {}
    for cell in study.cells.all_cells:
        protocol = OneClass(
            normal_class=cell.normal_class,
            anomaly_ratio=cell.anomaly_ratio,
            num_val_anomalies=study.selection.num_anomalies
            or describe(cell.dataset).num_val_anomalies,
            val_share=study.selection.val_share,
        )
        # The counts are the same for every seed: any one shows whether the split can be drawn.
        labels = load_images(cell.dataset, "train", data_root).labels
        materials[cell.label] = CellMaterials(
            cell=cell,
            protocol=protocol,
            split=one_class_split(labels, protocol, study.seed),
            data_fingerprint=fingerprints[cell.dataset],
        )
    return materials
