"""The claim of each trial, which the study's memory receives before the trial starts."""

from __future__ import annotations

from collections.abc import Iterator

from agad.errors import OtherDriverError, StoreError
from agad.records import Claim, StudyMemory
from agad.study.attempts import Attempts
from agad.study.running import Launch
from agad.study.store_outage import StoreOutage
from agad.trial import TrialSpec


class Claims:
    """Puts claims, and knows the claims whose trials have not started."""

    def __init__(
        self, study: str, memory: StudyMemory, attempts: Attempts, outage: StoreOutage
    ) -> None:
        """Claim nothing yet.

        Args:
            study: The study's name.
            memory: Receives the claims.
            attempts: Numbers the launches.
            outage: Says how long claims may fail.
        """
        self._study = study
        self._memory = memory
        self._attempts = attempts
        self._outage = outage
        self.unclaimed: TrialSpec | None = None
        """A trial whose claim was not put, or was put when the study may not have been held."""

        self._idle: Launch | None = None
        """A launch that has not started although its claim was put."""

    def put(self, spec: TrialSpec) -> Launch | None:
        """Claim a trial's next attempt; None if the store fails, and the trial stays the next.

        Raises:
            OtherDriverError: Another driver works on this study.
            StoreError: The store has refused claims for too long.
        """
        launch = Launch(spec=spec, attempt=self._attempts.next(spec.key))
        claim = Claim(
            trial_key=spec.key,
            attempt=launch.attempt,
            cell=spec.cell.label,
            phase=spec.phase,
            number=spec.number,
            params=spec.params,
            seeds=spec.seeds,
        )
        try:
            self._memory.check_held()
            is_ours = self._memory.put_claim(claim)
            if is_ours:
                self._idle = launch
                # A put may take longer than another driver waits before it takes the study over.
                self._memory.check_held()
        except StoreError as error:
            self.unclaimed = spec
            self._outage.lose(error)
            return None
        if not is_ours:
            raise OtherDriverError(
                f"attempt {launch.attempt} of trial {spec.key} was claimed by another driver, "
                f"which has taken study {self._study} over; let it finish, or stop it, then run "
                "this command again."
            )
        self.unclaimed = self._idle = None
        self._outage.regain()
        self._attempts.launch(spec.key)
        return launch

    def idle(self, *, is_taken_over: bool) -> Iterator[tuple[str, int]]:
        """Yield the trial key and the attempt of each claim whose trial has not started.

        Args:
            is_taken_over: Whether the study ends because another driver works on it.
        """
        if self._idle is not None:
            yield self._idle.spec.key, self._idle.attempt
        if self.unclaimed is not None and not is_taken_over:
            # The store may have kept the claim and lost its answer.
            yield self.unclaimed.key, self._attempts.next(self.unclaimed.key)
