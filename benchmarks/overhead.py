"""Seconds of overhead a trial: this project's engine beside a plain Ray Tune script.

    python -m benchmarks.overhead --trials 400                                  # side by side
    python -m benchmarks.overhead --trials 4000 --cells 20 --plain-trials 0     # does it slow down?

Both run the same no-op trials: 2 searched parameters, 9 epochs at most, ASHA. The engine keeps its
claims and rows in a local store and is told of a rung alone; the plain script is OptunaSearch and
ASHAScheduler with Ray Tune's defaults, its cells a grid that OptunaSearch cannot cross with a
search, so a categorical parameter. The figure is the wall time of all trials, without Ray's start.

The engine's first and last trials are timed apart, a tenth of all. Left out of each is a hundredth
of all, in which workers start and Tune ends. The driver's own memory (anonymous pages) is read at
the start, in the middle and at the end.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from agad import Agad, Asha, Confirm, Grid, LogUniform, Search, Study
from agad.data import Library, NodeCache, find_manifest
from agad.executor.tune import ClusterOptions, run_study
from agad.objects import open_objects
from agad.records import StudyStatus
from agad.store import StudyStore
from agad.trial import EpochResult, Runtime, TrialSpec
from benchmarks.result_page import show

MAX_EPOCHS = 9
ASHA = Asha(max_epochs=MAX_EPOCHS, grace_period=1, reduction_factor=3)


def objective(lr: float, weight: float, epoch: int) -> float:
    """A smooth objective in (0, 1) that grows with the epoch and needs no work."""
    return (1 - 1 / (epoch + 2)) / (1 + (lr - 1e-3) ** 2 * 1e4 + (weight - 15) ** 2 * 1e-3)


def no_op(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:  # noqa: ARG001
    """A trial that trains nothing."""
    params = {name: float(value) for name, value in spec.params.items()}
    for epoch in range(spec.max_epochs):
        val_auroc = objective(params["lr"], params["weight_adcon"], epoch)
        yield EpochResult(epoch=epoch, objective=val_auroc, val_auroc=val_auroc, train_s=0.0)


def plain_no_op(config: dict[str, Any]) -> None:
    """The same trial for plain Ray Tune."""
    for epoch in range(MAX_EPOCHS):
        tune.report({"val_auroc": objective(config["lr"], config["weight_adcon"], epoch)})


@dataclass(frozen=True, slots=True)
class Moment:
    """The driver when it first had so many ended trials."""

    at_s: float
    num_ended: int
    memory_mib: float


class Log:
    """The moments at which the engine showed how far it is."""

    def __init__(self) -> None:
        self.start_s = time.perf_counter()
        self.moments: list[Moment] = []

    def watch(self, status: StudyStatus) -> None:
        """Note the moment."""
        num_ended = sum(cell.ended + cell.confirmed for cell in status.cells)
        at_s = time.perf_counter() - self.start_s
        if not self.moments or num_ended > self.moments[-1].num_ended:
            self.moments.append(Moment(at_s, num_ended, _memory_mib()))

    def ms_a_trial(self, first: int, last: int) -> float:
        """Return the milliseconds a trial between two of them, by the moments around each."""
        nums = [one.num_ended for one in self.moments]
        times = [one.at_s for one in self.moments]
        start_s, end_s = np.interp([first, last], nums, times)
        return 1000 * float(end_s - start_s) / (last - first)

    def memory_mib(self, num_ended: int) -> float:
        """Return the driver's own memory when so many trials had ended."""
        nums = [one.num_ended for one in self.moments]
        return float(np.interp(num_ended, nums, [one.memory_mib for one in self.moments]))


def _memory_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no RssAnon")


def time_engine(num_trials: int, num_cells: int, folder: Path) -> dict[str, float]:
    """Return figures of the engine: search trials and 1 confirm trial a cell."""
    num_ratios = -(-num_cells // 10)
    study = Study(
        name="overhead",
        cells=Grid(
            dataset="digits",
            normal_class=range(num_cells // num_ratios),
            anomaly_ratio=[0.01 * number for number in range(num_ratios)],
        ),
        detector=Agad(),
        search=Search(
            space={"lr": LogUniform(1e-4, 1e-2), "weight_adcon": LogUniform(1, 60)},
            trials_per_cell=num_trials // num_cells - 1,
        ),
        scheduler=ASHA,
        confirm=Confirm(seeds=1),
    )
    objects = open_objects(str(folder / "store"))
    find_manifest(Library(objects), "digits")  # Imported before the clock starts.
    store = StudyStore(objects, study.name)
    options = ClusterOptions(store=objects.uri, cache=NodeCache(folder=str(folder / "cache")))
    log = Log()
    run_study(study, store, options, watch=log.watch, train=no_op)
    seconds = time.perf_counter() - log.start_s
    rows = sorted(store.trials(), key=lambda row: row.ended_at)
    assert len(rows) == num_trials
    results = [sum(rung < row.epochs for rung in ASHA.milestones) + 1 for row in rows]
    tenth, hundredth = num_trials // 10, num_trials // 100
    first = log.ms_a_trial(hundredth, tenth)
    last = log.ms_a_trial(num_trials - tenth, num_trials - hundredth)
    start, middle, end = (log.memory_mib(num) for num in (1, num_trials // 2, num_trials))
    return {
        "trials": num_trials,
        "cells": num_cells,
        "ms a trial": 1000 * seconds / num_trials,
        f"ms a trial, first {tenth}": first,
        f"ms a trial, last {tenth}": last,
        "last / first": last / first,
        f"results a trial, first {tenth}": float(np.mean(results[hundredth:tenth])),
        f"results a trial, last {tenth}": float(np.mean(results[-tenth : -hundredth or None])),
        "results a second": sum(results) / seconds,
        "driver MiB at the start": start,
        "driver MiB in the middle": middle,
        "driver MiB at the end": end,
        "driver KiB a trial, second half": 1024 * (end - middle) / (num_trials - num_trials // 2),
    }


def time_plain(num_trials: int, num_cells: int, folder: Path) -> float:
    """Return the seconds that a plain Ray Tune script takes."""
    space = {
        "cell": tune.choice(list(range(num_cells))),
        "lr": tune.loguniform(1e-4, 1e-2),
        "weight_adcon": tune.loguniform(1, 60),
    }
    start = time.perf_counter()
    tune.Tuner(
        plain_no_op,
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="val_auroc",
            mode="max",
            search_alg=OptunaSearch(),
            scheduler=ASHAScheduler(max_t=MAX_EPOCHS, grace_period=1, reduction_factor=3),
            num_samples=num_trials,
        ),
        run_config=tune.RunConfig(storage_path=str(folder / "plain"), verbose=0),
    ).fit()
    return time.perf_counter() - start


def main() -> None:
    """Measure one after the other in one Ray."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=400, help="default: 400")
    parser.add_argument("--cells", type=int, default=4, help="1 to 10, or 20, 30, ... (default: 4)")
    parser.add_argument("--plain-trials", type=int, help="0 is none (default: as many)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write a page of Markdown too")
    arguments = parser.parse_args()
    plain_trials = arguments.trials if arguments.plain_trials is None else arguments.plain_trials
    with tempfile.TemporaryDirectory(prefix="agad-overhead-") as folder:
        ray.init(address="local", include_dashboard=False, log_to_driver=False)
        figures = time_engine(arguments.trials, arguments.cells, Path(folder))
        if plain_trials:
            plain_s = time_plain(plain_trials, arguments.cells, Path(folder))
            figures |= {
                "plain Ray Tune: trials": plain_trials,
                "plain Ray Tune: ms a trial": 1000 * plain_s / plain_trials,
            }
    show("Overhead a trial", figures, arguments.out)


if __name__ == "__main__":
    main()
