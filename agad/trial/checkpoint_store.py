"""The checkpoints of one trial in the store: no checkpoint ever changes, and the newest counts."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from functools import cached_property

from agad.errors import StoreError
from agad.objects import ObjectStore, open_objects
from agad.records import CheckpointName, checkpoint_key, checkpoints_of, trial_prefix
from agad.trial.checkpoint import to_bytes
from agad.trial.lockstep import LockStep
from agad.trial.training import Training
from agad.trial.trial_spec import Runtime, TrialSpec

logger = logging.getLogger(__name__)

EVERY_S = 300.0
"""The most seconds of training lost when a worker dies, beside its unfinished epoch."""


class CheckpointStore:
    """Puts a trial's checkpoints and finds those of its earlier attempts.

    If the store fails, the trial goes on without checkpoints: they save time and decide nothing.
    """

    def __init__(self, spec: TrialSpec, runtime: Runtime) -> None:
        self._store = runtime.store
        self._plan = runtime.checkpoints
        self._trial_key = spec.training_key
        self._is_first = spec.phase != "test" and (not self._plan or self._plan.attempt == 0)
        self._keys: set[str] = set()
        self._last_put_s = time.monotonic()

    @cached_property
    def _objects(self) -> ObjectStore:
        # An S3 client takes a tenth of a second to make, and most trials put no checkpoint.
        return open_objects(self._store)

    def found(self) -> Iterator[tuple[str, bytes]]:
        """Yield the place and the bytes of each checkpoint of earlier attempts, the newest first.

        A first attempt does not ask the store. A test trial always asks, because its confirm trial
        came before it.
        """
        if self._plan is None or self._is_first:
            return
        try:
            prefix = self._plan.prefix
            keys = self._objects.list(trial_prefix(prefix, self._trial_key))
            by_name = {name: self._key(prefix, name) for _, name in checkpoints_of(prefix, keys)}
            self._keys |= {*by_name.values()}
            for _, key in sorted(by_name.items(), reverse=True):
                yield f"{self._objects.uri}/{key}", self._objects.get(key)
        except StoreError as error:
            logger.warning("Trial %s finds no checkpoint more (%s).", self._trial_key, error)

    def _key(self, prefix: str, name: CheckpointName) -> str:
        return checkpoint_key(prefix, self._trial_key, name)

    def is_due(self, num_epochs: int) -> bool:
        """Whether a trial that goes on after ``num_epochs`` puts a checkpoint."""
        if self._plan is None:
            return False
        is_late = time.monotonic() - self._last_put_s >= EVERY_S
        return is_late or (num_epochs in self._plan.milestones and not self._plan.pauses)

    def is_due_at_once(self, num_epochs: int) -> bool:
        """Whether a trial puts a checkpoint before it reports the last of ``num_epochs``."""
        plan = self._plan
        return plan is not None and plan.pauses and num_epochs in plan.milestones

    def keep(self, training: Training | LockStep) -> None:
        """Keep a checkpoint of the trial as it is now, if the plan keeps this epoch."""
        kept = self._plan.kept if self._plan is not None else None
        if self._plan is None or kept is None or training.spec.phase == "search":
            return
        if not kept.has(training.num_epochs, training.spec.max_epochs):
            return
        name = self._name(training, self._plan.attempt)
        key = self._key(kept.prefix, name)
        try:
            self._objects.put_if_absent(key, to_bytes(training.state()))
        except StoreError as error:
            logger.warning("Trial %s does not keep %s (%s).", self._trial_key, name, error)

    @staticmethod
    def _name(training: Training | LockStep, attempt: int) -> CheckpointName:
        num_epochs = training.num_epochs
        return CheckpointName(
            num_epochs=num_epochs,
            num_pretrained=0 if num_epochs else training.num_pretrained,
            attempt=attempt,
        )

    def put(self, training: Training | LockStep) -> None:
        """Put a checkpoint of the trial as it is now, then remove the older checkpoints."""
        if self._plan is None:
            return
        self._last_put_s = time.monotonic()
        name = self._name(training, self._plan.attempt)
        key = self._key(self._plan.prefix, name)
        try:
            self._objects.put_if_absent(key, to_bytes(training.state()))
            olders = self._keys - {key}
            self._keys.add(key)
            for older in sorted(olders):
                self._objects.delete(older)
                self._keys.remove(older)
        except StoreError as error:
            logger.warning(
                "Trial %s goes on without a new checkpoint (%s).", self._trial_key, error
            )
