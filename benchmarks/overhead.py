"""Seconds of overhead a trial: this project's engine beside a plain Ray Tune script.

    python benchmarks/overhead.py --trials 400

Both run the same no-op trials over 4 cells: 2 searched parameters, 9 reports each at most, ASHA.
The engine keeps its claims and rows in a local store; the plain script is OptunaSearch and
ASHAScheduler with Ray Tune's defaults, its 4 cells a grid that OptunaSearch cannot cross with a
search, so a categorical parameter. The figure is the wall time of all trials, without Ray's start.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch
from rich.console import Console
from rich.table import Table

from agad import Agad, Asha, Confirm, Grid, LogUniform, Search, Study
from agad.data import Library, NodeCache, find_manifest
from agad.objects import open_objects
from agad.store import StudyStore
from agad.study import Where, run_study
from agad.trial import EpochResult, Runtime, TrialSpec

MAX_EPOCHS = 9
NUM_CELLS = 4


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


def time_engine(num_trials: int, folder: Path) -> float:
    """Return the seconds that the engine takes for search trials and 1 confirm trial a cell."""
    study = Study(
        name="overhead",
        cells=Grid(dataset="digits", normal_class=range(NUM_CELLS)),
        detector=Agad(),
        search=Search(
            space={"lr": LogUniform(1e-4, 1e-2), "weight_adcon": LogUniform(1, 60)},
            trials_per_cell=num_trials // NUM_CELLS - 1,
        ),
        scheduler=Asha(max_epochs=MAX_EPOCHS, grace_period=1, reduction_factor=3),
        confirm=Confirm(seeds=1),
    )
    objects = open_objects(str(folder / "store"))
    find_manifest(Library(objects), "digits")  # Imported before the clock starts.
    store = StudyStore(objects, study.name)
    where = Where(store=objects.uri, cache=NodeCache(folder=str(folder / "cache")))
    start = time.perf_counter()
    run_study(study, store, where, train=no_op)
    seconds = time.perf_counter() - start
    assert len(store.trials()) == num_trials
    return seconds


def time_plain(num_trials: int, folder: Path) -> float:
    """Return the seconds that a plain Ray Tune script takes."""
    space = {
        "cell": tune.choice(list(range(NUM_CELLS))),
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
    """Measure one after the other in one Ray, print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=400, help="a multiple of 4 (default: 400)")
    parser.add_argument("--plain-trials", type=int, help="default: as many")
    arguments = parser.parse_args()
    plain_trials = arguments.plain_trials or arguments.trials
    with tempfile.TemporaryDirectory(prefix="agad-overhead-") as folder:
        ray.init(address="local", include_dashboard=False, log_to_driver=False)
        plain_s = time_plain(plain_trials, Path(folder))
        ours_s = time_engine(arguments.trials, Path(folder))
    figures = {
        "trials": arguments.trials,
        "plain_trials": plain_trials,
        "cores": os.cpu_count(),
        "ms_per_trial": round(1000 * ours_s / arguments.trials, 1),
        "plain_ms_per_trial": round(1000 * plain_s / plain_trials, 1),
    }
    table = Table("engine", "trials", "ms a trial")
    table.add_row("agad", str(arguments.trials), str(figures["ms_per_trial"]))
    table.add_row("plain Ray Tune", str(plain_trials), str(figures["plain_ms_per_trial"]))
    Console().print(table)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
