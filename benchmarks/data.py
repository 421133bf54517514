"""How fast data sets are imported, opened and fed to a detector.

    python benchmarks/data.py [--mnist DIR]

Without the official files of MNIST, random images in its format stand in. Each step runs in a
process of its own: importing 70,000 images (seconds, peak memory), opening the imported set in a
worker (median of 50), and an epoch of batches from the cache on one core, beside the same batches
made by ``images[index].float() / 127.5 - 1`` from a copy in memory (best of 5, GB of uint8 pixels a
second; 256 images a batch).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from agad.data import (
    FitBatches,
    ImportOptions,
    Library,
    NodeCache,
    import_dataset,
    on_device,
    open_images,
)
from agad.objects import open_objects

NUM_OPENS = 50
NUM_REPEATS = 5
BATCH_SIZE = 256
CIFAR_SHAPE = (50_000, 3, 32, 32)


def write_idx_files(folder: Path) -> None:
    """Write random images and labels in MNIST's format and number."""
    rng = np.random.default_rng(0)
    for prefix, count in (("train", 60_000), ("t10k", 10_000)):
        pixels = rng.integers(256, size=(count, 28, 28), dtype=np.uint8)
        labels = rng.integers(10, size=count, dtype=np.uint8)
        header = struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28)
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        header = struct.pack(">4BI", 0, 0, 8, 1, count)
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())


def measure_import(source: Path, folder: Path) -> dict[str, float]:
    """Import MNIST into a store."""
    start = time.perf_counter()
    library = Library(open_objects(str(folder / "store")))
    import_dataset("mnist", source, library, ImportOptions())
    seconds = time.perf_counter() - start
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"import_s": round(seconds, 2), "import_peak_gib": round(peak_kib / 2**20, 2)}


def measure_open(_source: Path, folder: Path) -> dict[str, float]:
    """Open the imported training images, first into an empty cache, then from it."""
    store = str(folder / "store")
    manifest = Library(open_objects(store)).manifest("mnist")
    cache = NodeCache(folder=str(folder / "cache"))
    times_ms = []
    for _ in range(NUM_OPENS + 1):
        start = time.perf_counter()
        open_images(manifest, "train", store=store, cache=cache)
        times_ms.append(1000 * (time.perf_counter() - start))
    return {
        "first_open_ms": round(times_ms[0], 1),
        "open_ms": round(statistics.median(times_ms[1:]), 2),
    }


def measure_batches(_source: Path, folder: Path) -> dict[str, float]:
    """Make epochs of batches on one core, of MNIST and of as many images as CIFAR-10 has."""
    torch.set_num_threads(1)
    store = str(folder / "store")
    manifest = Library(open_objects(store)).manifest("mnist")
    cache = NodeCache(folder=str(folder / "cache"))
    mnist = open_images(manifest, "train", store=store, cache=cache).pixels
    path = folder / "cifar.npy"
    np.save(path, np.random.default_rng(0).integers(256, size=CIFAR_SHAPE, dtype=np.uint8))
    cifar = np.load(path, mmap_mode="c")
    return {
        f"{name}_{kind}gb_per_s": round(pixels.nbytes / best_s(epoch(pixels)) / 1e9, 2)
        for name, pixels in (("mnist", mnist), ("cifar_shaped", cifar))
        for kind, epoch in (("", cached_epochs), ("plain_", plain_epochs))
    }


def cached_epochs(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Callable[[], None]:
    """Return an epoch as a trial has it."""
    device = torch.device("cpu")
    everything = on_device(pixels, np.arange(len(pixels)), device)
    nothing = on_device(pixels, np.arange(0), device)
    batches = FitBatches(
        normals=everything, anomalies=nothing, num_normals=BATCH_SIZE, num_anomalies=0
    )
    rng = np.random.default_rng(0)
    return lambda: exhaust(batch for batch, _ in batches.epoch(rng))


def plain_epochs(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Callable[[], None]:
    """Return an epoch as one would write it first."""
    images = torch.from_numpy(np.array(pixels))

    def batches() -> Iterator[torch.Tensor]:
        for index in torch.split(torch.randperm(len(images)), BATCH_SIZE):
            yield images[index].float() / 127.5 - 1

    return lambda: exhaust(batches())


def exhaust(batches: Iterator[torch.Tensor]) -> None:
    """Look at every batch, as an epoch does."""
    for _ in batches:
        pass


def best_s(epoch: Callable[[], None]) -> float:
    """Return the seconds of the fastest of several epochs."""
    times = []
    for _ in range(NUM_REPEATS):
        start = time.perf_counter()
        epoch()
        times.append(time.perf_counter() - start)
    return min(times)


STEPS = {"import": measure_import, "open": measure_open, "batches": measure_batches}


def main() -> None:
    """Run every step in a process of its own, print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, help="folder with the official files")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(STEPS[arguments.step](arguments.mnist, arguments.folder)))
        return
    figures: dict[str, float] = {"cores": os.cpu_count() or 1}
    with tempfile.TemporaryDirectory(prefix="agad-data-") as name:
        folder = Path(name)
        source = arguments.mnist or folder / "official"
        if not arguments.mnist:
            source.mkdir()
            write_idx_files(source)
        for step in STEPS:
            command = [sys.executable, __file__, "--step", step]
            command += ["--mnist", str(source), "--folder", str(folder)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            figures |= json.loads(done.stdout)
    table = Table("figure", "value")
    for figure, value in figures.items():
        table.add_row(figure, f"{value:g}")
    Console().print(table)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
