"""How well frozen features tell classes apart by nearest neighbours, and what an image costs.

    pip install 'agad[features]'
    python benchmarks/encoders.py ../shared/data/cifar10

One class of CIFAR-10 is normal; 200 of its training images are drawn, three times. Every image of
the test part is scored by its mean distance to the two nearest of them (scikit-learn's
``NearestNeighbors``, features of length 1). The figure of a class is the AUROC, mean over the
draws; the last line is the mean over the ten classes, and the SD of that mean over the draws. The
cost is that of computing features alone, in batches of 64: the time of the CPU, summed over the
threads, which a busy machine hardly changes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]
from sklearn.neighbors import NearestNeighbors  # type: ignore[import-untyped]

from agad.data import (
    ImportOptions,
    Library,
    Manifest,
    NodeCache,
    Part,
    import_dataset,
    on_device,
    open_images,
)
from agad.encoders.features import FeatureReader
from agad.encoders.networks import find_encoder, open_encoder
from agad.objects import open_objects

NUM_NORMALS = 200
NUM_DRAWS = 3
NUM_NEIGHBOURS = 2
NUM_TIMED = 512


def draws(labels: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the normal images of each class and draw, shape ``(classes, draws, normals)``."""
    chosen = []
    for label in range(int(labels.max()) + 1):
        members = np.flatnonzero(labels == label)
        chosen.append(
            [
                np.random.default_rng([label, draw]).choice(members, NUM_NORMALS, replace=False)
                for draw in range(NUM_DRAWS)
            ]
        )
    return np.array(chosen)


def unit_length(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return features ``(N, D)``, each row divided by its length."""
    exact = features.astype(np.float64)
    lengths: NDArray[np.float64] = np.linalg.norm(exact, axis=1, keepdims=True)
    return exact / lengths


def aurocs(reader: FeatureReader, cache: NodeCache) -> NDArray[np.float64]:
    """Return the AUROC of each class and draw, shape ``(classes, draws)``."""
    labels = {part: _labels(reader, part, cache) for part in ("train", "test")}
    chosen = draws(labels["train"])
    wanted = np.unique(chosen)
    progress = Console(stderr=True)

    def tell(num_done: int, num_missing: int) -> None:
        progress.print(f"features of {num_done:,} of {num_missing:,} images")

    train = unit_length(reader.read("train", wanted, on_progress=tell))
    test = unit_length(reader.read("test", np.arange(len(labels["test"])), on_progress=tell))
    found = np.zeros(chosen.shape[:2])
    for label, draw in np.ndindex(*found.shape):
        normals = train[np.searchsorted(wanted, chosen[label, draw])]
        neighbours = NearestNeighbors(n_neighbors=NUM_NEIGHBOURS).fit(normals)
        scores = neighbours.kneighbors(test)[0].mean(axis=1)
        found[label, draw] = roc_auc_score(labels["test"] != label, scores)
    return found


def _labels(reader: FeatureReader, part: Part, cache: NodeCache) -> NDArray[np.int64]:
    return open_images(reader.data, part, store=reader.store, cache=cache).labels


def ms_per_image(name: str, image_px: int, data: Manifest, reader: FeatureReader) -> float:
    """Return the least of three measurements over ``NUM_TIMED`` images, after a first batch."""
    encoder = open_encoder(find_encoder(name, image_px=image_px), folder=reader.cache.folder)
    pixels = open_images(data, "train", store=reader.store, cache=reader.cache).pixels
    images = on_device(pixels, np.arange(NUM_TIMED), torch.device("cpu"))
    encoder.features(images.take(torch.arange(64)))
    times = []
    for _ in range(3):
        start = time.process_time()
        for batch in images.batches(64):
            encoder.features(batch)
        times.append(time.process_time() - start)
    return 1000 * min(times) / NUM_TIMED


def main() -> None:
    """Import the data, compute the features, print a table."""
    parser = argparse.ArgumentParser(description="Nearest neighbours on frozen features.")
    parser.add_argument("cifar10", type=Path, help="the folder of CIFAR-10's official files")
    parser.add_argument("--encoder", default="efficientnet-lite0", help="a name, or a file")
    parser.add_argument("--size", type=int, default=96, help="px at which the encoder sees images")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory(prefix="agad-encoders-") as folder:
        store, cache = f"{folder}/store", NodeCache(folder=f"{folder}/cache")
        library = Library(open_objects(store))
        data = import_dataset("cifar10", arguments.cifar10, library, ImportOptions()).manifest
        reader = FeatureReader(
            encoder=find_encoder(arguments.encoder, image_px=arguments.size),
            data=data,
            store=store,
            cache=cache,
            sees_test=True,
        )
        found = aurocs(reader, cache)
        cost = ms_per_image(arguments.encoder, arguments.size, data, reader)
        start = time.perf_counter()
        reader.read("test", np.arange(data.test.num_images))
        again_s = time.perf_counter() - start
    table = Table(title=f"kNN on {arguments.encoder} at {arguments.size} px")
    for column in ("class", "AUROC", "SD over draws"):
        table.add_column(column)
    for name, row in zip(data.class_names, found, strict=True):
        table.add_row(name, f"{row.mean():.3f}", f"{row.std(ddof=1):.3f}")
    means = found.mean(axis=0)
    table.add_row("mean", f"{means.mean():.4f}", f"{means.std(ddof=1):.4f}")
    console = Console()
    console.print(table)
    console.print(
        f"{reader.num_computed:,} images in {reader.compute_s:.1f} s; at its best "
        f"{cost:.1f} CPU ms an image on {arguments.threads} threads, load "
        f"{os.getloadavg()[0]:.1f}; the {data.test.num_images:,} test images again from the "
        f"cache: {again_s:.2f} s"
    )


if __name__ == "__main__":
    main()
