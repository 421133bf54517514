"""Checks of a detector's configuration class, which train nothing."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from agad.config import (
    BatchPlan,
    Candidate,
    DetectorConfig,
    Grid,
    InputSpec,
    Stage,
    Study,
    check_class,
    remember_class,
)
from agad.detectors.compute import scoring_flop
from agad.errors import ConfigError
from agad.trial.contract.bench import IMAGE_SHAPE, Bench, ContractError

_METHODS = ("begin_stage", "fit_epoch", "score", "scoring_weights", "state", "restore")


def check_configuration_class(detector: type[DetectorConfig]) -> None:
    """A study, a row and a saved model can name the class."""
    check_class(detector)
    detector()
    remember_class(detector)


def check_answers(bench: Bench) -> None:
    """The stages, the input, the batches and the reduced detector are of the right kind."""
    config = bench.detector()
    stages = config.stages
    if not stages or not all(isinstance(stage, Stage) for stage in stages):
        raise ContractError(f"stages is {stages!r}, but must be a tuple of at least one Stage.")
    if stages[-1].epochs is not None or any(stage.epochs is None for stage in stages[:-1]):
        raise ContractError(
            f"stages is {stages!r}, but the last stage must have epochs=None, which are the "
            "study's, and every stage before it a number of its own."
        )
    if len({stage.name for stage in stages}) < len(stages):
        raise ContractError(f"stages is {stages!r}, but every stage needs a name of its own.")
    if not isinstance(config.input(), InputSpec):
        raise ContractError(f"input() returns {config.input()!r}, but must return an InputSpec.")
    for ratio in (0.0, 0.1):
        _check_batches(ratio, config.batches(ratio))
    reduced = config.reduced()
    if type(reduced) is not bench.detector:
        raise ContractError(
            f"reduced() returns {reduced!r}, but must return a {bench.detector.__name__}."
        )


def _check_batches(ratio: float, plan: object) -> None:
    if not isinstance(plan, BatchPlan):
        raise ContractError(f"batches({ratio}) returns {plan!r}, but must return a BatchPlan.")
    if plan.batch_size is not None and not 0 <= plan.num_anomalies < plan.batch_size:
        raise ContractError(
            f"batches({ratio}) returns {plan!r}, but a batch must have room for a normal image."
        )


def check_default_space(bench: Bench) -> None:
    """A study can search the default space: the detector can be built at every corner of it."""
    Study(
        name="contract",
        cells=Grid(dataset="digits", normal_class=0, anomaly_ratio=0.1),
        detectors=[Candidate(bench.detector())],
    )


def check_bad_values(bench: Bench) -> None:
    """Every parameter refuses a meaningless value by a ``ConfigError`` of one line."""
    for field in dataclasses.fields(bench.detector):
        for value in _bad_values(field):
            _check_refused(bench.detector, field.name, value)


def _bad_values(field: dataclasses.Field[Any]) -> tuple[object, ...]:
    """Return values without a meaning for a parameter.

    The parameter's default tells which values; if the default is None, the type does.
    """
    if isinstance(field.default, bool):
        return ("a text",)
    if isinstance(field.default, str) or (field.default is None and "str" in str(field.type)):
        return ("no such word",)
    return (math.nan, "a text")


def _check_refused(detector: type[DetectorConfig], parameter: str, value: object) -> None:
    wrong = f"{detector.__name__}({parameter}={value!r})"
    advice = "check the value in __post_init__, as by self._check(...), which raises ConfigError."
    try:
        detector(**{parameter: value})
    except ConfigError as error:
        if "\n" in str(error):
            raise ContractError(
                f"{wrong} is refused in several lines; a refusal must be one line."
            ) from error
    # The constructor of another author may raise anything.
    except Exception as error:
        raise ContractError(f"{wrong} raises {type(error).__name__}; {advice}") from error
    else:
        raise ContractError(f"{wrong} is taken; {advice}")


def check_build(bench: Bench) -> None:
    """``build`` returns an object with every method of a detector."""
    built = bench.build()
    missing = [name for name in _METHODS if not callable(getattr(built, name, None))]
    if missing:
        raise ContractError(
            f"build() returns a {type(built).__name__}, which lacks {', '.join(missing)}; see "
            "agad.detectors.Detector for what each does."
        )


def check_work(bench: Bench) -> None:
    """The operations of a score can be counted, or the count is refused in one line."""
    try:
        scoring_flop(bench.config, IMAGE_SHAPE)
    except ConfigError as error:
        if "\n" in str(error):
            raise ContractError(
                "build_scorer(shape, None) refuses to be counted in several lines; give its "
                "ValueError a text of one line."
            ) from error
