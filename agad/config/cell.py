"""Cells: the points on a study's axes, inside which alone AUROCs may be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from agad.config.space import Setting

Protocol: TypeAlias = Literal["one-class", "leave-one-out"]
ClassGiven: TypeAlias = int | str
"""A class by its label or by its name."""

LabelledClasses: TypeAlias = str | int | tuple[ClassGiven, ...]
"""``all`` anomalous classes, so many of them, or these."""


def canonical(value: Setting) -> str:
    """Write equal numbers alike, and different ones differently."""
    if isinstance(value, bool | str):
        return str(value)
    return repr(float(value)).removesuffix(".0")


def labelled_text(labelled_classes: LabelledClasses) -> str:
    """Return which classes are labelled as a row has it: ``all``, ``1`` or ``(3,cat)``."""
    if isinstance(labelled_classes, tuple):
        return f"({','.join(map(str, labelled_classes))})"
    return str(labelled_classes)


def variant_label(
    *,
    protocol: str,
    pollution_ratio: float,
    labelled_classes: str,
    settings: Mapping[str, Setting],
) -> str:
    """Return what sets a cell apart beside data set, class and ratio; empty where nothing does.

    Args:
        protocol: One of ``Protocol``.
        pollution_ratio: In [0, 1).
        labelled_classes: As ``labelled_text`` has it.
        settings: The detector's parameters that the cell fixes, by name.
    """
    words = [] if protocol == "one-class" else [protocol]
    if pollution_ratio:
        words.append(f"pollution={canonical(pollution_ratio)}")
    if labelled_classes != "all":
        words.append(f"labelled={labelled_classes}")
    words += [f"{name}={canonical(settings[name])}" for name in sorted(settings)]
    return " ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One point on a study's axes, with its own sampler and its own ladder."""

    dataset: str
    normal_class: ClassGiven | None = None
    """The one class that is normal; None in the leave-one-out protocol."""

    anomalous_class: ClassGiven | None = None
    """The one class that is anomalous, all others being normal; None in the one-class protocol."""

    anomaly_ratio: float
    """gamma, labelled anomalies / (unlabelled + labelled anomalies) of the fit split, in [0, 1)."""

    pollution_ratio: float = 0.0
    """Hidden anomalies / unlabelled images of the fit split, in [0, 1)."""

    labelled_classes: LabelledClasses = "all"
    """Anomalous classes of which images are labelled."""

    settings: tuple[tuple[str, Setting], ...] = ()
    """The detector's parameters that the study's axes fix, by name, in order of the name."""

    development_classes: tuple[ClassGiven, ...] = ()
    """Classes that each trial of the cell trains, the one given being the first; empty where that
    is alone."""

    @property
    def protocol(self) -> Protocol:
        """``one-class``, or ``leave-one-out`` where the anomalous class is given."""
        return "one-class" if self.anomalous_class is None else "leave-one-out"

    @property
    def given_class(self) -> ClassGiven:
        """The normal class, or in the leave-one-out protocol the anomalous one."""
        given = self.normal_class if self.anomalous_class is None else self.anomalous_class
        assert given is not None
        return given

    @property
    def classes(self) -> tuple[ClassGiven, ...]:
        """The classes that each trial of the cell trains."""
        return self.development_classes or (self.given_class,)

    def over(self, development_classes: tuple[ClassGiven, ...]) -> Cell:
        """Return the cell that searches on these classes for this one and others; () is this."""
        if not development_classes:
            return self
        is_one_class = self.anomalous_class is None
        return replace(
            self,
            normal_class=development_classes[0] if is_one_class else None,
            anomalous_class=None if is_one_class else development_classes[0],
            development_classes=development_classes,
        )

    @property
    def variant(self) -> str:
        """What sets the cell apart beside data set, class and ratio."""
        return variant_label(
            protocol=self.protocol,
            pollution_ratio=self.pollution_ratio,
            labelled_classes=labelled_text(self.labelled_classes),
            settings=dict(self.settings),
        )

    @property
    def label(self) -> str:
        """The cell's name in every row, such as ``digits class=0 ratio=0.05``."""
        ratio = f"ratio={canonical(self.anomaly_ratio)}"
        given = str(self.given_class)
        if self.development_classes:
            given = f"({','.join(map(str, self.development_classes))})"
        words = [self.dataset, f"class={given}", ratio, self.variant]
        return " ".join(words).rstrip()
