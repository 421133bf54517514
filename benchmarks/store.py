"""The store at 10,000 trials and 1,000,000 epochs, beside Ray Tune's folder and an Optuna database.

    python benchmarks/store.py
    python benchmarks/store.py --store s3://bucket/prefix

The rows are made up, with the widths of real ones. A writer puts them as a study does; then the
store is compacted. The figure is the time and the peak memory of a new process, from its start,
until it has a leaderboard's input: every trial with its parameters and its last AUROC. Ray Tune's
folder comes from a real run of Tune whose trials do no work, read by ``Tuner.restore``; Optuna's
database is SQLite with intermediate values, read by ``load_study``. The operating system's cache
of files is warm for all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from agad.objects import ObjectStore, open_objects
from agad.records import EpochRow, TrialRow
from agad.store import StudyStore, compact, study_info

STUDY = "benchmark"
NUM_CELLS = 20
NUM_WRITERS = 16
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def trial_of(number: int, num_epochs: int, rng: random.Random) -> TrialRow:
    """Return a made-up row, its texts as long as real ones."""
    cell = number % NUM_CELLS
    versions = {"agad": "0.1.0", "numpy": "2.4.6", "optuna": "5.0.0", "python": "3.11.7"}
    params = {"lr": rng.uniform(1e-5, 1e-2), "weight_adcon": rng.uniform(0, 60)}
    return TrialRow(
        study=STUDY,
        cell=f"cifar10 class={cell % 10} ratio={0.05 * (cell // 10):g}",
        phase="search",
        trial_key=f"{rng.getrandbits(128):032x}",
        attempt=0,
        number=number // NUM_CELLS,
        detector="agad",
        detector_version=2,
        dataset="cifar10",
        protocol="one-class",
        normal_class=cell % 10,
        anomalous_class=None,
        anomaly_ratio=0.05 * (cell // 10),
        pollution_ratio=0.0,
        labelled_classes="all",
        settings="{}",
        seeds=(number,),
        params=json.dumps(params),
        selection="labelled(30)",
        num_fit_normals=4500,
        num_fit_hidden=0,
        num_fit_anomalies=236,
        num_val_normals=500,
        num_val_hidden=0,
        num_val_anomalies=30,
        max_epochs=num_epochs,
        state="finished",
        stop_reason="",
        error="",
        epochs=num_epochs,
        seconds=rng.uniform(60, 600),
        gpu_s=rng.uniform(60, 600),
        val_auroc=rng.random(),
        test_auroc=None,
        test_average_precision=None,
        data_fingerprint="ab12" * 16,
        commit="0123456789abcdef" * 2 + "01234567",
        is_dirty=False,
        versions=json.dumps(versions | {"ray": "2.60.0", "torch": "2.13.0"}),
        hardware="NVIDIA H200",
        precision="float32",
        started_at=MOMENT + timedelta(seconds=number),
        ended_at=MOMENT + timedelta(seconds=number + 300),
        peak_memory_bytes=rng.randrange(2**30, 2**32),
    )


def epochs_of(trial: TrialRow, rng: random.Random) -> list[EpochRow]:
    """Return the made-up epochs of a trial."""
    return [
        EpochRow(
            study=trial.study,
            cell=trial.cell,
            phase=trial.phase,
            trial_key=trial.trial_key,
            attempt=trial.attempt,
            epoch=epoch,
            val_auroc=rng.random(),
            train_s=rng.uniform(1, 6),
            losses={name: rng.random() for name in ("con", "adv", "lat")},
        )
        for epoch in range(trial.epochs)
    ]


def write_store(objects: ObjectStore, num_trials: int, num_epochs: int) -> float:
    """Return the seconds that putting every trial takes."""
    store = StudyStore(objects, STUDY)
    store.open({"name": STUDY})

    def put(number: int) -> None:
        rng = random.Random(number)
        trial = trial_of(number, num_epochs, rng)
        store.put(trial, epochs_of(trial, rng))

    start = time.perf_counter()
    with ThreadPoolExecutor(NUM_WRITERS) as pool:
        for _ in pool.map(put, range(num_trials)):
            pass
    return time.perf_counter() - start


def write_tune(folder: Path, num_trials: int, num_epochs: int) -> float:
    """Return the seconds that Ray Tune takes to run trials without work, in its defaults."""
    import ray
    from ray import tune

    def objective(config: dict[str, Any]) -> None:
        rng = random.Random(config["weight_adcon"])
        for _ in range(num_epochs):
            tune.report({"val_auroc": rng.random(), "con": rng.random(), "adv": rng.random()})

    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    space = {"lr": tune.loguniform(1e-5, 1e-2), "weight_adcon": tune.uniform(0, 60)}
    start = time.perf_counter()
    tune.Tuner(
        objective,
        param_space=space,
        tune_config=tune.TuneConfig(metric="val_auroc", mode="max", num_samples=num_trials),
        run_config=tune.RunConfig(name=STUDY, storage_path=str(folder), verbose=0),
    ).fit()
    seconds = time.perf_counter() - start
    ray.shutdown()
    return seconds


def write_optuna(folder: Path, num_trials: int, num_epochs: int) -> float:
    """Return the seconds that Optuna takes to add trials, all made up beforehand."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        "lr": optuna.distributions.FloatDistribution(1e-5, 1e-2, log=True),
        "weight_adcon": optuna.distributions.FloatDistribution(0, 60),
    }
    trials = []
    for number in range(num_trials):
        rng = random.Random(number)
        params = {"lr": rng.uniform(1e-5, 1e-2), "weight_adcon": rng.uniform(0, 60)}
        trials.append(
            optuna.trial.create_trial(
                params=params,
                distributions=distributions,
                value=rng.random(),
                intermediate_values={epoch: rng.random() for epoch in range(num_epochs)},
            )
        )
    study = optuna.create_study(study_name=STUDY, storage=f"sqlite:///{folder}/optuna.db")
    start = time.perf_counter()
    study.add_trials(trials)
    return time.perf_counter() - start


READERS = {
    "agad": """
from agad.objects import open_objects
from agad.store import StudyReader
found = [(r.cell, r.params, r.val_auroc) for r in StudyReader(open_objects(where), study).trials()]
""",
    "tune": """
from ray import tune
def objective(config): pass
results = tune.Tuner.restore(f"{where}/{study}", objective).get_results()
found = [(r.config, r.metrics["val_auroc"]) for r in results]
""",
    "optuna": """
import optuna
loaded = optuna.load_study(study_name=study, storage=f"sqlite:///{where}/optuna.db")
found = [(t.params, t.value) for t in loaded.get_trials(deepcopy=False)]
""",
}
MEASURED = """
import json, re, sys, time
from pathlib import Path
where, study = sys.argv[1:]
start = time.perf_counter()
{reader}
seconds = time.perf_counter() - start
# Not ru_maxrss, which a new process takes over from the one that started it.
peak_kib = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
print(json.dumps(dict(s=seconds, mib=peak_kib / 1024, trials=len(found))))
"""


def read_anew(kind: str, where: str, repeats: int) -> dict[str, float]:
    """Return the median seconds and the peak memory in MiB of new processes that read."""
    code = MEASURED.format(reader=READERS[kind])
    runs = []
    for _ in range(repeats):
        command = [sys.executable, "-W", "ignore", "-c", code, where, STUDY]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    runs.sort(key=lambda run: run["s"])
    return {**runs[len(runs) // 2], "mib": max(run["mib"] for run in runs)}


def main() -> None:
    """Write, compact and read; print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", metavar="URI", help="an empty place (default: a new folder)")
    parser.add_argument("--trials", type=int, default=10_000, help="default: 10,000")
    parser.add_argument("--epochs", type=int, default=100, help="epochs a trial (default: 100)")
    parser.add_argument("--tune-trials", type=int, default=100, help="default: 100; 0 for none")
    parser.add_argument("--optuna-trials", type=int, default=10_000, help="default: 10,000")
    parser.add_argument("--repeats", type=int, default=3, help="new readers (default: 3)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agad-store-") as folder:
        rows = list(measured(arguments, Path(folder)))
    table = Table("what", "trials", "write s", "objects", "MB", "bytes a row", "read s", "peak MiB")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
    print(json.dumps({"cores": os.cpu_count(), "epochs": arguments.epochs, "rows": rows}))


def measured(arguments: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield a line of the table after another."""
    uri = arguments.store or str(folder / "store")
    objects = open_objects(uri)
    num_trials, num_epochs = arguments.trials, arguments.epochs
    write_s = write_store(objects, num_trials, num_epochs)
    sizes = list(objects.sizes(f"{STUDY}/").values())
    yield line("agad, as put", num_epochs, write_s, sizes, read_anew("agad", uri, 1))
    start = time.perf_counter()
    compact(objects, STUDY, timedelta(0))
    write_s = time.perf_counter() - start
    assert study_info(objects, STUDY).tables[1].compacted_rows == num_trials * num_epochs
    sizes = list(objects.sizes(f"{STUDY}/").values())
    yield line(
        "agad, compacted", num_epochs, write_s, sizes, read_anew("agad", uri, arguments.repeats)
    )
    others = {
        "tune": ("Ray Tune's folder", write_tune, arguments.tune_trials),
        "optuna": ("Optuna, SQLite", write_optuna, arguments.optuna_trials),
    }
    for kind, (name, write, count) in others.items():
        if count:
            place = folder / kind
            place.mkdir()
            write_s = write(place, count, num_epochs)
            sizes = [path.stat().st_size for path in place.rglob("*") if path.is_file()]
            found = read_anew(kind, str(place), arguments.repeats)
            yield line(name, num_epochs, write_s, sizes, found)


def line(
    what: str, num_epochs: int, write_s: float, sizes: list[int], found: dict[str, float]
) -> dict[str, Any]:
    """Return a line of the table; its trials are those that were read."""
    num_trials = int(found["trials"])
    return {
        "what": what,
        "trials": num_trials,
        "write_s": round(write_s, 1),
        "objects": len(sizes),
        "MB": round(sum(sizes) / 1e6, 1),
        "bytes_per_row": round(sum(sizes) / (num_trials * (1 + num_epochs)), 1),
        "read_s": round(found["s"], 2),
        "peak_MiB": round(found["mib"]),
    }


if __name__ == "__main__":
    main()
