"""The pools of labelled anomalies that a study's label budgets share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from agad.config import Cell, Labelled, Study
from agad.data import LabelPool, Library, Manifest, NamedImages, find_named
from agad.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelling:
    """How the pools of a study's label budgets are drawn, the same for all of its detectors."""

    seed: int
    """The study's seed."""

    named: NamedImages | None
    """The images that the user named; None if the pool is drawn from all."""

    def pool(self, cell: Cell, anomalous: tuple[int, ...]) -> LabelPool | None:
        """Return the pool of a cell; None without a budget above 0.

        Raises:
            ConfigError: The user named an image that is normal in the cell.
        """
        if not cell.labels:
            return None
        if self.named is None:
            return LabelPool(num_anomalies=cell.labels, seed=self.seed)
        places = self.named.indices.tolist()
        for name, place in zip(self.named.names, places, strict=True):
            if int(self.named.labels[place]) not in anomalous:
                raise ConfigError(
                    f"selection.pool names {name!r}, which is normal in cell {cell.label!r}; name "
                    "anomalous images alone."
                )
        named = tuple(sorted(places))
        return LabelPool(num_anomalies=cell.labels, seed=self.seed, named=named)

    @classmethod
    def of(cls, study: Study, manifests: Mapping[str, Manifest], library: Library) -> Self:
        """Return the pools of a study; the images that the study names are looked up."""
        return cls(seed=study.seed, named=_named(study, manifests, library))


def _named(study: Study, manifests: Mapping[str, Manifest], library: Library) -> NamedImages | None:
    """Return the labelled anomalies that a study names; None if it names none."""
    selection = study.selection
    if not (isinstance(selection, Labelled) and selection.pool):
        return None
    (manifest,) = manifests.values()
    return find_named("selection.pool", selection.named, manifest, library)
