"""Several instances of one trial, trained in lock-step: epoch by epoch, as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, TypeVar

from agad.config import count_text
from agad.errors import CheckpointError, TrialDivergedError
from agad.trial.checkpoint import Checkpointed, check_trial
from agad.trial.results import EpochResult
from agad.trial.training import Training
from agad.trial.trial_spec import TrialSpec

_Result = TypeVar("_Result")


@dataclass(slots=True, kw_only=True)
class LockStep(Checkpointed):
    """A trial of several instances between two epochs, used as a ``Training`` is."""

    spec: TrialSpec
    instances: tuple[Training, ...]
    """A ``Training`` for each of ``spec.instances``, all after the same number of epochs."""

    @property
    def num_epochs(self) -> int:
        """Epochs trained."""
        return self.instances[0].num_epochs

    @property
    def history(self) -> list[EpochResult]:
        """The epochs trained, each the mean over the instances."""
        histories = (one.history for one in self.instances)
        return [mean_result(results) for results in zip(*histories, strict=True)]

    @property
    def num_pretrained(self) -> int:
        """Trained epochs before the study's first epoch, of each instance."""
        return self.instances[0].num_pretrained

    def pretrain(self) -> bool:
        """Train one epoch of every instance, of the stages before the study's first epoch.

        Returns:
            Whether there was an epoch left to train.
        """
        had_epochs = [self._in_turn(one, one.pretrain) for one in self.instances]
        return any(had_epochs)

    def advance(self) -> None:
        """Train one epoch of every instance.

        Raises:
            TrialDivergedError: An instance diverged, and with it the trial.
        """
        for one in self.instances:
            self._in_turn(one, one.advance)

    @staticmethod
    def _in_turn(one: Training, train: Callable[[], _Result]) -> _Result:
        try:
            return train()
        except TrialDivergedError as error:
            raise TrialDivergedError(
                f"class {one.spec.given_label}, seed {one.spec.seed}: {error}"
            ) from error

    def check_scores(self) -> None:
        """Refuse scores of any instance that depend on the images around them."""
        for one in self.instances:
            one.check_scores()

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        return {
            "trial_key": self.spec.training_key,
            "instances": [one.state() for one in self.instances],
        }

    def go_on_from(self, state: Mapping[str, Any], where: str) -> None:
        """Go on from a checkpoint's state.

        Args:
            state: As ``state`` returned it.
            where: Where the checkpoint is, for the error.

        Raises:
            CheckpointError: The checkpoint is of another trial, or lacks something. The parts
                restored before the error stay restored.
        """
        check_trial(state, self.spec, where)
        states: Any = state.get("instances")
        is_whole = isinstance(states, list) and all(isinstance(one, dict) for one in states)
        if not is_whole or len(states) != len(self.instances):
            raise CheckpointError(
                f"{where} does not hold the {count_text(len(self.instances), 'instance')} of its "
                "trial; remove it to start anew."
            )
        for number, (one, of_one) in enumerate(zip(self.instances, states, strict=True)):
            one.go_on_from(of_one, f"{where}, instance {number},")
        if len({(one.num_pretrained, one.num_epochs) for one in self.instances}) > 1:
            raise CheckpointError(
                f"{where} holds instances after different numbers of epochs; remove it to start "
                "anew."
            )


def mean_result(results: Sequence[EpochResult]) -> EpochResult:
    """Return the mean over instances of one epoch; its seconds are their sum."""
    val_aurocs = [one.val_auroc for one in results if one.val_auroc is not None]
    names = dict.fromkeys(name for one in results for name in one.losses)
    return replace(
        results[0],
        objective=fmean(one.objective for one in results),
        val_auroc=fmean(val_aurocs) if len(val_aurocs) == len(results) else None,
        train_s=sum(one.train_s for one in results),
        pretrain_s=sum(one.pretrain_s for one in results),
        pretrain_before_s=sum(one.pretrain_before_s for one in results),
        losses={name: _mean_of(name, results) for name in names},
    )


def _mean_of(name: str, results: Iterable[EpochResult]) -> float:
    return fmean(one.losses[name] for one in results if name in one.losses)
