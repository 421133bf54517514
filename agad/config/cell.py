"""Cells: the points on a study's axes. AUROCs may be compared only within a cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from agad.config.space import Setting

Protocol: TypeAlias = Literal["one-class", "leave-one-out"]
ClassGiven: TypeAlias = int | str
"""A class, given by its label or its name."""

LabelledClasses: TypeAlias = str | int | tuple[ClassGiven, ...]
"""``all`` anomalous classes, a number of them such as ``1``, or a tuple of classes."""


def canonical(value: Setting) -> str:
    """Return one text for equal numbers, and different texts for different numbers."""
    if isinstance(value, bool | str | None):
        return str(value)
    return repr(float(value)).removesuffix(".0")


def labelled_text(labelled_classes: LabelledClasses) -> str:
    """Return the labelled classes as a row names them: ``all``, ``1`` or ``(3,cat)``."""
    if isinstance(labelled_classes, tuple):
        return f"({','.join(map(str, labelled_classes))})"
    return str(labelled_classes)


def variant_label(
    *,
    protocol: str,
    pollution_ratio: float,
    labelled_classes: str,
    settings: Mapping[str, Setting],
    counts: Iterable[tuple[str, int | None]] = (),
) -> str:
    """Return the part of a cell's label after data set, class and ratio; empty at the defaults.

    Args:
        protocol: A value of ``Protocol``.
        pollution_ratio: A share in [0, 1).
        labelled_classes: The text that ``labelled_text`` returns.
        settings: The detector's parameters that the cell fixes, by name.
        counts: Further numbers that the cell fixes, such as its label budget, each with its word;
            None if the cell does not fix the number.
    """
    words = [] if protocol == "one-class" else [protocol]
    if pollution_ratio:
        words.append(f"pollution={canonical(pollution_ratio)}")
    if labelled_classes != "all":
        words.append(f"labelled={labelled_classes}")
    words += [f"{name}={count}" for name, count in counts if count is not None]
    words += [f"{name}={canonical(settings[name])}" for name in sorted(settings)]
    return " ".join(words)


def method_label(detector: str, settings: Mapping[str, Setting]) -> str:
    """Return a detector's name with the parameters that its cells fix.

    Example:
        >>> method_label("knn", {"features": "efficientnet-lite0"})
        'knn features=efficientnet-lite0'
    """
    fixed = variant_label(
        protocol="one-class", pollution_ratio=0.0, labelled_classes="all", settings=settings
    )
    return f"{detector} {fixed}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A point on a study's axes, with its own sampler and its own ladder."""

    dataset: str
    normal_class: ClassGiven | None = None
    """The only normal class; None in the leave-one-out protocol."""

    anomalous_class: ClassGiven | None = None
    """The only anomalous class, when all others are normal; None in the one-class protocol."""

    anomaly_ratio: float
    """gamma, labelled anomalies / (unlabelled + labelled anomalies) of the fit split, in [0, 1)."""

    pollution_ratio: float = 0.0
    """Hidden anomalies / unlabelled images of the fit split, in [0, 1)."""

    labelled_classes: LabelledClasses = "all"
    """Anomalous classes that have labelled images."""

    settings: tuple[tuple[str, Setting], ...] = ()
    """The detector's parameters that the study's axes fix, by name, in order of the name."""

    detector: str = ""
    """Name of the detector; empty for a study's first or only detector."""

    development_classes: tuple[ClassGiven, ...] = ()
    """Classes that each trial of the cell trains, ``given_class`` first; empty if the cell trains
    only that class."""

    num_normals: int | None = None
    """Normal images of the fit split, drawn by the trial's seed; None for all."""

    labels: int | None = None
    """Label budget: labelled anomalies to fit and to validate, in all trials of the cell together.
    None if ``anomaly_ratio`` says how many are labelled; ``anomaly_ratio`` is 0 with a budget."""

    @property
    def protocol(self) -> Protocol:
        """``one-class``, or ``leave-one-out`` if the anomalous class is given."""
        return "one-class" if self.anomalous_class is None else "leave-one-out"

    @property
    def given_class(self) -> ClassGiven:
        """The normal class; in the leave-one-out protocol, the anomalous class."""
        given = self.normal_class if self.anomalous_class is None else self.anomalous_class
        assert given is not None
        return given

    @property
    def classes(self) -> tuple[ClassGiven, ...]:
        """The classes that each trial of the cell trains."""
        return self.development_classes or (self.given_class,)

    def over(self, development_classes: tuple[ClassGiven, ...]) -> Cell:
        """Return the cell that searches on these classes for all classes; () gives this cell."""
        if not development_classes:
            return self
        is_one_class = self.anomalous_class is None
        return replace(
            self,
            normal_class=development_classes[0] if is_one_class else None,
            anomalous_class=None if is_one_class else development_classes[0],
            development_classes=development_classes,
        )

    def without_labels(self) -> Cell:
        """Return the cell as a detector that uses no label sees it."""
        return replace(
            self,
            anomaly_ratio=0.0,
            labelled_classes="all",
            labels=None,
        )

    @property
    def has_labels(self) -> bool:
        """Whether the cell has labelled anomalies to fit on."""
        return bool(self.labels or self.anomaly_ratio)

    @property
    def variant(self) -> str:
        """The part of the label after data set, class and ratio, as ``variant_label`` has it."""
        return variant_label(
            protocol=self.protocol,
            pollution_ratio=self.pollution_ratio,
            labelled_classes=labelled_text(self.labelled_classes),
            settings=dict(self.settings),
            counts=(("labels", self.labels), ("normals", self.num_normals)),
        )

    @property
    def label(self) -> str:
        """The cell's name in every row, such as ``digits class=0 ratio=0.05``.

        A label budget replaces the ratio: ``digits class=0 labels=30``.
        """
        ratio = f"ratio={canonical(self.anomaly_ratio)}" if self.labels is None else ""
        given = str(self.given_class)
        if self.development_classes:
            given = f"({','.join(map(str, self.development_classes))})"
        detector = f"detector={self.detector}" if self.detector else ""
        words = [self.dataset, f"class={given}", ratio, self.variant, detector]
        return " ".join(filter(None, words))
