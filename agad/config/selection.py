"""What chooses a cell's configuration: one class a policy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias

from agad.config.counts import check_count
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
    """What is maximised."""

    searches: ClassVar[bool] = True
    """Whether a cell tries configurations before it confirms one."""

    num_anomalies: int | None = None
    """Labelled validation anomalies, the same at every ratio; None is the data set's default."""

    val_share: float = 0.1
    """Share of the class's training normals held out for validation, in (0, 1)."""

    def __post_init__(self) -> None:
        if self.num_anomalies is not None:
            check_count("selection.num_anomalies", self.num_anomalies, 1)
        _check_val_share(self.val_share)

    def num_val_anomalies(self, default: int) -> int:
        """Return the labelled validation anomalies of a data set with this default."""
        return self.num_anomalies or default

    def name(self, num_val_anomalies: int) -> str:
        """Return what stands in every row, such as ``labelled(30)``."""
        return f"{self.policy}({num_val_anomalies})"

    def reduced(self, max_epochs: int) -> Labelled:  # noqa: ARG002  As the others have it.
        """Return the policy as it is: it names no epochs."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFree:
    """Select by the mean score of held-out normal images, the lower the better; no labels.

    Validation costs no labelled anomaly. The loss weights are fixed: a search by this figure would
    always switch the contextual adversarial term off. The last epoch is reported, and the rows are
    ranked apart from those of labelled selection.
    """

    policy: ClassVar[str] = "label_free"
    objective: ClassVar[str] = "minus the mean validation score"
    """What is maximised; of a detector that scores by how it rebuilds, the score is the
    reconstruction error."""

    searches: ClassVar[bool] = True
    """Whether a cell tries configurations before it confirms one."""

    val_share: float = 0.1
    """Share of the class's training normals held out for validation, in (0, 1)."""

    def __post_init__(self) -> None:
        _check_val_share(self.val_share)

    def num_val_anomalies(self, default: int) -> int:  # noqa: ARG002  As ``Labelled`` has it.
        """Return 0: no labelled anomaly validates."""
        return 0

    def name(self, num_val_anomalies: int) -> str:  # noqa: ARG002  As ``Labelled`` has it.
        """Return what stands in every row."""
        return self.policy

    def reduced(self, max_epochs: int) -> LabelFree:  # noqa: ARG002  As ``FixedEpoch`` has it.
        """Return the policy as it is: it names no epochs."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedEpoch:
    """Select nothing: each cell's one configuration, trained for epochs that are given in advance.

    There is no search phase: a cell's confirm trials are all it trains. The same normal images are
    held out as under the other policies, so that the fit has as many; their scores are in the
    rows, and set the threshold of an exported model. The rows are ranked apart.
    """

    policy: ClassVar[str] = "fixed_epoch"
    objective: ClassVar[str] = "minus the mean validation score"
    """What is shown; it chooses nothing."""

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

    def name(self, num_val_anomalies: int) -> str:  # noqa: ARG002  As ``Labelled`` has it.
        """Return what stands in every row, such as ``fixed_epoch(12)``."""
        return f"{self.policy}({self.epochs})"

    def reduced(self, max_epochs: int) -> FixedEpoch:
        """Return the policy for so few epochs that a laptop finishes them."""
        return replace(self, epochs=min(max_epochs, self.epochs))


Selection: TypeAlias = Labelled | LabelFree | FixedEpoch
SELECTIONS = (Labelled, LabelFree, FixedEpoch)


def selection_as_json(selection: Selection) -> dict[str, Any]:
    """Return a policy as plain JSON values; what names none is ``Labelled``."""
    kind = {} if isinstance(selection, Labelled) else {"policy": selection.policy}
    return kind | dataclasses.asdict(selection)


def selection_from_json(values: Mapping[str, Any]) -> Selection:
    """Return the policy of a ``study.json``.

    Raises:
        ConfigError: A policy that this version does not know, or a value that it does not allow.
    """
    fields = dict(values)
    policy = fields.pop("policy", Labelled.policy)
    for kind in SELECTIONS:
        if kind.policy == policy:
            break
    else:
        known = ", ".join(one.policy for one in SELECTIONS)
        raise ConfigError(
            f"selection.policy is {policy!r}, but must be one of: {known}; upgrade agad."
        )
    unknown = sorted(fields.keys() - {field.name for field in dataclasses.fields(kind)})
    if unknown:
        raise ConfigError(
            f"selection has {', '.join(unknown)}, which {policy} does not know; upgrade agad."
        )
    return kind(**fields)


def ranked_apart(selection: str) -> str:
    """Return the policy that a row's selection is ranked apart by; empty for ``labelled``."""
    policy = selection.partition("(")[0]
    return policy if policy in (LabelFree.policy, FixedEpoch.policy) else ""
