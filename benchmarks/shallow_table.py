"""Test AUROC and seconds of the detectors that fit once, by class and ratio.

    python -m benchmarks.shallow_table mnist --from DIR --out mnist.md

Every detector has its defaults, and no test score chooses anything. The cells are those of
``benchmarks/agad_table.py``: of the first images of a class in the official training part, a seed
draws ``--normals`` to fit and holds a tenth as many out. The official test part is scored.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import sklearn  # type: ignore[import-untyped]
import torch

from agad.config import Cell, DetectorConfig, FixedEpoch, detector_class, with_parameters
from agad.data import Manifest, NodeCache, Task
from agad.trial import Runtime, TrialSpec, describe_hardware
from agad.trial.confirm import open_test, score_test
from agad.trial.training import prepare
from benchmarks.agad_table import VAL_SHARE, import_part, mean_sd

DETECTORS = ("lof", "knn", "pca", "ocsvm", "iforest", "mahalanobis", "probe", "knn-probe")
_POLICY = FixedEpoch(epochs=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One fit of a detector and the scores of the test part."""

    detector: DetectorConfig
    label: int
    ratio: float
    seed: int
    num_normals: int
    test_auroc: float
    fit_s: float
    score_s: float


def make_spec(data: Manifest, detector: DetectorConfig, point: tuple[int, float, int]) -> TrialSpec:
    """Return the trial of a class, a ratio and a seed."""
    label, ratio, seed = point
    others = tuple(one for one in range(len(data.class_names)) if one != label)
    task = Task(
        normal_classes=(label,),
        anomalous_classes=others,
        labelled_classes=others,
        anomaly_ratio=ratio,
        pollution_ratio=0.0,
        num_val_anomalies=0,
        val_share=VAL_SHARE,
    )
    return TrialSpec(
        cell=Cell(dataset=data.name, normal_class=label, anomaly_ratio=ratio),
        data=data,
        task=task,
        phase="confirm",
        number=0,
        params={},
        seed=seed,
        max_epochs=1,
        detector=detector,
        policy=_POLICY,
    )


def run(spec: TrialSpec, runtime: Runtime) -> Point:
    """Fit a detector once and score the test part."""
    training = prepare(spec, runtime)
    (stage,) = spec.detector.stages
    start = time.perf_counter()
    training.detector.begin_stage(stage, training.batches)
    training.detector.fit_epoch(stage, training.batches, training.rng)
    fitted = time.perf_counter()
    test = score_test(training.detector, open_test(spec, runtime))
    scored = time.perf_counter()
    return Point(
        detector=spec.detector,
        label=spec.task.normal_classes[0],
        ratio=spec.task.anomaly_ratio,
        seed=spec.seed,
        num_normals=len(training.batches.normals),
        test_auroc=test.auroc,
        fit_s=fitted - start,
        score_s=scored - fitted,
    )


def points(arguments: argparse.Namespace, data: Manifest, runtime: Runtime) -> Iterator[Point]:
    """Run every detector at every point that it can answer."""
    for name, features in itertools.product(arguments.detectors, arguments.features):
        detector = with_parameters(detector_class(name)(), {"features": features})
        seeds = range(1, 1 + arguments.seeds)
        for point in itertools.product(arguments.classes, arguments.ratios, seeds):
            if point[1] > 0 or detector.supervision.labels != "required":
                spec = make_spec(data, detector, point)
                yield run(spec, runtime)


def report(arguments: argparse.Namespace, found: Sequence[Point], data: Manifest) -> str:
    """Return the table in Markdown."""
    groups: dict[tuple[str, str, float, int], list[Point]] = defaultdict(list)
    for one in found:
        features: str = getattr(one.detector, "features", "")
        groups[one.detector.name, features, one.ratio, one.label].append(one)
    return "\n".join(
        [
            f"# Detectors that fit once, on {data.name}",
            "",
            f"`python -m benchmarks.shallow_table {' '.join(arguments.given)}`",
            "",
            f"{describe_hardware('cpu')}, {arguments.threads} of {os.cpu_count()} cores, torch "
            f"{torch.__version__}, scikit-learn {sklearn.__version__}, Python "
            f"{platform.python_version()}. Images of {data.image_px} px. Test AUROC on "
            f"{data.test.num_images:,} test images after one fit on {_counts(found)} normal "
            f"images, mean ± sample SD over n = {arguments.seeds} draws. Seconds are means. "
            "Nothing was tuned.",
            "",
            "| detector | features | class | ratio | test AUROC | s to fit | s to score |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *(
                f"| {name} | {features} | {label} | {ratio:g} | "
                f"{mean_sd([one.test_auroc for one in group])} | "
                f"{fmean(one.fit_s for one in group):.2f} | "
                f"{fmean(one.score_s for one in group):.2f} |"
                for (name, features, ratio, label), group in groups.items()
            ),
            "",
        ]
    )


def _counts(found: Sequence[Point]) -> str:
    return " or ".join(f"{num:,}" for num in sorted({one.num_normals for one in found}))


def parse() -> argparse.Namespace:
    """Return the flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", help="mnist or cifar10")
    parser.add_argument("--from", dest="source", type=Path, required=True, help="official files")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--classes", type=int, nargs="+", default=[0, 1, 5, 8])
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.0])
    parser.add_argument("--seeds", type=int, default=3, help="draws of the normal images")
    parser.add_argument("--normals", type=int, default=1000, help="fitted, of a class")
    parser.add_argument("--detectors", nargs="+", default=DETECTORS, choices=DETECTORS)
    parser.add_argument("--features", nargs="+", default=["pixels"])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    arguments.given = sys.argv[1:]
    return arguments


def main() -> None:
    """Import the data set, run every point, write the table."""
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="agad-shallow-") as store:
        data = import_part(arguments.dataset, arguments.source, arguments.normals, store)
        runtime = Runtime(
            store=store,
            cache=NodeCache(folder=f"{store}/cache"),
            num_threads=arguments.threads,
        )
        found = []
        for one in points(arguments, data, runtime):
            print(one, flush=True)
            found.append(one)
            arguments.out.write_text(report(arguments, found, data))


if __name__ == "__main__":
    main()
