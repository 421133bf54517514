"""Test AUROC and seconds of the detectors that fit once, by features, label budget and class.

    python -m benchmarks.shallow_table mnist --from DIR --out mnist.md
    python -m benchmarks.shallow_table cifar10 --from DIR --out cifar10.md --normals 200

Every detector has its defaults, and no test score chooses anything. The normal images are those of
``benchmarks/agad_table.py``: of the first images of a class in the official training part, a seed
draws ``--normals`` to fit and holds a tenth as many out. A seed also draws the labelled anomalies
of a budget, all of which are fitted, from all other classes or from one: the class after the
normal one. The official test part is scored. Rows already in the ``.jsonl`` beside ``--out`` are
not run again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import TypeAlias

import numpy as np
import sklearn  # type: ignore[import-untyped]
import torch

from agad.config import Cell, DetectorConfig, FixedEpoch, detector_class, with_parameters
from agad.data import LabelPool, Manifest, NodeCache, Task
from agad.encoders.networks import find_encoder
from agad.trial import Runtime, TrialSpec, auroc, describe_hardware
from agad.trial.confirm import open_test, score_test
from agad.trial.training import prepare
from benchmarks.agad_table import VAL_SHARE, import_part, mean_sd

DETECTORS = ("lof", "knn", "pca", "ocsvm", "iforest", "mahalanobis", "probe", "knn-probe")
LABELLED = ("all", "one")
_POLICY = FixedEpoch(epochs=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A fit to be made."""

    detector: str
    features: str
    label: int
    """The normal class."""

    budget: int
    """Labelled anomalies, all fitted."""

    labelled: str
    """``all`` other classes have labelled anomalies, or ``one``."""

    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fit of a detector and the scores of the test part."""

    point: Point
    num_normals: int
    test_auroc: float
    seen_auroc: float | None
    """Of the labelled class alone against the normal class; None without one."""

    unseen_auroc: float | None
    """Of the classes without a label against the normal class."""

    fit_s: float
    score_s: float


Groups: TypeAlias = dict[tuple[str, str, int, str], list[Row]]
"""Rows by detector, features, budget and labelled classes."""


def make_spec(data: Manifest, detector: DetectorConfig, point: Point) -> TrialSpec:
    """Return the trial of a point."""
    num_classes = len(data.class_names)
    others = tuple(one for one in range(num_classes) if one != point.label)
    labelled = others if point.labelled == "all" else ((point.label + 1) % num_classes,)
    task = Task(
        normal_classes=(point.label,),
        anomalous_classes=others,
        labelled_classes=labelled,
        anomaly_ratio=0.0,
        pollution_ratio=0.0,
        num_val_anomalies=0,
        val_share=VAL_SHARE,
        pool=LabelPool(num_anomalies=point.budget, seed=point.seed) if point.budget else None,
    )
    encoder = detector.input().encoder
    return TrialSpec(
        cell=Cell(
            dataset=data.name, normal_class=point.label, anomaly_ratio=0.0, labels=point.budget
        ),
        data=data,
        task=task,
        phase="confirm",
        number=0,
        params={},
        seed=point.seed,
        max_epochs=1,
        detector=detector,
        policy=_POLICY,
        encoder=find_encoder(encoder).suited_to(data.image_px) if encoder else None,
    )


def run(spec: TrialSpec, point: Point, runtime: Runtime) -> Row:
    """Fit a detector once and score the test part."""
    training = prepare(spec, runtime)
    part = open_test(spec, runtime)
    (stage,) = spec.detector.stages
    start = time.perf_counter()
    training.detector.begin_stage(stage, training.batches)
    training.detector.fit_epoch(stage, training.batches, training.rng)
    fitted = time.perf_counter()
    test = score_test(training.detector, part)
    scored = time.perf_counter()

    def against_normals(classes: Sequence[int]) -> float:
        chosen = np.isin(test.labels, [*spec.task.normal_classes, *classes])
        exact = test.scores[chosen].astype(np.float64)
        return auroc(part.is_anomaly[chosen], exact)

    seen = spec.task.labelled_classes
    is_apart = point.labelled == "one" and isinstance(seen, tuple)
    unseen = [
        one for one in spec.task.anomalous_classes if isinstance(seen, tuple) and one not in seen
    ]
    return Row(
        point=point,
        num_normals=len(training.batches.normals),
        test_auroc=test.auroc,
        seen_auroc=against_normals(seen) if is_apart and isinstance(seen, tuple) else None,
        unseen_auroc=against_normals(unseen) if is_apart else None,
        fit_s=fitted - start,
        score_s=scored - fitted,
    )


def points(arguments: argparse.Namespace) -> Iterator[Point]:
    """Yield every point that a detector can answer; without use for labels, those without."""
    seeds = range(1, 1 + arguments.seeds)
    for name, features in itertools.product(arguments.detectors, arguments.features):
        uses_labels = detector_class(name)().supervision.labels != "unused"
        for labelled in arguments.labelled if uses_labels else LABELLED[:1]:
            for budget in filter(None, arguments.budgets) if uses_labels else (0,):
                for label, seed in itertools.product(arguments.classes, seeds):
                    yield Point(
                        detector=name,
                        features=features,
                        label=label,
                        budget=budget,
                        labelled=labelled,
                        seed=seed,
                    )


def mean_over_classes(rows: Sequence[Row], field: str) -> str:
    """Return the mean over classes ± SD over seeds of a figure, ``-`` if it is unknown."""
    by_seed: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        value = getattr(row, field)
        if value is None:
            return "-"
        by_seed[row.point.seed].append(value)
    return mean_sd([fmean(values) for values in by_seed.values()])


def report(arguments: argparse.Namespace, found: Sequence[Row], data: Manifest) -> str:
    """Return the tables in Markdown."""
    groups: Groups = defaultdict(list)
    for one in found:
        point = one.point
        groups[point.detector, point.features, point.budget, point.labelled].append(one)
    lines = [
        f"# Detectors that fit once, on {data.name}",
        "",
        f"`python -m benchmarks.shallow_table {' '.join(arguments.given)}`",
        "",
        f"{describe_hardware('cpu')}, {arguments.threads} of {os.cpu_count()} cores, torch "
        f"{torch.__version__}, scikit-learn {sklearn.__version__}, Python "
        f"{platform.python_version()}. Images of {data.image_px} px. Test AUROC on "
        f"{data.test.num_images:,} test images after one fit on {_counts(found)} normal images; "
        f"mean over {len({one.point.label for one in found})} classes ± sample SD of that mean "
        f"over n = {arguments.seeds} draws of the normal images and of the labelled anomalies. "
        "Seconds are means, without those of the encoder. Nothing was tuned.",
        "",
        "| detector | features | labels | of classes | test AUROC | seen | unseen | s to fit | "
        "s to score |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {name} | {features} | {budget} | {labelled if budget else '-'} | "
            f"{mean_over_classes(rows, 'test_auroc')} | {mean_over_classes(rows, 'seen_auroc')} | "
            f"{mean_over_classes(rows, 'unseen_auroc')} | {fmean(one.fit_s for one in rows):.2f} | "
            f"{fmean(one.score_s for one in rows):.2f} |"
            for (name, features, budget, labelled), rows in groups.items()
        ),
        "",
        "By class, all classes labelled:",
        "",
        f"| detector | features | labels | {' | '.join(map(str, arguments.classes))} |",
        f"| --- | --- | --- |{' --- |' * len(arguments.classes)}",
        *(
            f"| {name} | {features} | {budget} | {' | '.join(_by_class(arguments, rows))} |"
            for (name, features, budget, labelled), rows in groups.items()
            if labelled == "all"
        ),
        "",
    ]
    return "\n".join(lines)


def _by_class(arguments: argparse.Namespace, rows: Sequence[Row]) -> Iterator[str]:
    for label in arguments.classes:
        scores = [one.test_auroc for one in rows if one.point.label == label]
        yield mean_sd(scores) if scores else "-"


def _counts(found: Sequence[Row]) -> str:
    return " or ".join(f"{num:,}" for num in sorted({one.num_normals for one in found}))


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a ``.jsonl``; none if there is no such file."""
    if not path.exists():
        return []
    values = [json.loads(line) for line in path.read_text().splitlines()]
    return [Row(**one | {"point": Point(**one["point"])}) for one in values]


def parse() -> argparse.Namespace:
    """Return the flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", help="mnist or cifar10")
    parser.add_argument("--from", dest="source", type=Path, required=True, help="official files")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--classes", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--budgets", type=int, nargs="+", default=[0, 5, 10, 30, 100])
    parser.add_argument("--labelled", nargs="+", default=LABELLED, choices=LABELLED)
    parser.add_argument("--seeds", type=int, default=3, help="draws of the images")
    parser.add_argument("--normals", type=int, default=1000, help="fitted, of a class")
    parser.add_argument("--detectors", nargs="+", default=DETECTORS, choices=DETECTORS)
    parser.add_argument("--features", nargs="+", default=["pixels", "efficientnet-lite0"])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    arguments.given = sys.argv[1:]
    return arguments


def main() -> None:
    """Import the data set, run what is missing, write the tables."""
    arguments = parse()
    kept = arguments.out.with_suffix(".jsonl")
    with tempfile.TemporaryDirectory(prefix="agad-shallow-") as store:
        data = import_part(arguments.dataset, arguments.source, arguments.normals, store)
        runtime = Runtime(
            store=store,
            cache=NodeCache(folder=f"{store}/cache"),
            num_threads=arguments.threads,
        )
        found = {row.point: row for row in read_rows(kept)}
        for point in points(arguments):
            if point in found:
                continue
            detector = with_parameters(
                detector_class(point.detector)(), {"features": point.features}
            )
            found[point] = run(make_spec(data, detector, point), point, runtime)
            with kept.open("a") as lines:
                lines.write(json.dumps(asdict(found[point])) + "\n")
            print(found[point], flush=True)
        wanted = [found[point] for point in points(arguments)]
        arguments.out.write_text(report(arguments, wanted, data))


if __name__ == "__main__":
    main()
