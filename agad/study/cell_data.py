"""The facts about its data that a study needs, found and checked before any trial starts."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from agad.config import (
    Cell,
    Choice,
    ClassGiven,
    DetectorConfig,
    LabelledClasses,
    Setting,
    Study,
    corner_detectors,
    draw,
    with_parameters,
)
from agad.data import (
    Library,
    Manifest,
    Split,
    SplitCounts,
    Task,
    draw_split,
    find_manifest,
)
from agad.detectors.compute import scoring_flop
from agad.errors import ConfigError, StudyChangedError
from agad.records import Phase, TrialRow
from agad.study.encoders import StudyEncoders
from agad.study.labelling import Labelling
from agad.trial import Instance, TrialSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class CellData:
    """The data of a cell: which images, how many, and what its labels cost."""

    study: Study
    """The study of the cell's detector alone."""

    cell: Cell
    data: Manifest
    task: Task
    """The task of the first class that a search trial trains."""

    encoders: StudyEncoders
    """The frozen encoders of the whole study."""

    development: tuple[Task, ...] = ()
    """The tasks of the development classes after the first one."""

    classes: tuple[CellData, ...] = ()
    """The cells of all classes, on which the winner is confirmed. Empty unless the cell searches on
    development classes."""

    labels: NDArray[np.int64] | None = field(default=None, repr=False, compare=False)
    """Class of every training image; None unless the task names images, whose places count."""

    _drawn: dict[tuple[Task, int], tuple[SplitCounts, NDArray[np.intp]]] = field(
        default_factory=dict, repr=False, compare=False
    )
    """The sizes of each split, and the labelled anomalies that are used of it."""

    def counts(self, seed: int) -> SplitCounts:
        """Return how many images each part of a seed's split has, without opening any.

        Raises:
            ConfigError: The training part is too small for what the cell asks of it.
        """
        return self._counts_of(self.task, seed)

    def trial_counts(self, spec: TrialSpec) -> SplitCounts:
        """Return how many images each part of a trial has, over all of its instances.

        Raises:
            ConfigError: The training part is too small for what the cell asks of it.
        """
        each = [self._counts_of(one.task, one.seed) for one in spec.instances]
        return SplitCounts(
            **{
                one.name: sum(getattr(counts, one.name) for counts in each)
                for one in fields(each[0])
            }
        )

    def _counts_of(self, task: Task, seed: int) -> SplitCounts:
        return self._draw(task, seed)[0]

    def _draw(self, task: Task, seed: int) -> tuple[SplitCounts, NDArray[np.intp]]:
        if (task, seed) not in self._drawn:
            split = self._split(task, seed)
            labelled = np.concatenate([split.fit_anomalies, split.val_anomalies])
            self._drawn[task, seed] = split.counts, labelled
        return self._drawn[task, seed]

    def _split(self, task: Task, seed: int) -> Split:
        """Return a split without the labelled anomalies that the detector does not use."""
        # The sizes depend on the classes' sizes and the seed, not on the order of the images.
        sizes = self.data.train.class_counts
        labels = np.repeat(np.arange(len(sizes)), sizes) if self.labels is None else self.labels
        split = draw_split(labels, task, seed)
        if self.study.detector.supervision.labels == "unused":
            return replace(split, fit_anomalies=split.fit_anomalies[:0])
        return split

    @property
    def train_images(self) -> NDArray[np.intp]:
        """Places of the training images that all planned trials of the cell use, ascending.

        The places are those of a training part in order of the classes; their number is that of
        any order.
        """
        splits = [
            self._split(task, seed)
            for task in (self.task, *self.development)
            for seed in self._seeds
        ]
        return np.unique(np.concatenate([one for split in splits for one in split.parts]))

    @property
    def num_labelled(self) -> int:
        """Distinct labelled anomalies that all planned trials of the cell use together.

        With development classes, those of the classes that the cell's trials train, summed.
        """
        return sum(len(self._labelled_of(task)) for task in (self.task, *self.development))

    @property
    def labelled(self) -> frozenset[int]:
        """Places of the labelled anomalies that the trials of the cell's own class use.

        The places are those of ``train_images``.
        """
        return frozenset(self._labelled_of(self.task).tolist())

    def _labelled_of(self, task: Task) -> NDArray[np.intp]:
        return np.unique(np.concatenate([self._draw(task, seed)[1] for seed in self._seeds]))

    @property
    def _seeds(self) -> tuple[int, ...]:
        """The seeds of the trials that train the cell's class."""
        study = self.study
        is_searched = bool(study.num_search_trials) and (
            self.cell.given_class in self.cell.over(study.search.development).classes
        )
        return (
            *(study.search_seeds if is_searched else ()),
            *(() if self.classes else study.confirm_seeds),
        )

    @property
    def num_test_anomalies(self) -> int:
        """Labelled anomalies of the test split, which judge and build nothing."""
        counts = self.data.test.class_counts
        return sum(counts[label] for label in self.task.anomalous_classes)

    @property
    def confirmed(self) -> tuple[CellData, ...]:
        """The cells that the winner is confirmed on."""
        return self.classes or (self,)

    @property
    def num_steps(self) -> int:
        """Return the optimiser steps of an epoch of ``middle_spec``, with the study's own seed."""
        counts = self.counts(self.study.seed)
        detector = self.middle_spec().detector
        num_normals = counts.num_fit_normals + counts.num_fit_hidden
        ratio = self.task.ratio_of(num_normals, counts.num_fit_anomalies)
        return steps_of(detector, ratio, num_normals, counts.num_fit_anomalies)

    def middle_spec(self) -> TrialSpec:
        """Return a typical search trial, for estimates before any trial is drawn.

        The trial takes the first value of every choice and the middle of every range. The
        detector's own values are not used for searched parameters: its other settings may not
        allow them.
        """
        params = draw(
            self.study.search.space,
            lambda axis: axis.draw.at(0.0 if isinstance(axis.draw, Choice) else 0.5),
        )
        return self.search_spec(0, params)

    def search_spec(self, number: int, params: dict[str, Setting]) -> TrialSpec:
        """Return a trial of the cell's search."""
        return self.spec("search", number, params)

    def spec(self, phase: Phase, number: int, params: dict[str, Setting]) -> TrialSpec:
        """Return a trial of any phase.

        A search trial has an instance for each development class and seed of the search. Any other
        trial has one fresh seed.

        Args:
            phase: The phase of the trial.
            number: The trial's place in the search, or the place of its fresh seed.
            params: The searched parameters.
        """
        study = self.study
        seeds = study.search_seeds if phase == "search" else (study.confirm_seeds[number],)
        tasks = (self.task, *self.development)
        first, *further = (Instance(task=task, seed=seed) for task in tasks for seed in seeds)
        detector = with_parameters(study.detector, {**dict(self.cell.settings), **params})
        return TrialSpec(
            cell=self.cell,
            data=self.data,
            task=first.task,
            phase=phase,
            number=number,
            params=params,
            seed=first.seed,
            further=tuple(further),
            max_epochs=study.scheduler.max_epochs,
            detector=detector,
            encoder=self.encoders.of(detector, self.data.image_px),
            policy=study.selection,
            is_candidate=phase == "confirm" and study.confirm.candidates > 1,
        )


def steps_of(
    detector: DetectorConfig, anomaly_ratio: float, num_normals: int, num_anomalies: int
) -> int:
    """Return the optimiser steps of an epoch.

    Args:
        detector: Plans the batches.
        anomaly_ratio: The ratio of the fit split.
        num_normals: Images that are trained on as normal.
        num_anomalies: Labelled anomalies that are trained on.
    """
    return detector.batches(anomaly_ratio).num_steps(num_normals, num_anomalies)


def work_of(cell_data: CellData, params: Mapping[str, Setting]) -> int:
    """Return the floating-point operations of scoring one image with a configuration of a cell."""
    settings = {**dict(cell_data.cell.settings), **params}
    return scoring_flop(
        with_parameters(cell_data.study.detector, settings), cell_data.data.image_shape
    )


def find_cell_data(
    study: Study, library: Library, kept: Mapping[str, Any] | None = None
) -> dict[str, CellData]:
    """Look up every data set and encoder, and check that every cell's split can be drawn.

    No image is opened.

    A cell that searches on development classes holds the data of the cells of all classes.

    Args:
        study: The study whose cells name data sets and classes.
        library: Holds the data sets.
        kept: The configuration that the study's memory keeps, whose encoders count if their files
            are not here; None for a new study.

    Returns:
        The data of each cell that searches, by the cell's label.

    Raises:
        ConfigError: A data set or class is unknown, or too small for what the study asks of it; or
            an encoder cannot be used here.
        DataError: A manifest is damaged, or a file of an encoder's weights.
        StoreError: The store cannot be reached.
    """
    encoders = StudyEncoders(library.objects, kept)
    manifests = {name: find_manifest(library, name) for name in study.cells.datasets}
    labelling = Labelling.of(study, manifests, library)
    found = [
        _cell_data(entry.study_of(cell), cell, manifests[cell.dataset], labelling, encoders)
        for entry in study.entries
        for cell in entry.cells
    ]
    _check_distinct(found)
    return {one.cell.label: one for one in _searching(found)}


def _cell_data(
    study: Study, cell: Cell, data: Manifest, labelling: Labelling, encoders: StudyEncoders
) -> CellData:
    """Return the data of a cell, checked for every seed of its trials."""
    for detector in corner_detectors(dict(cell.settings), study.search, study.detector):
        encoders.of(detector, data.image_px)
    found = CellData(
        study=study,
        cell=cell,
        data=data,
        task=_task(cell, data, study, labelling),
        encoders=encoders,
        labels=labelling.named.labels if labelling.named else None,
    )
    _check_size(found)
    _check_test(found)
    is_searched = not study.search.development or cell.given_class in study.search.development
    for seed in (*(study.search_seeds if is_searched else ()), *study.confirm_seeds):
        _check_counts(found, seed)
    return found


def specs_of_rows(
    study: Study,
    library: Library,
    rows: Sequence[TrialRow],
    kept: Mapping[str, Any] | None = None,
) -> list[TrialSpec]:
    """Make the specifications of confirm or test trials again from their rows, in order.

    Args:
        study: The study of the rows.
        library: Holds the data sets.
        rows: Confirm or test trials.
        kept: As ``find_cell_data`` takes it.

    Raises:
        ConfigError: A data set is gone, or has become too small.
        StudyChangedError: The data or the detector of a row have changed since.
    """
    found = find_cell_data(study, library, kept).values()
    cell_data = {cell.cell.label: cell for one in found for cell in one.confirmed}
    specs = []
    for row in rows:
        cell = cell_data.get(row.cell)
        params = json.loads(row.params)
        spec = cell.spec(cast(Phase, row.phase), row.number, params) if cell else None
        if spec is None or spec.key != row.trial_key:
            raise StudyChangedError(
                f"trial {row.number} of {row.cell} in study {study.name} was made of other data, "
                f"or by another version than this agad's of {row.detector}, so it cannot be built "
                "again; use the data and the version that ran it."
            )
        specs.append(spec)
    return specs


def kept_config(study: Study, cell_data: Mapping[str, CellData], precision: str) -> dict[str, Any]:
    """Return the configuration that the study's memory keeps.

    A study has one precision: a ladder or a mean cannot compare trials of two.
    """
    fingerprints = {one.data.name: one.data.fingerprint for one in cell_data.values()}
    encoders = next((one.encoders.as_json() for one in cell_data.values()), {})
    beside = {"encoders": encoders} if encoders else {}
    return study.as_json() | {"data": fingerprints, "precision": precision} | beside


def _searching(cells: Iterable[CellData]) -> Iterator[CellData]:
    """Yield the cells that search; with development classes, one cell searches for all classes."""
    groups: dict[Cell, dict[ClassGiven, CellData]] = defaultdict(dict)
    for one in cells:
        groups[one.cell.over(one.study.search.development)][one.cell.given_class] = one
    for cell, of_class in groups.items():
        first, *further = cell.classes
        if not cell.development_classes:
            yield of_class[first]
            continue
        yield CellData(
            study=of_class[first].study,
            cell=cell,
            data=of_class[first].data,
            labels=of_class[first].labels,
            task=of_class[first].task,
            encoders=of_class[first].encoders,
            development=tuple(of_class[given].task for given in further),
            classes=tuple(of_class.values()),
        )


def _task(cell: Cell, data: Manifest, study: Study, labelling: Labelling) -> Task:
    every = range(len(data.class_names))
    if cell.normal_class is not None:
        normal = {data.label_of("cells.normal_class", cell.normal_class)}
    else:
        assert cell.anomalous_class is not None
        normal = {*every} - {data.label_of("cells.anomalous_class", cell.anomalous_class)}
    anomalous = tuple(label for label in every if label not in normal)
    selection = study.selection
    if cell.labels is None:
        num_val = selection.num_val_anomalies(data.num_val_anomalies)
    else:
        fits_labels = study.detector.supervision.labels != "unused"
        num_val = selection.num_val_of(cell.labels, fits_labels=fits_labels)
    return Task(
        normal_classes=tuple(sorted(normal)),
        anomalous_classes=anomalous,
        labelled_classes=_labelled(cell.labelled_classes, data, anomalous),
        anomaly_ratio=cell.anomaly_ratio,
        pollution_ratio=cell.pollution_ratio,
        num_val_anomalies=num_val,
        val_share=selection.val_share,
        num_normals=cell.num_normals,
        pool=labelling.pool(cell, anomalous),
    )


def _labelled(
    given: LabelledClasses, data: Manifest, anomalous: tuple[int, ...]
) -> int | tuple[int, ...]:
    name = "cells.labelled_classes"
    if given == "all":
        return anomalous
    if isinstance(given, int):
        if given > len(anomalous):
            raise ConfigError(
                f"{name} holds {given}, but the number of anomalous classes of {data.name} is "
                f'{len(anomalous)}; use at most so many, or "all".'
            )
        return anomalous if given == len(anomalous) else given
    labels = {data.label_of(name, one) for one in given}
    if not labels <= {*anomalous}:
        raise ConfigError(
            f"{name} holds {given}, but must name anomalous classes alone; take the normal out."
        )
    return tuple(sorted(labels))


def _check_counts(cell_data: CellData, seed: int) -> None:
    try:
        _check_normals(cell_data.study.detector, cell_data.counts(seed))
    except ConfigError as error:
        raise ConfigError(f"cell {cell_data.cell.label!r}, seed {seed}: {error}") from error


def _check_size(cell_data: CellData) -> None:
    """Refuse pictures of a size that the detector does not take."""
    detector, data = cell_data.study.detector, cell_data.data
    sizes: tuple[int, ...] = getattr(detector, "picture_sizes", ())
    if sizes and data.image_px not in sizes:
        raise ConfigError(
            f"{detector.name} takes pictures of {', '.join(map(str, sizes))} px, but {data.name} "
            f"holds pictures of {data.image_px} px; import them at one of these sizes under "
            f"another name, or leave {detector.name} out."
        )


def _check_normals(detector: DetectorConfig, counts: SplitCounts) -> None:
    """Refuse a fit split with too few images that count as normal for the detector."""
    num = counts.num_fit_normals + counts.num_fit_hidden
    least = getattr(detector, "least_normals", 1)
    if num < least:
        raise ConfigError(
            f"{type(detector).__name__} needs at least {least} normal images to fit, but the fit "
            f"split has {num}; use a larger cells.num_normals, or another detector."
        )


def _check_test(cell_data: CellData) -> None:
    """Refuse a test part that allows no AUROC, before anything is trained for it."""
    counts = cell_data.data.test.class_counts
    task = cell_data.task
    for kind, labels in (("normal", task.normal_classes), ("anomalous", task.anomalous_classes)):
        if sum(counts[label] for label in labels) == 0:
            raise ConfigError(
                f"cell {cell_data.cell.label!r} cannot be confirmed: the test part of "
                f"{cell_data.data.name} holds no {kind} image; choose another class, or import the "
                "data set with --test-share."
            )


def _check_distinct(cells: Sequence[CellData]) -> None:
    """Refuse two cells that are the same, such as a class given by its label and by its name."""
    if len({one.cell.label for one in cells}) < len(cells):
        raise ConfigError(
            "cells have the same label twice, such as a class by its label and by its name; "
            "drop one, or name all classes in one way."
        )
    whats = {
        one.cell.label: (one.data.fingerprint, one.task, one.cell.settings, one.cell.detector)
        for one in cells
    }
    for what, count in Counter(whats.values()).items():
        if count > 1:
            same = [label for label, one in whats.items() if one == what]
            raise ConfigError(
                f"cells {' and '.join(map(repr, same))} are one and the same; drop one of them."
            )
