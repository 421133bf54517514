"""A detector among those that a study compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agad.config.counts import check_count
from agad.config.detector import DetectorConfig
from agad.config.registry import remember_class
from agad.config.scheduler import SCHEDULERS, Scheduler
from agad.config.search import Search
from agad.config.space import Distribution
from agad.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Candidate:
    """A detector, with its search space, its number of trials and their epochs.

    Example:
        >>> from agad import Candidate, LogUniform, Pca
        >>> Candidate(Pca()).space is None  # Its own space is searched.
        True
        >>> Candidate(Pca(), space={}).searches  # The configuration is confirmed as it is.
        False
    """

    detector: DetectorConfig
    """The detector, with every parameter that the search does not set."""

    space: Mapping[str, Distribution] | None = field(default=None, kw_only=True)
    """Parameters to search; None takes ``detector.default_space()``. If empty, nothing is searched:
    the configuration is confirmed as it is, and its selection costs no label."""

    trials: int | None = field(default=None, kw_only=True)
    """Search trials of a cell; None takes the study's ``search.trials_per_cell``."""

    scheduler: Scheduler | None = field(default=None, kw_only=True)
    """Epochs, and the rule that stops trials; None takes ``detector.default_scheduler()``."""

    def __post_init__(self) -> None:
        check_detector("Candidate.detector", self.detector)
        if self.space is not None:
            Search(space=self.space)
        if self.trials is not None:
            check_count("Candidate.trials", self.trials, 1)
        scheduler: object = self.scheduler
        if scheduler is not None and not isinstance(scheduler, SCHEDULERS):
            choices = ", ".join(f"{one.__name__}(...)" for one in SCHEDULERS)
            raise ConfigError(
                f"Candidate.scheduler is {scheduler!r}, but must be one of: {choices}."
            )
        if self.trials is not None and not self.searches:
            raise ConfigError(
                f"Candidate.trials is {self.trials}, but {type(self.detector).__name__} has "
                "nothing to search here; leave trials out, or give a space."
            )

    @property
    def searched_space(self) -> Mapping[str, Distribution]:
        """The parameters that are searched."""
        return self.detector.default_space() if self.space is None else self.space

    @property
    def searches(self) -> bool:
        """Whether anything is searched."""
        return bool(self.searched_space)

    @property
    def rule(self) -> Scheduler:
        """The given scheduler, or else the detector's own."""
        return self.scheduler or self.detector.default_scheduler()

    def reduced(self) -> Candidate:
        """Return the candidate at a laptop's budget."""
        return Candidate(
            self.detector.reduced(),
            space=self.space,
            trials=None if self.trials is None else min(4, self.trials),
            scheduler=self.rule.reduced(3),
        )


def check_detector(name: str, value: object) -> None:
    """Refuse a value that is no detector, and let a detector's class be found by its name.

    Raises:
        ConfigError: The value is no detector; the message says why.
    """
    if isinstance(value, type) or not isinstance(value, DetectorConfig):
        raise ConfigError(
            f"{name} is {value!r}, but must be a detector, such as Agad(...); `agad detectors` "
            "lists them."
        )
    remember_class(type(value))
