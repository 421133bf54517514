"""A stored table of full learning curves: made once by training, replayed ever after.

    python -m benchmarks.curve_table --out benchmarks/curves/digits-class-8.csv

Trains random configurations of the quickstart study's space in one of its cells to the full
budget, on the study's own seed, and appends a line when each ends. Run again, it trains only those
that the table lacks.
"""

from __future__ import annotations

import argparse
import csv
import functools
import multiprocessing
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy.stats import spearmanr

from agad import LogUniform, Study, Uniform
from agad.cli import load_study
from agad.config import Distribution, Setting
from agad.data import Library, NodeCache
from agad.errors import ConfigError, TrialDivergedError
from agad.objects import open_objects
from agad.records.provenance import find_provenance
from agad.study.cell_data import find_cell_data
from agad.trial import Runtime, TrialSpec, train_trial

STUDY_FILE = Path("studies/digits_quickstart.py")
CELL = "digits class=8 ratio=0"
SEED = 81
"""Of the configurations drawn."""

_PARAM = "param."
_EPOCH = "val_auroc."


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """How one configuration learned."""

    number: int
    params: dict[str, float]
    val_aurocs: tuple[float, ...]
    """After each epoch, in [0, 1]; fewer than the budget where it diverged."""

    diverged: str
    """What was not finite; empty where the trial finished."""

    seconds: float
    """Of training and validation, on one thread of a machine that did other work too."""


def unit_point(
    space: Mapping[str, Distribution], params: Mapping[str, Setting]
) -> NDArray[np.float64]:
    """Return a configuration in the unit cube, logarithms taken where the space does; by name."""
    return np.array([_range(space, name).share_of(float(params[name])) for name in sorted(space)])


def at_point(space: Mapping[str, Distribution], point: Sequence[float]) -> dict[str, float]:
    """Return the configuration at a point of the unit cube."""
    return {
        name: float(_range(space, name).at(share))
        for name, share in zip(sorted(space), point, strict=True)
    }


def _range(space: Mapping[str, Distribution], name: str) -> Uniform | LogUniform:
    distribution = space[name]
    if not isinstance(distribution, Uniform | LogUniform):
        raise ConfigError(
            f"search.space[{name!r}] is {distribution!r}, but must be a Uniform or LogUniform: "
            "between curves of other values there is no distance."
        )
    return distribution


def draw_configurations(space: Mapping[str, Distribution], num: int) -> list[dict[str, float]]:
    """Draw configurations at random; the first ones are the same however many are drawn."""
    points = np.random.default_rng(SEED).random((num, len(space)))
    return [at_point(space, point) for point in points.tolist()]


class CurveTable:
    """Curves, found by the configuration nearest to one asked for."""

    def __init__(self, space: Mapping[str, Distribution], curves: Sequence[Curve]) -> None:
        """Take curves of one cell.

        Args:
            space: What the configurations were drawn from.
            curves: At least one.
        """
        self.curves = tuple(curves)
        self._space = space
        self._points = np.array([unit_point(space, curve.params) for curve in curves])

    @classmethod
    def read(cls, path: Path, space: Mapping[str, Distribution]) -> Self:
        """Read a stored table."""
        return cls(space, read_curves(path))

    def nearest(self, params: Mapping[str, Setting]) -> Curve:
        """Return the curve of the nearest configuration, by distance in the unit cube."""
        distances = np.linalg.norm(self._points - unit_point(self._space, params), axis=1)
        return self.curves[int(np.argmin(distances))]


def rank_correlations(curves: Sequence[Curve], milestones: Sequence[int]) -> list[float]:
    """Return Spearman's correlation of the AUROC at each rung with that at the end, in [-1, 1].

    Args:
        curves: Those that diverged are left out.
        milestones: Epochs trained at each rung.
    """
    aurocs = np.array([curve.val_aurocs for curve in curves if not curve.diverged])
    return [float(spearmanr(aurocs[:, one - 1], aurocs[:, -1]).statistic) for one in milestones]


def read_curves(path: Path) -> list[Curve]:
    """Read a table's lines, in order of their number."""
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    curves = [
        Curve(
            number=int(line["number"]),
            params={
                name.removeprefix(_PARAM): float(value)
                for name, value in line.items()
                if name.startswith(_PARAM)
            },
            val_aurocs=tuple(
                float(value) for name, value in line.items() if name.startswith(_EPOCH) and value
            ),
            diverged=line["diverged"],
            seconds=float(line["seconds"]),
        )
        for line in lines
    ]
    return sorted(curves, key=lambda curve: curve.number)


def append_curve(path: Path, curve: Curve, max_epochs: int, commit: str) -> None:
    """Add a line to a table, and its header where it is new."""
    aurocs = [f"{value:.6f}" for value in curve.val_aurocs]
    line = {
        "number": curve.number,
        "commit": commit,
        **{_PARAM + name: repr(value) for name, value in sorted(curve.params.items())},
        "diverged": curve.diverged,
        "seconds": f"{curve.seconds:.2f}",
        **{
            f"{_EPOCH}{epoch}": aurocs[epoch] if epoch < len(aurocs) else ""
            for epoch in range(max_epochs)
        },
    }
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(line), lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(line)


def train_curve(spec: TrialSpec, runtime: Runtime) -> Curve:
    """Train a trial to its full budget."""
    aurocs, seconds, diverged = [], 0.0, ""
    try:
        for result in train_trial(spec, runtime):
            aurocs.append(result.objective)
            seconds += result.train_s
    except TrialDivergedError as error:
        diverged = str(error)
    params = {name: float(value) for name, value in spec.params.items()}
    return Curve(
        number=spec.number,
        params=params,
        val_aurocs=tuple(aurocs),
        diverged=diverged,
        seconds=seconds,
    )


def make_table(path: Path, study: Study, cell: str, num: int, processes: int) -> None:
    """Train what a table of ``num`` configurations still lacks.

    Raises:
        ConfigError: The study has no such cell.
    """
    with tempfile.TemporaryDirectory(prefix="agad-curves-") as folder:
        runtime = Runtime(store=f"{folder}/store", cache=NodeCache(folder=f"{folder}/cache"))
        cell_data = find_cell_data(study, Library(open_objects(runtime.store)))
        if cell not in cell_data:
            raise ConfigError(f"--cell is {cell!r}, but must be one of: {', '.join(cell_data)}.")
        alone = cell_data[cell].study  # With the cell's detector.
        known = {curve.number for curve in read_curves(path)} if path.exists() else set()
        specs = [
            cell_data[cell].search_spec(number, dict(params))
            for number, params in enumerate(draw_configurations(alone.search.space, num))
            if number not in known
        ]
        commit = find_provenance().commit
        path.parent.mkdir(parents=True, exist_ok=True)
        # Spawned: a fork of a process whose torch has started threads may hang.
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            train = functools.partial(train_curve, runtime=runtime)
            for curve in pool.imap_unordered(train, specs):
                append_curve(path, curve, alone.scheduler.max_epochs, commit)


def main() -> None:
    """Make the table, or what is missing of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="a CSV file, added to")
    parser.add_argument("--num", type=int, default=216, help="configurations (default: 216)")
    parser.add_argument("--cell", default=CELL, help=f"default: {CELL}")
    parser.add_argument("--processes", type=int, default=2, help="default: 2")
    given = parser.parse_args()
    make_table(given.out, load_study(STUDY_FILE), given.cell, given.num, given.processes)
    Console().print(f"{given.out} holds {len(read_curves(given.out))} curves.")


if __name__ == "__main__":
    main()
