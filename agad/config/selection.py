"""The policies that choose a cell's configuration: a class for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from agad.config.counts import check_count, check_label_budget
from agad.config.named_pool import named_pool
from agad.config.typed_json import one_of_kinds
from agad.errors import ConfigError


def _check_val_share(val_share: object) -> None:
    is_number = isinstance(val_share, int | float)
    if not is_number or not 0 < val_share < 1:  # type: ignore[operator]
        raise ConfigError(f"selection.val_share is {val_share!r}, but must be between 0 and 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Select by validation AUROC on labelled anomalies, which are drawn from training images."""

    policy: ClassVar[str] = "labelled"
    objective: ClassVar[str] = "validation AUROC"
    """The name of the figure that is maximised."""

    searches: ClassVar[bool] = True
    """Whether a cell tries configurations before it confirms one."""

    num_anomalies: int | None = None
    """Labelled validation anomalies, the same at every ratio; None is the data set's default.
    Anomalies to fit on come in addition, and each seed draws its own. If the number of labels is
    what is limited, give ``budget``."""

    val_share: float = 0.1
    """Share of the class's training normals held out for validation, in (0, 1)."""

    budget: int | None = None
    """Labelled anomalies to fit and to validate, in all trials of a cell together, at least 2. The
    short form of ``Grid(labels=...)`` with one budget; None is no budget, or the size of
    ``pool``."""

    pool: str | Path | Sequence[str] = ()
    """The labelled anomalies by name, if the study's seed is not to draw them: a list of names, a
    file with a name on each line, or a folder with a copy of each picture. A picture's name is its
    path below the imported folder, or the end of that path if no other picture has it; an image
    of an official format has a name such as ``train[17]``. Read when the study is built."""

    def __post_init__(self) -> None:
        if self.num_anomalies is not None:
            check_count("selection.num_anomalies", self.num_anomalies, 1)
        _check_val_share(self.val_share)
        object.__setattr__(self, "pool", named_pool("selection.pool", self.pool))
        if self.budget is None:
            return
        check_label_budget("selection.budget is", self.budget, least=2)
        if self.num_anomalies is not None:
            raise ConfigError(
                f"selection.num_anomalies is {self.num_anomalies} and selection.budget is "
                f"{self.budget}, but a budget is split between fitting and validation by itself; "
                "leave num_anomalies out."
            )

    def num_val_anomalies(self, default: int) -> int:
        """Return the labelled validation anomalies of a data set with this default."""
        return self.num_anomalies or default

    @property
    def named(self) -> tuple[str, ...]:
        """The names in ``pool``; empty if the study's seed draws the labelled anomalies."""
        return tuple(map(str, self.pool))  # type: ignore[arg-type]  # A path was read before.

    def num_val_of(self, budget: int, *, fits_labels: bool) -> int:
        """Return how many labelled anomalies of a label budget validate; the others are fitted.

        Half of the budget validates, rounded down, so that at least one anomaly does each. All of
        it validates if the detector's fit uses no labels.
        """
        return budget // 2 if fits_labels else budget

    def name(self, num_val_anomalies: int, budget: int | None = None) -> str:
        """Return the policy's name in every row: ``labelled(30)``, or ``labelled(15 of 30)``."""
        of_budget = "" if budget is None else f" of {budget}"
        return f"{self.policy}({num_val_anomalies}{of_budget})"

    def reduced(self, max_epochs: int) -> Labelled:  # noqa: ARG002  As the others have it.
        """Return the policy as it is: it names no epochs."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFree:
    """Select by the mean score of held-out normal images, the lower the better; no labels.

    Validation costs no labelled anomaly. The loss weights are fixed: the score is a part of the
    loss, and a search would always put all weight on that part. The last epoch is reported, and
    the rows are ranked apart from those of labelled selection.
    """

    policy: ClassVar[str] = "label_free"
    objective: ClassVar[str] = "minus the mean validation score"
    """The name of the figure that is maximised. If a detector scores by reconstruction, the score
    is the reconstruction error."""

    searches: ClassVar[bool] = True
    """Whether a cell tries configurations before it confirms one."""

    val_share: float = 0.1
    """Share of the class's training normals held out for validation, in (0, 1)."""

    def __post_init__(self) -> None:
        _check_val_share(self.val_share)

    def num_val_anomalies(self, default: int) -> int:  # noqa: ARG002  As ``Labelled`` has it.
        """Return 0: no labelled anomaly validates."""
        return 0

    def num_val_of(self, budget: int, *, fits_labels: bool) -> int:  # noqa: ARG002  As above.
        """Return 0: all labelled anomalies of a label budget are fitted."""
        return 0

    def name(self, num_val_anomalies: int, budget: int | None = None) -> str:  # noqa: ARG002
        """Return the policy's name in every row."""
        return self.policy

    def reduced(self, max_epochs: int) -> LabelFree:  # noqa: ARG002  As ``FixedEpoch`` has it.
        """Return the policy as it is: it names no epochs."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedEpoch:
    """Select nothing: train each cell's only configuration for a given number of epochs.

    A cell has confirm trials only, and no search phase. The same normal images are held out as
    under the other policies, so the fit has the same number of images. The scores of the held-out
    images are in the rows, and set the threshold of an exported model. The rows are ranked apart.
    """

    policy: ClassVar[str] = "fixed_epoch"
    objective: ClassVar[str] = "minus the mean validation score"
    """The name of the figure that is shown; the figure chooses nothing."""

    searches: ClassVar[bool] = False
    """Whether a cell tries configurations before it confirms one."""

    epochs: int
    """Epochs of every trial; the last one is reported."""

    val_share: float = 0.1
    """Share of the class's training normals held out, in (0, 1)."""

    def __post_init__(self) -> None:
        check_count("selection.epochs", self.epochs, 1)
        _check_val_share(self.val_share)

    def num_val_anomalies(self, default: int) -> int:  # noqa: ARG002  As ``Labelled`` has it.
        """Return 0: no labelled anomaly validates."""
        return 0

    def num_val_of(self, budget: int, *, fits_labels: bool) -> int:  # noqa: ARG002  As above.
        """Return 0: all labelled anomalies of a label budget are fitted."""
        return 0

    def name(self, num_val_anomalies: int, budget: int | None = None) -> str:  # noqa: ARG002
        """Return the policy's name in every row, such as ``fixed_epoch(12)``."""
        return f"{self.policy}({self.epochs})"

    def reduced(self, max_epochs: int) -> FixedEpoch:
        """Return the policy with so few epochs that a laptop finishes them."""
        return replace(self, epochs=min(max_epochs, self.epochs))


Selection: TypeAlias = Labelled | LabelFree | FixedEpoch
SELECTIONS = (Labelled, LabelFree, FixedEpoch)


def selection_as_json(selection: Selection) -> dict[str, Any]:
    """Return a policy as plain JSON values; ``Labelled`` is written without its name.

    ``budget`` and ``pool`` are left out if they are not given, as an earlier version wrote it.
    """
    kind = {} if isinstance(selection, Labelled) else {"policy": selection.policy}
    values = dataclasses.asdict(selection)
    given = {name: [*value] if name == "pool" else value for name, value in values.items()}
    return kind | {
        name: value for name, value in given.items() if name not in ("budget", "pool") or value
    }


def searches(selection: Selection, labels: int | None) -> bool:
    """Whether a cell with a label budget tries configurations before it confirms one.

    With a budget of 0, there is nothing for ``Labelled`` to search by.
    """
    return selection.searches and not (labels == 0 and isinstance(selection, Labelled))


def selection_from_json(values: Mapping[str, Any]) -> Selection:
    """Return the policy of a ``study.json``.

    Raises:
        ConfigError: The policy is unknown to this version, or refuses a value.
    """
    kinds = {one.policy: one for one in SELECTIONS}
    found: Selection = one_of_kinds("selection", values, kinds, "policy", Labelled.policy)
    return found


def ranked_apart(selection: str) -> str:
    """Return the policy under which a row is ranked apart; empty for ``labelled``."""
    policy = selection.partition("(")[0]
    return policy if policy in (LabelFree.policy, FixedEpoch.policy) else ""
