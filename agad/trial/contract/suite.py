"""The contract of a detector: every check by its name, run one after another."""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from agad.config import DetectorConfig
from agad.errors import AgadError
from agad.trial.contract import fitting, settings, trials
from agad.trial.contract.bench import Bench


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """How one check of a detector ended."""

    check: str
    """The check's name."""

    failure: str = ""
    """The failure, and what to do about it; empty if the check passed."""


_CHECKS: dict[str, Callable[[Bench], None]] = {
    "stages, input, batches": settings.check_answers,
    "default space": settings.check_default_space,
    "bad values": settings.check_bad_values,
    "build": settings.check_build,
    "fit without anomalies": fitting.check_fit_without_anomalies,
    "fit with anomalies": fitting.check_fit_with_anomalies,
    "labels required": trials.check_needs_labels,
    "scores": fitting.check_scores,
    "scores alone": fitting.check_scores_alone,
    "easy anomalies": fitting.check_easy_anomalies,
    "state": fitting.check_state,
    "one seed": fitting.check_one_seed,
    "capabilities": fitting.check_capabilities,
    "work counter": settings.check_work,
    "trial": trials.check_trial,
    "plan --measure": trials.check_measured,
    "saved model": trials.check_saved_model,
    "wrong weights": trials.check_wrong_weights,
    "program": trials.check_program,
}

_CLASS = "class"
_NEEDED = {_CLASS, "stages, input, batches", "build", "fit without anomalies", "fit with anomalies"}
"""If one of these fails, no later check has a meaning."""


def check_names() -> list[str]:
    """Return the names of all checks, in the order in which they run."""
    return [_CLASS, *_CHECKS]


def check_contract(detector: type[DetectorConfig]) -> Iterator[CheckResult]:
    """Yield how each check of a detector ended, as soon as it ended.

    The detector is reduced, and trained for a few epochs. If a check fails on which all later
    checks depend, the rest is left out.

    Args:
        detector: The configuration class, or the object that should be one.
    """
    result = _run(_CLASS, lambda: settings.check_configuration_class(detector), detector)
    yield result
    if result.failure:
        return
    torch.set_num_threads(1)  # Every trial of the checks asks for one thread.
    with tempfile.TemporaryDirectory(prefix="agad-contract-") as folder:
        bench = Bench(detector=detector, folder=Path(folder))
        for name, check in _CHECKS.items():
            result = _run(name, lambda check=check: check(bench), detector)  # type: ignore[misc]
            yield result
            if result.failure and name in _NEEDED:
                return


def _run(name: str, check: Callable[[], None], detector: object) -> CheckResult:
    try:
        check()
    except AgadError as error:
        return CheckResult(check=name, failure=" ".join(str(error).split()))
    except Exception as error:  # noqa: BLE001  Another author's detector may raise anything.
        text = " ".join(str(error).split()) or "no text"
        return CheckResult(
            check=name,
            failure=f"{type(error).__name__}: {text}{_place(error, detector)}; mend that.",
        )
    return CheckResult(check=name)


def _place(error: Exception, detector: object) -> str:
    """Return the line of the detector's own file that raised an exception; empty if none did."""
    module = sys.modules.get(getattr(detector, "__module__", ""))
    file = getattr(module, "__file__", None)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == file]
    return f" ({Path(file).name}, line {lines[-1]})" if file and lines else ""
