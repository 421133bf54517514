"""Reports of 10,000 trials and 1,000,000 epochs: seconds and peak memory of new processes.

    python -m benchmarks.report
    python -m benchmarks.report --store FOLDER    # keeps what it writes, and reads it the next time

The rows are made up, with the widths of real ones: 20 cells of 495 search trials and 5 confirmed
seeds. The store is compacted. Each figure is of a new process, from its start to its end, printing
to a file. The operating system's cache of files is warm.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from agad.config import Confirm, Grid, LogUniform, Search, Study, Uniform
from agad.objects import ObjectStore, open_objects
from agad.records import EpochRow, TrialRow
from agad.store import StudyStore, compact, list_studies
from benchmarks.store import NUM_WRITERS, epochs_of, trial_of

STUDY = Study(
    name="benchmark",
    cells=Grid(dataset="cifar10", normal_class=range(10), anomaly_ratio=[0.0, 0.05]),
    search=Search(
        space={"lr": LogUniform(1e-5, 1e-2), "weight_adcon": Uniform(0, 60)}, trials_per_cell=495
    ),
    confirm=Confirm(seeds=5),
)
NUM_EPOCHS = 100
REPORTS: dict[str, list[str]] = {
    "terminal": [],
    "html": ["--html", "report.html"],
}
PEAK = re.compile(r"VmHWM:\s+(\d+)")
MEASURED = """
import re, sys
from pathlib import Path
from agad.cli import entry
try:
    entry()
finally:
    # Not ru_maxrss, which a new process takes over from the one that started it.
    Path("peak.txt").write_text(Path("/proc/self/status").read_text())
"""


def made_up(number: int) -> tuple[TrialRow, list[EpochRow]]:
    """Return a trial of the study and its epochs, whose AUROC rises and wavers."""
    rng = random.Random(number)
    cells = STUDY.cells.all_cells
    place, in_cell = divmod(number, len(cells))
    cell = cells[in_cell]
    assert isinstance(cell.normal_class, int)
    is_search = place < STUDY.search.num_cell_trials
    seed = place if is_search else place - STUDY.search.num_cell_trials + 1
    trial = trial_of(number, NUM_EPOCHS, rng)
    top = rng.uniform(0.5, 0.95)
    trial = replace(
        trial,
        study=STUDY.name,
        cell=cell.label,
        normal_class=cell.normal_class,
        anomaly_ratio=cell.anomaly_ratio,
        phase="search" if is_search else "confirm",
        number=place,
        seeds=(seed,),
        state="pruned" if is_search and rng.random() < 0.6 else "finished",
        params=trial.params if is_search else json.dumps({"lr": 0.001, "weight_adcon": 30.0}),
        val_auroc=top,
        test_auroc=None if is_search else top,
        test_average_precision=None if is_search else top,
    )
    epochs = [
        replace(one, val_auroc=top - 0.3 * math.exp(-one.epoch / 20) * rng.random())
        for one in epochs_of(trial, rng)
    ]
    return trial, epochs


def write_store(objects: ObjectStore) -> None:
    """Put every trial, and compact."""
    store = StudyStore(objects, STUDY.name)
    store.open(STUDY.as_json())
    num_seeds = STUDY.confirm.seeds
    num_trials = len(STUDY.cells.all_cells) * (STUDY.search.num_cell_trials + num_seeds)
    with ThreadPoolExecutor(NUM_WRITERS) as pool:
        for _ in pool.map(lambda number: store.put(*made_up(number)), range(num_trials)):
            pass
    compact(objects, STUDY.name, timedelta(0))


def measured(uri: str, flags: list[str]) -> dict[str, float]:
    """Return seconds, MiB at the peak and megabytes of the page of one new process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", MEASURED, "report", uri, *flags]
        root = str(Path(__file__).parents[1])
        start = time.perf_counter()
        with (Path(folder) / "out.txt").open("wb") as out:
            subprocess.run(
                command,
                cwd=folder,
                stdout=out,
                check=True,
                env=os.environ | {"PYTHONPATH": root, "COLUMNS": "120"},
            )
        seconds = time.perf_counter() - start
        found = PEAK.search((Path(folder) / "peak.txt").read_text())
        assert found is not None
        page = Path(folder) / "report.html"
        size = page.stat().st_size if page.exists() else 0
    return {"s": seconds, "mib": int(found[1]) / 1024, "mb": size / 1e6}


def main() -> None:
    """Write where nothing is, report, and print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", metavar="FOLDER", help="default: a new one, removed at the end")
    parser.add_argument("--repeats", type=int, default=5, help="new processes (default: 5)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agad-report-") as folder:
        objects = open_objects(arguments.store or folder)
        if STUDY.name not in list_studies(objects):
            write_store(objects)
        rows = [line(name, objects.uri, arguments.repeats) for name in REPORTS]
    table = Table("report", "median s", "most s", "peak MiB", "page MB")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)
    print(json.dumps({"cores": os.cpu_count(), "repeats": arguments.repeats, "rows": rows}))


def line(name: str, uri: str, repeats: int) -> dict[str, Any]:
    """Return a line of the table."""
    runs = [measured(uri, REPORTS[name]) for _ in range(repeats)]
    return {
        "report": name,
        "median_s": round(median(run["s"] for run in runs), 2),
        "most_s": round(max(run["s"] for run in runs), 2),
        "peak_MiB": round(max(run["mib"] for run in runs)),
        "page_MB": round(runs[0]["mb"], 2),
    }


if __name__ == "__main__":
    main()
