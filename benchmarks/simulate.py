"""Does one driver keep 1,000 slots busy? The real board under a virtual clock, its costs charged.

    python -m benchmarks.simulate [--cells 100] [--trials 100] [--slots 1000] [--tune-ms 8]

- The real `StudyBoard`: TPE with its 100 trials a cell, ASHA's ladders (rungs after 3 and 9 of 27
  epochs), winners, rows. Training and the store alone are replaced, by a synthetic cell's curves
  (`benchmarks/synthetic.py`) and by a memory that forgets.
- Every launch, report, end and status of the board costs the virtual driver the wall time that it
  took here, and each of the first three `--tune-ms` more, for Ray Tune's own loop: a trial of
  `benchmarks/overhead.py` takes some 37 ms of driver and workers for some 5 of them.
- The driver is serial. A trial that reports waits until the driver has come to it.
- An epoch takes 30 s at the median, log-normal with sigma 0.5, one draw a trial. Trials report at
  rungs, and after an epoch if 30 s have passed since the last time.
- Busy: the share of the slots' time that is training, from the first launch until nine tenths of
  the search trials have ended. From then on there are fewer trials left than slots.
"""

from __future__ import annotations

import argparse
import gc
import math
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from agad import Asha, Confirm, Grid, Search, Study
from agad.data import Library
from agad.objects import open_objects
from agad.records import ProcessMemory
from agad.records.provenance import Provenance
from agad.study.board import StudyBoard
from agad.study.cell_data import CellData, find_cell_data
from agad.study.row_maker import RowMaker
from agad.trial import TrialSpec
from benchmarks.result_page import show
from benchmarks.synthetic import SPACE, SyntheticCell
from benchmarks.virtual import Charge, VirtualCluster, VirtualTrial

_T = TypeVar("_T")

MEDIAN_EPOCH_S = 30.0
SIGMA = 0.5
HEARTBEAT_S = 30.0
ASHA = Asha(max_epochs=27, grace_period=3, reduction_factor=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a simulated search went."""

    cells: int
    trials: int
    """Search trials that ended."""

    slots: int
    busy_share: float
    """Until nine tenths of the search trials have ended."""

    search_s: float
    """Virtual time of the whole search."""

    decisions: int
    decisions_per_s: float
    """Decisions that the driver could take in a second of its own time."""

    driver_share: float
    """Share of the search's virtual time in which the driver was at work."""

    ms_first_tenth: float
    """Mean cost of a decision while the first tenth of the trials ended."""

    ms_last_tenth: float


def study_of(num_cells: int, num_trials: int) -> Study:
    """Return a study of so many cells: classes of digits at different ratios."""
    num_ratios = math.ceil(num_cells / 10)
    return Study(
        name="simulated",
        cells=Grid(
            dataset="digits",
            normal_class=range(min(10, num_cells)),
            anomaly_ratio=[round(0.001 * number, 3) for number in range(num_ratios)],
        ),
        search=Search(space=SPACE, trials_per_cell=num_trials),
        scheduler=ASHA,
        confirm=Confirm(seeds=3),
    )


def measured(tune_s: float) -> Charge:
    """Return what charges the wall time of a decision, and so many seconds more."""

    def charge(action: Callable[[], _T]) -> tuple[_T, float]:
        start = time.perf_counter()
        result = action()
        return result, time.perf_counter() - start + tune_s

    return charge


def epoch_seconds(spec: TrialSpec) -> float:
    """Return the length of a trial's epochs, drawn by its key."""
    rng = np.random.default_rng(int(spec.key, 16))
    return float(MEDIAN_EPOCH_S * np.exp(SIGMA * rng.standard_normal()))


def curve(spec: TrialSpec) -> Sequence[float]:
    """Return what a trial would observe."""
    return tuple(SyntheticCell(max_epochs=spec.max_epochs).curve(spec.params, spec.key))


def simulate(
    study: Study, cell_data: dict[str, CellData], num_slots: int, charge: Charge
) -> Result:
    """Run the search of every cell on so many slots."""
    memory = ProcessMemory()
    provenance = Provenance(commit="", is_dirty=False, versions="{}")
    rows = RowMaker(study=study.name, provenance=provenance)
    ended: list[tuple[float, int, float]] = []
    """Of each search trial that ended: when, the decisions so far, and what they cost."""

    with StudyBoard(study, cell_data, memory, rows) as board:

        def note(trial: VirtualTrial) -> None:
            spec = trial.launch.spec
            if spec.phase == "search" and board.outcome(spec) in ("finished", "pruned"):
                ended.append((cluster.driver_free_s, cluster.num_decisions, cluster.driver_s))

        cluster = VirtualCluster(
            board=board,
            observe=curve,
            milestones=study.scheduler.milestones,
            num_slots=num_slots,
            epoch_s=epoch_seconds,
            heartbeat_s=HEARTBEAT_S,
            charge=charge,
            has_watch=True,
            after_report=note,
        )
        num_trials = len(study.cells.all_cells) * study.num_search_trials
        cluster.run(lambda: len(ended) == num_trials)
    tenth = num_trials // 10
    (_, first_num, first_s), (late_s, late_num, late_driver_s) = ended[tenth - 1], ended[-tenth - 1]
    return Result(
        cells=len(study.cells.all_cells),
        trials=len(ended),
        slots=num_slots,
        busy_share=cluster.busy_share(late_s),
        search_s=ended[-1][0],
        decisions=cluster.num_decisions,
        decisions_per_s=cluster.num_decisions / cluster.driver_s,
        driver_share=cluster.driver_s / ended[-1][0],
        ms_first_tenth=1000 * first_s / first_num,
        ms_last_tenth=1000
        * (cluster.driver_s - late_driver_s)
        / (cluster.num_decisions - late_num),
    )


def main() -> None:
    """Simulate, print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", type=int, default=100, help="a multiple of 10 (default: 100)")
    parser.add_argument("--trials", type=int, default=100, help="a cell (default: 100)")
    parser.add_argument("--slots", type=int, default=1000, help="default: 1000")
    parser.add_argument(
        "--tune-ms", type=float, default=8.0, help="charged more for each decision (default: 8)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write a page of Markdown too")
    arguments = parser.parse_args()
    study = study_of(arguments.cells, arguments.trials)
    with tempfile.TemporaryDirectory(prefix="agad-simulate-") as folder:
        cell_data = find_cell_data(study, Library(open_objects(folder)))
        gc.collect()
        start = time.perf_counter()
        result = simulate(study, cell_data, arguments.slots, measured(arguments.tune_ms / 1000))
        wall_s = time.perf_counter() - start
    figures = asdict(result) | {
        "tune_ms": arguments.tune_ms,
        "wall_s": wall_s,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    show("A search on virtual slots", figures, arguments.out)


if __name__ == "__main__":
    main()
