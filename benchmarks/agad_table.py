"""Test AUROC of AGAD by class and ratio, its ablations, and what leaking protocols would add.

    python benchmarks/agad_table.py mnist --from DIR --out mnist.md

Settings stand in this file and in the flags, the last epoch is scored, and no test score chooses
anything. ``--normals`` images of each class are fitted, a tenth as many more validate. Rows already
in the ``.jsonl`` beside ``--out`` are not run again. On a GPU, with all images and the networks of
the paper:

    python benchmarks/agad_table.py cifar10 --from DIR --out cifar10.md --device cuda --jobs 8 \
        --classes 0 1 2 3 4 5 6 7 8 9 --ratios 0 .01 .05 .1 .2 --normals 4500 --epochs 50 \
        --backbone unet++ --width 32 --discriminator-width 64 --batch-size 256 \
        --batch-anomalies 32 --lr 2e-4 --ablation-width 32
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from agad.config import Cell, with_parameters
from agad.data import ImportOptions, Library, Manifest, NodeCache, Task, import_dataset, open_images
from agad.detectors import Agad
from agad.detectors.compute import Compute
from agad.objects import open_objects
from agad.trial import Runtime, TrialSpec, describe_hardware, diagnose_leaks, train_trial

VAL_SHARE = 1 / 11
"""Validation normals are a tenth of the fitted ones."""

NUM_VAL_ANOMALIES = 100
ABLATIONS: dict[str, dict[str, Any]] = {
    "UNet": {},
    "no contextual adversarial": {"contextual_adversarial": False},
    "AdvProp": {"advprop": True},
    "frozen BN": {"anomaly_pass": "frozen"},
    "mixed pass": {"anomaly_pass": "mixed"},
    "anomaly term of Algorithm 1": {"anomaly_term": "alg1"},
    "both anomaly terms": {"anomaly_term": "both"},
    "second pass detached": {"detach_second_pass": True},
    "reciprocal of each image": {"reciprocal_of": "image"},
    "score by image statistics": {"score_statistics": "image"},
    "UNet++": {"backbone": "unet++"},
    "naive": {"backbone": "naive"},
}
"""Table 1.6 of the paper's ablations and the ambiguities of its text, all on the UNet."""


Points: TypeAlias = dict[tuple[str, Any, float], list[dict[str, Any]]]
"""Rows by block, class and ratio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One trial of the table."""

    block: str
    """``table`` or the name of an ablation."""

    spec: TrialSpec
    runtime: Runtime
    is_diagnosed: bool
    """Whether the leaking protocols are scored too, which takes a test score an epoch."""


def run(job: Job) -> dict[str, Any]:
    """Train one trial to its last epoch and score it."""
    start = time.perf_counter()
    kept = []
    with tempfile.TemporaryDirectory(prefix="agad-table-") as folder:
        checkpoint = Path(folder) / "latest"
        last = None
        for last in train_trial(job.spec, job.runtime, checkpoint if job.is_diagnosed else None):
            if job.is_diagnosed:
                kept.append(Path(shutil.copy(checkpoint, Path(folder) / f"epoch-{last.epoch}")))
        train_s = time.perf_counter() - start
        leaks = asdict(diagnose_leaks(job.spec, job.runtime, kept)) if job.is_diagnosed else None
    assert last is not None
    assert last.test is not None
    return {
        "key": job.spec.key,
        "block": job.block,
        "class": job.spec.task.normal_classes[0],
        "ratio": job.spec.task.anomaly_ratio,
        "seed": job.spec.seed,
        "test_auroc": last.test.auroc,
        "test_average_precision": last.test.average_precision,
        "val_auroc": last.val_auroc,
        "expansion": last.losses.get("expansion"),
        "seconds": train_s,
        "leaks": leaks,
    }


def import_part(dataset: str, source: Path, num_normals: int, store: str) -> Manifest:
    """Import a data set, and from it one of so many training images a class."""
    library = Library(open_objects(store))
    whole = import_dataset(dataset, source, library, ImportOptions()).manifest
    cache = NodeCache(folder=f"{store}/cache")
    train = open_images(whole, "train", store=store, cache=cache)
    test = open_images(whole, "test", store=store, cache=cache)
    most = round(num_normals / (1 - VAL_SHARE))
    chosen = np.concatenate(
        [np.flatnonzero(train.labels == label)[:most] for label in range(len(whole.class_names))]
    )
    arrays = {
        "train_images": channels_last(train.pixels[chosen[1:]]),
        "train_labels": train.labels[chosen[1:]],
        "val_images": channels_last(train.pixels[chosen[:1]]),
        "val_labels": train.labels[chosen[:1]],
        "test_images": channels_last(test.pixels),
        "test_labels": test.labels,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{dataset}.npz"
        np.savez(path, **arrays)
        options = ImportOptions(drop_duplicates=True)
        return import_dataset(f"{dataset}-{most}", path, library, options).manifest


def channels_last(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images of ``(N, C, H, W)`` as ``(N, H, W, C)``, or as ``(N, H, W)`` where C is 1."""
    return pixels[:, 0] if pixels.shape[1] == 1 else pixels.transpose(0, 2, 3, 1)


def make_jobs(arguments: argparse.Namespace, data: Manifest, store: str) -> list[Job]:
    """Return every trial: the table's, then the ablations'."""
    runtime = Runtime(
        store=store,
        cache=NodeCache(folder=f"{store}/cache"),
        compute=Compute(device=arguments.device),
        num_threads=max(1, (os.cpu_count() or 1) // arguments.jobs),
        gpus=1 / arguments.jobs if arguments.device == "cuda" else 0,
    )
    detector = Agad(
        backbone=arguments.backbone,
        base_width=arguments.width,
        discriminator_width=arguments.discriminator_width,
        batch_size=arguments.batch_size,
        min_batch_anomalies=arguments.batch_anomalies,
        lr=arguments.lr,
    )
    seeds = range(1, 1 + arguments.seeds)
    points = itertools.product(arguments.classes, arguments.ratios, seeds)
    jobs = [
        Job(
            block="table",
            spec=make_spec(data, detector, point, arguments.epochs),
            runtime=runtime,
            is_diagnosed=point[-1] == seeds[0],
        )
        for point in points
    ]
    for name, settings in ABLATIONS.items():
        unet: dict[str, Any] = {"backbone": "unet", "base_width": arguments.ablation_width}
        if settings.get("backbone") == "naive":
            unet["base_width"] = arguments.width
        ablated = with_parameters(detector, unet | settings)
        point = (arguments.ablation_class, arguments.ablation_ratio)
        jobs += [
            Job(
                block=name,
                spec=make_spec(data, ablated, (*point, seed), arguments.ablation_epochs),
                runtime=runtime,
                is_diagnosed=False,
            )
            for seed in (seeds if arguments.ablation_epochs else ())
        ]
    return jobs


def make_spec(
    data: Manifest, detector: Agad, point: tuple[int, float, int], num_epochs: int
) -> TrialSpec:
    """Return the trial of a class, a ratio and a seed: nothing selected, scored at its end."""
    label, ratio, seed = point
    others = tuple(one for one in range(len(data.class_names)) if one != label)
    task = Task(
        normal_classes=(label,),
        anomalous_classes=others,
        labelled_classes=others,
        anomaly_ratio=ratio,
        pollution_ratio=0.0,
        num_val_anomalies=NUM_VAL_ANOMALIES,
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
        max_epochs=num_epochs,
        detector=detector,
    )


def mean_sd(values: Sequence[float]) -> str:
    """Return mean ± sample SD."""
    spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    return f"{fmean(values):.3f}{spread}"


def report(arguments: argparse.Namespace, rows: Sequence[dict[str, Any]], data: Manifest) -> str:
    """Return the tables in Markdown."""
    points: Points = defaultdict(list)
    for row in rows:
        points[row["block"], row["class"], row["ratio"]].append(row)
    lines = [
        f"# AGAD on {data.name}",
        "",
        f"`python benchmarks/agad_table.py {' '.join(arguments.given)}`",
        "",
        f"{describe_hardware(arguments.device)}, {os.cpu_count()} cores, {arguments.jobs} trials "
        f"at once, torch {torch.__version__}, Python {platform.python_version()}. Test AUROC and "
        f"average precision at the last epoch, mean ± sample SD over n = {arguments.seeds} seeds; "
        f"{data.train.num_images:,} training images, {data.test.num_images:,} of test. Nothing was "
        "selected.",
        "",
        "| class | ratio | test AUROC | average precision | val AUROC | adcon/con | s a trial |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_point(key, of_point) for key, of_point in points.items() if key[0] == "table"),
        "",
        *_ablations(arguments, points),
        "## Leak diagnostics: not results",
        "",
        "What the test AUROC of the first seed would be called where batch normalisation takes the "
        "statistics of test batches of 64 (class-ordered, shuffled), or where the test split "
        "chooses the epoch.",
        "",
        "| class | ratio | honest | bn_batchstats_ordered | bn_batchstats_shuffled | "
        "oracle_best_epoch |",
        "| --- | --- | --- | --- | --- | --- |",
        *(_leak(row) for row in rows if row["leaks"]),
    ]
    return "\n".join(lines) + "\n"


def _ablations(arguments: argparse.Namespace, points: Points) -> list[str]:
    lines = [
        _point((name, name, ratio), rows)
        for (name, _, ratio), rows in points.items()
        if name != "table"
    ]
    if not lines:
        return []
    return [
        f"## Ablations, class {arguments.ablation_class}, ratio {arguments.ablation_ratio:g}, UNet "
        f"of width {arguments.ablation_width}, {arguments.ablation_epochs} epochs",
        "",
        "| change | ratio | test AUROC | average precision | val AUROC | adcon/con | s a trial |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *lines,
        "",
    ]


def _point(key: tuple[str, Any, float], rows: Iterable[dict[str, Any]]) -> str:
    columns = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            columns[name].append(value)
    expansions = [one for one in columns["expansion"] if one is not None]
    figures = (
        mean_sd(columns["test_auroc"]),
        mean_sd(columns["test_average_precision"]),
        mean_sd(columns["val_auroc"]),
        f"{fmean(expansions):.2f}" if expansions else "-",
        f"{fmean(columns['seconds']):.0f}",
    )
    return f"| {key[1]} | {key[2]:g} | {' | '.join(figures)} |"


def _leak(row: dict[str, Any]) -> str:
    leaks = row["leaks"]
    best = f"{leaks['oracle_best_epoch_test_auroc']:.3f} (epoch {leaks['oracle_best_epoch']})"
    return (
        f"| {row['class']} | {row['ratio']:g} | {leaks['test_auroc']:.3f} | "
        f"{leaks['bn_batchstats_ordered_test_auroc']:.3f} | "
        f"{leaks['bn_batchstats_shuffled_test_auroc']:.3f} | {best} |"
    )


def parse() -> argparse.Namespace:
    """Return the flags; their defaults are the settings for 2 CPU cores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", help="mnist or cifar10")
    parser.add_argument("--from", dest="source", type=Path, required=True, help="official files")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=2, help="trials at once")
    parser.add_argument("--classes", type=int, nargs="+", default=[0, 1, 8])
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.0, 0.05])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--normals", type=int, default=1000, help="fitted, of each class")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--backbone", default="naive")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--discriminator-width", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--batch-anomalies", type=int, default=8)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--ablation-class", type=int, default=8)
    parser.add_argument("--ablation-ratio", type=float, default=0.05)
    parser.add_argument("--ablation-width", type=int, default=8)
    parser.add_argument("--ablation-epochs", type=int, default=15, help="0 leaves them out")
    arguments = parser.parse_args()
    arguments.given = sys.argv[1:]
    return arguments


def main() -> None:
    """Run what is missing, and write the tables."""
    arguments = parse()
    rows_path = arguments.out.with_suffix(".jsonl")
    kept = rows_path.read_text().splitlines() if rows_path.exists() else []
    done = [json.loads(line) for line in kept]
    with tempfile.TemporaryDirectory(prefix="agad-table-store-") as store:
        data = import_part(arguments.dataset, arguments.source, arguments.normals, store)
        jobs = make_jobs(arguments, data, store)
        known = {row["key"]: row for row in done}
        left = [job for job in jobs if job.spec.key not in known]
        with (
            ProcessPoolExecutor(arguments.jobs, get_context("spawn")) as pool,
            rows_path.open("a") as file,
        ):
            for future in as_completed([pool.submit(run, job) for job in left]):
                row = future.result()
                known[row["key"]] = row
                file.write(json.dumps(row) + "\n")
                file.flush()
                print(f"{len(known)} of {len(jobs)}: {row}", flush=True)
    rows = [known[job.spec.key] | {"block": job.block} for job in jobs]
    arguments.out.write_text(report(arguments, rows, data))
    print(report(arguments, rows, data))


if __name__ == "__main__":
    main()
