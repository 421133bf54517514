"""The protocols: who is fitted, who validates, and that nobody does both."""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, fields
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agad.data.streams import Purpose, stream
from agad.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelPool:
    """The labelled anomalies of a label budget, the same in every trial that has the budget."""

    num_anomalies: int
    """Images of the pool, at least 2."""

    seed: int
    """The study's seed, which draws the pool. The seed of a trial never does."""

    named: tuple[int, ...] = ()
    """Indices of the images that a user named, from which the pool is drawn; empty if all images of
    labelled classes may be drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The normal classes, and what is known of the other classes.

    In the one-class protocol one class is normal; in leave-one-out, all but one are.

    Source: AGAD, section 4; Ruff et al., "Deep Semi-Supervised Anomaly Detection", ICLR 2020; Akcay
    et al., "GANomaly", ACCV 2018 (leave-one-out).
    """

    normal_classes: tuple[int, ...]
    """Labels, ascending."""

    anomalous_classes: tuple[int, ...]
    """Labels of all other classes, ascending."""

    labelled_classes: int | tuple[int, ...]
    """Anomalous classes with labelled images: how many classes, drawn by the seed, or which
    classes."""

    anomaly_ratio: float
    """gamma = a / (n + a), in [0, 1), of n unlabelled fit images and a labelled anomalies."""

    pollution_ratio: float
    """Hidden anomalies / unlabelled images, in [0, 1), for fitting and for validation alike."""

    num_val_anomalies: int
    """Labelled anomalies for validation, outside the ratio's budget."""

    val_share: float
    """Share of the training normals held out, in (0, 1); at least one image."""

    num_normals: int | None = None
    """Normal images of the fit split; None for all that do not validate."""

    pool: LabelPool | None = None
    """The labelled anomalies that a label budget allows: ``num_val_anomalies`` of them validate,
    and the others are fitted. None if ``anomaly_ratio`` says how many are fitted."""

    def ratio_of(self, num_unlabelled: int, num_anomalies: int) -> float:
        """Return the anomaly ratio of the fit split, which a label budget does not state."""
        if self.pool is None:
            return self.anomaly_ratio
        return num_anomalies / (num_unlabelled + num_anomalies)

    def as_key(self) -> dict[str, Any]:
        """Return what decides a draw, for a trial's key.

        A field that an earlier version did not have is left out at its default, so that the keys of
        that version stay.
        """
        later = {one.name: one.default for one in fields(self) if one.default is not MISSING}
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in later or value != later[name]
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Disjoint indices into the training images of a data set, each ascending."""

    fit_normals: NDArray[np.intp]
    fit_hidden: NDArray[np.intp]
    """Anomalies that the detector trains on as if they were normal."""

    fit_anomalies: NDArray[np.intp]
    """Labelled anomalies that the detector trains on."""

    val_normals: NDArray[np.intp]
    val_hidden: NDArray[np.intp]
    """Anomalies that the validation AUROC counts as normal."""

    val_anomalies: NDArray[np.intp]
    """Labelled anomalies that the validation AUROC needs."""

    @property
    def parts(self) -> tuple[NDArray[np.intp], ...]:
        """Every part, in the order of the fields."""
        return tuple(getattr(self, one.name) for one in fields(self))

    @property
    def counts(self) -> SplitCounts:
        """How many images each part has."""
        return SplitCounts(
            **{f"num_{one.name}": len(getattr(self, one.name)) for one in fields(self)}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCounts:
    """The sizes of a split's parts."""

    num_fit_normals: int
    num_fit_hidden: int
    num_fit_anomalies: int
    num_val_normals: int
    num_val_hidden: int
    num_val_anomalies: int


def num_for_share(num_others: int, share: float) -> int:
    """Count the images that make up a share beside n others: floor(share n / (1 - share)).

    The arithmetic is exact in the decimal digits of the share, so .2 beside 5,000 is 1,250.

    Source: AGAD, section 4: gamma = a / (n + a); Deep SAD's pollution ratio likewise.
    """
    exact = Fraction(repr(share))
    return int(exact * num_others / (1 - exact))


def _largest_share(num_images: int, num_others: int) -> float:
    """Return the largest share, in thousandths, that so many images make up beside n others."""
    return 1000 * num_images // (num_images + num_others) / 1000


def draw_split(labels: NDArray[np.int64], task: Task, seed: int) -> Split:
    """Draw who is fitted and who validates from the training images of a data set.

    ``val_share`` of the normals validate and the rest is fitted. Anomalies are drawn without
    repetition, evenly over their classes, in this order:

    - for validation, of labelled classes alone, the same at every ratio,
    - hidden, of any anomalous class,
    - labelled, so that a higher ``anomaly_ratio`` keeps all anomalies of a lower ratio.

    With ``num_normals``, only so many of the normals are fitted. Fewer normals are always among
    more, and so are the anomalies beside them. Validation stays as it is without ``num_normals``.

    With a ``pool``, the labelled anomalies are drawn first: the pool by the study's seed, evenly
    over the labelled classes, a smaller pool inside a larger one. The seed of the trial then draws
    which of the pool are fitted and which validate. No other labelled anomaly is ever used.

    Hidden anomalies pollute validation at the same ratio as fitting: a user who cannot tell them
    apart for fitting cannot for validation either.

    The images must be distinct, as those of an imported data set are.

    Args:
        labels: Class of each training image, shape ``(num_images,)``.
        task: The classes and the label budget.
        seed: The trial's; the same seed gives the same split on any machine.

    Raises:
        ConfigError: The images are too few.
    """
    normals = np.flatnonzero(np.isin(labels, task.normal_classes))
    num_val = _num_val_normals(task, len(normals))
    shuffled = stream(seed, Purpose.VAL_NORMALS).permutation(normals)
    num_fit = len(normals) - num_val
    num_taken = _num_fit_normals(task, num_fit, num_val)

    pools = _Anomalies(labels, task, seed)
    of_pool = pools.draw_pool() if task.pool else None
    val_anomalies = of_pool[1] if of_pool else pools.draw_for_validation()
    hidden = pools.draw_hidden(num_fit, num_val)
    fit_hidden, val_hidden = np.split(hidden, [num_for_share(num_fit, task.pollution_ratio)])
    fit_hidden = fit_hidden[: num_for_share(num_taken, task.pollution_ratio)]
    num_unlabelled = num_taken + len(fit_hidden)
    fit_anomalies = of_pool[0] if of_pool else pools.draw_labelled(num_unlabelled)
    return Split(
        fit_normals=np.sort(shuffled[num_val:][:num_taken]),
        fit_hidden=np.sort(fit_hidden),
        fit_anomalies=np.sort(fit_anomalies),
        val_normals=np.sort(shuffled[:num_val]),
        val_hidden=np.sort(val_hidden),
        val_anomalies=np.sort(val_anomalies),
    )


def num_fit_and_val(num_normals: int, val_share: float) -> tuple[int, int]:
    """Return how many normal images of a training part are fitted, and how many validate.

    Args:
        num_normals: Training images of the normal classes.
        val_share: Share of them that validate, in (0, 1); at least one image does.
    """
    num_val = max(1, round(val_share * num_normals))
    return max(0, num_normals - num_val), num_val


def _num_val_normals(task: Task, num_normals: int) -> int:
    num_fit, num_val = num_fit_and_val(num_normals, task.val_share)
    if num_fit < 2:
        classes = ", ".join(map(str, task.normal_classes))
        raise ConfigError(
            f"normal class {classes} has {num_normals} training images, but needs 2 to fit beside "
            f"{num_val} to validate; choose another class or a smaller selection.val_share."
        )
    return num_val


def _num_fit_normals(task: Task, num_fit: int, num_val: int) -> int:
    """Return how many of the ``num_fit`` normals that do not validate are fitted."""
    if task.num_normals is None:
        return num_fit
    if task.num_normals > num_fit:
        raise ConfigError(
            f"cells.num_normals holds {task.num_normals}, but the fit split has {num_fit} normal "
            f"images, beside the {num_val} that validate; use at most {num_fit}, or None for all."
        )
    return task.num_normals


class _Anomalies:
    """Draws anomalies of a data set for one purpose after the other, none of them twice."""

    def __init__(self, labels: NDArray[np.int64], task: Task, seed: int) -> None:
        self._labels = labels
        self._task = task
        self._seed = seed
        self._left = np.flatnonzero(np.isin(labels, task.anomalous_classes))
        classes = task.labelled_classes
        if isinstance(classes, int):
            rng = stream(task.pool.seed if task.pool else seed, Purpose.LABELLED_CLASSES)
            classes = tuple(rng.permutation(task.anomalous_classes)[:classes].tolist())
        self._labelled_classes = classes

    def draw_pool(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Draw the labelled anomalies of the label budget: those to fit, and those to validate."""
        task = self._task
        assert task.pool is not None
        candidates = self._left_of_labelled_classes()
        if task.pool.named:
            candidates = np.intersect1d(candidates, task.pool.named)
        wanted = task.pool.num_anomalies
        if wanted > len(candidates):
            raise ConfigError(
                f"cells.labels holds {wanted}, but the training part holds {len(candidates)} "
                "anomalies of labelled classes; use a budget of at most so many."
            )
        order = _balanced_order(
            self._labels, candidates, stream(task.pool.seed, Purpose.LABEL_POOL)
        )
        pool = np.sort(order[:wanted])
        self._left = np.setdiff1d(self._left, pool, assume_unique=True)
        mixed = _balanced_order(self._labels, pool, stream(self._seed, Purpose.FIT_ANOMALIES))
        num_fit = wanted - task.num_val_anomalies
        return mixed[:num_fit], mixed[num_fit:]

    def draw_for_validation(self) -> NDArray[np.intp]:
        """Draw the labelled anomalies of validation."""
        pool = self._left_of_labelled_classes()
        wanted = self._task.num_val_anomalies
        if wanted > len(pool):
            hint = (
                ""
                if len(pool)
                else "; import it with --test-share, which leaves some in it, or select without "
                "them, by LabelFree()"
            )
            raise ConfigError(
                f"selection.num_anomalies is {wanted}, but the training part holds {len(pool)} "
                f"anomalies of labelled classes{hint}; use at most so many."
            )
        return self._draw(pool, wanted, Purpose.VAL_ANOMALIES)

    def draw_hidden(self, num_fit: int, num_val: int) -> NDArray[np.intp]:
        """Draw the hidden anomalies among so many normals, those for fitting first."""
        ratio = self._task.pollution_ratio
        wanted = num_for_share(num_fit, ratio) + num_for_share(num_val, ratio)
        if wanted > len(self._left):
            limit = _largest_share(len(self._left), num_fit + num_val)
            pool = self._task.pool
            labelled = (
                f"{pool.num_anomalies} labelled ones"
                if pool
                else f"{self._task.num_val_anomalies} labelled ones for validation"
            )
            raise ConfigError(
                f"cells.pollution_ratio is {ratio:g}, which needs {wanted} anomalies beside the "
                f"{labelled}, but the training part has {len(self._left)} left; use a ratio of at "
                f"most {limit}."
            )
        return self._draw(self._left, wanted, Purpose.HIDDEN_ANOMALIES)

    def draw_labelled(self, num_unlabelled: int) -> NDArray[np.intp]:
        """Draw the labelled anomalies to train on beside so many unlabelled images."""
        ratio = self._task.anomaly_ratio
        pool = self._left_of_labelled_classes()
        wanted = num_for_share(num_unlabelled, ratio)
        if wanted > len(pool):
            limit = _largest_share(len(pool), num_unlabelled)
            smaller = ", or a smaller selection.num_anomalies" * bool(self._task.num_val_anomalies)
            raise ConfigError(
                f"cells.anomaly_ratio is {ratio:g}, which needs {wanted} anomalies of labelled "
                f"classes beside the {self._task.num_val_anomalies} for validation, but the "
                f"training part has {len(pool)} left; use a ratio of at most {limit}{smaller}."
            )
        return self._draw(pool, wanted, Purpose.FIT_ANOMALIES)

    def _left_of_labelled_classes(self) -> NDArray[np.intp]:
        return self._left[np.isin(self._labels[self._left], self._labelled_classes)]

    def _draw(self, pool: NDArray[np.intp], wanted: int, purpose: Purpose) -> NDArray[np.intp]:
        order = _balanced_order(self._labels, pool, stream(self._seed, purpose))
        self._left = np.setdiff1d(self._left, order[:wanted], assume_unique=True)
        return order[:wanted]


def _balanced_order(
    labels: NDArray[np.int64], indices: NDArray[np.intp], rng: np.random.Generator
) -> NDArray[np.intp]:
    """Shuffle so that every prefix holds the classes as evenly as their sizes allow."""
    if len(indices) == 0:
        return indices
    classes = rng.permutation(np.unique(labels[indices]))
    members = [rng.permutation(indices[labels[indices] == label]) for label in classes]
    place = np.concatenate([np.arange(len(one)) for one in members])
    # A stable sort by place in the class deals one of each class in turn.
    return np.concatenate(members)[np.argsort(place, kind="stable")]
