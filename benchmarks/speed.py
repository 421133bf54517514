"""The training engine beside a plain PyTorch loop and beside the idiom of AGAD's lineage.

    python benchmarks/speed.py [--device cuda --width 64]

All three train the same networks on the same images with the losses of AGAD and score the same
validation images after every epoch; they take turns, so that what else the machine does meets all.

- engine: `agad.trial.train_epoch`, as every trial has it, in the layout of its device.
- plain: written by hand for these networks alone, uint8 images in memory, losses summed on the
  device.
- lineage: what Skip-GANomaly's code does in a step, with AGAD's losses:
  - workers of a `DataLoader`, started anew for every epoch and loader (8 by its default), make a
    PIL image of each, resize it and normalise it; a batch that is not full is dropped, and each
    batch is copied into a tensor that stays;
  - the generator's gradient is taken with that of the discriminator, which nobody uses; the
    discriminator then passes the detached rebuilt images a second time; both graphs are retained;
  - the host waits for the discriminator's loss in every step, to see whether it is below 1e-5, and
    reads five losses with `.item()` whenever the images seen are a multiple of 100;
  - scoring, without `eval()`, passes the discriminator twice as well, and the generator.

  Left out: its plots and saved pictures, the noise, and the latent loss in the discriminator's,
  whose gradient torch now refuses, because the generator has moved by then.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from agad.config import Cell
from agad.data import FitBatches, Manifest, StoredPart, Task, on_device
from agad.detectors import Agad
from agad.detectors.agad.networks import Discriminator, GeneratorShape, NaiveGenerator, initialise
from agad.detectors.compute import Compute
from agad.trial import TrialSpec
from agad.trial.training import Training, train_epoch

MakeEpoch: TypeAlias = Callable[[NDArray[np.uint8], int, Compute], Callable[[], None]]

IMAGE_PX = 32
CHANNELS = 3
BATCH_SIZE = 256
NUM_VAL = 200


def engine(pixels: NDArray[np.uint8], width: int, compute: Compute) -> Callable[[], None]:
    """Return an epoch of the engine."""
    config = Agad(backbone="naive", base_width=width, discriminator_width=width)
    device = compute.torch_device
    rng = torch.Generator().manual_seed(0)
    training = Training(
        spec=_spec(config),
        detector=config.build((CHANNELS, IMAGE_PX, IMAGE_PX), rng, compute),
        batches=FitBatches(
            normals=on_device(pixels, np.arange(NUM_VAL, len(pixels)), device),
            anomalies=on_device(pixels, np.arange(0), device),
            num_normals=BATCH_SIZE,
            num_anomalies=0,
        ),
        val_images=on_device(pixels, np.arange(NUM_VAL), device),
        val_is_anomaly=np.arange(NUM_VAL) < NUM_VAL // 2,
        rng=np.random.default_rng(0),
    )
    return lambda: _ignore(train_epoch(training))


def _ignore(_result: object) -> None:
    pass


def _spec(config: Agad) -> TrialSpec:
    part = StoredPart(sha256="", num_bytes=0, class_counts=(1, 1))
    data = Manifest(
        name="random",
        class_names=("0", "1"),
        channels=CHANNELS,
        image_px=IMAGE_PX,
        num_val_anomalies=1,
        fingerprint="",
        train=part,
        test=part,
        source="",
        resize="none",
        test_split="official",
    )
    task = Task(
        normal_classes=(0,),
        anomalous_classes=(1,),
        labelled_classes=(1,),
        anomaly_ratio=0.0,
        pollution_ratio=0.0,
        num_val_anomalies=1,
        val_share=0.1,
    )
    return TrialSpec(
        cell=Cell(dataset="random", normal_class=0, anomaly_ratio=0.0),
        data=data,
        task=task,
        phase="search",
        number=0,
        params={},
        seed=0,
        max_epochs=1,
        detector=config,
    )


class Plain:
    """The networks and one step of Algorithm 1 at ratio 0, written by hand."""

    def __init__(self, width: int, device: torch.device) -> None:
        rng = torch.Generator().manual_seed(0)
        shape = GeneratorShape(channels=CHANNELS, image_px=IMAGE_PX, width=width)
        self.generator = NaiveGenerator(shape)
        self.discriminator = Discriminator(CHANNELS, IMAGE_PX, width)
        for network in (self.generator, self.discriminator):
            initialise(network, rng, he=False)
            network.to(device)
        self.weights_g = list(self.generator.parameters())
        self.weights_d = list(self.discriminator.parameters())
        self.adam_g = torch.optim.Adam(self.weights_g, lr=2e-4, betas=(0.5, 0.999))
        self.adam_d = torch.optim.Adam(self.weights_d, lr=2e-4, betas=(0.5, 0.999))

    def step(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Train on one batch; return its losses."""
        x_hat = self.generator(x)
        logit, z = self.discriminator(x)
        logit_hat, z_hat = self.discriminator(x_hat)
        real = torch.ones_like(logit)
        adv = functional.binary_cross_entropy_with_logits(logit_hat, real)
        con = functional.l1_loss(x_hat, x)
        lat = functional.mse_loss(z_hat, z.detach())
        adcon = functional.l1_loss(self.generator(x_hat), x_hat)
        loss_g = adv + 50 * con + 5 * lat - 15 * adcon
        fake = torch.zeros_like(logit)
        loss_d = functional.binary_cross_entropy_with_logits(logit, real)
        loss_d = loss_d + functional.binary_cross_entropy_with_logits(logit_hat, fake)
        self.adam_g.zero_grad()
        self.adam_d.zero_grad()
        torch.autograd.backward(loss_g, inputs=self.weights_g, retain_graph=True)
        torch.autograd.backward(loss_d, inputs=self.weights_d)
        self.adam_g.step()
        self.adam_d.step()
        return adv, con, lat, adcon, loss_d

    @torch.no_grad()
    def score(self, x: Tensor) -> Tensor:
        """Return a score an image."""
        self.generator.eval()
        rebuilt = self.generator(x)
        self.generator.train()
        distances: Tensor = torch.linalg.vector_norm(x - rebuilt, dim=(1, 2, 3))
        return distances


def plain(pixels: NDArray[np.uint8], width: int, compute: Compute) -> Callable[[], None]:
    """Return an epoch of the plain loop."""
    device = compute.torch_device
    model = Plain(width, device)
    images = torch.from_numpy(pixels).to(device)
    val, fit = images[:NUM_VAL], images[NUM_VAL:]

    def epoch() -> None:
        sums = torch.zeros(5, device=device)
        batches = torch.split(torch.randperm(len(fit), device=device), BATCH_SIZE)
        for chosen in batches:
            losses = model.step(fit[chosen].float() / 127.5 - 1)
            sums += torch.stack([loss.detach() for loss in losses])
        model.score(val.float() / 127.5 - 1).cpu()
        (sums / len(batches)).tolist()

    return epoch


class Pictures(Dataset[Tensor]):
    """PIL images that are made, resized and normalised one by one."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels = pixels.transpose(0, 2, 3, 1)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, place: int) -> Tensor:
        picture = Image.fromarray(self.pixels[place]).resize((IMAGE_PX, IMAGE_PX))
        image = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous().float().div(255)
        return image.sub(0.5).div(0.5)


class Lineage(Plain):
    """The same networks and losses, in the steps of Skip-GANomaly."""

    def __init__(self, width: int, device: torch.device) -> None:
        super().__init__(width, device)
        self.x = torch.empty(0, CHANNELS, IMAGE_PX, IMAGE_PX, device=device)
        self.num_seen = 0

    def take(self, batch: Tensor) -> None:
        """Copy a batch into the tensor that stays."""
        self.x.resize_(batch.shape).copy_(batch)

    def train_on(self, batch: Tensor) -> None:
        """Train on one batch."""
        self.take(batch)
        self.num_seen += len(batch)
        x_hat = self.generator(self.x)
        logit, z = self.discriminator(self.x)
        logit_hat, z_hat = self.discriminator(x_hat)
        real, fake = torch.ones_like(logit), torch.zeros_like(logit)

        self.adam_g.zero_grad()
        adv = functional.binary_cross_entropy_with_logits(logit_hat, real)
        con = functional.l1_loss(x_hat, self.x)
        lat = functional.mse_loss(z_hat, z.detach())
        adcon = functional.l1_loss(self.generator(x_hat), x_hat)
        loss_g = adv + 50 * con + 5 * lat - 15 * adcon
        torch.autograd.backward(loss_g, retain_graph=True)
        self.adam_g.step()

        self.adam_d.zero_grad()
        logit_again, _ = self.discriminator(x_hat.detach())
        loss_d = functional.binary_cross_entropy_with_logits(logit, real)
        loss_d = loss_d + functional.binary_cross_entropy_with_logits(logit_again, fake)
        torch.autograd.backward(loss_d, retain_graph=True)
        self.adam_d.step()
        if loss_d < 1e-5:
            raise RuntimeError("the discriminator would start anew, which is not measured here.")
        if self.num_seen % 100 == 0:
            [loss.item() for loss in (loss_d, loss_g, adv, con, lat)]

    @torch.no_grad()
    def score_batch(self, batch: Tensor) -> Tensor:
        """Return a score an image, by the statistics of its batch."""
        self.take(batch)
        x_hat = self.generator(self.x)
        _, z = self.discriminator(self.x)
        _, z_hat = self.discriminator(x_hat)
        rebuilt = (self.x - x_hat).square().flatten(1).mean(1)
        scores: Tensor = 0.9 * rebuilt + 0.1 * (z - z_hat).square().mean(1)
        return scores


def lineage(
    pixels: NDArray[np.uint8], width: int, compute: Compute, *, num_workers: int
) -> Callable[[], None]:
    """Return an epoch as Skip-GANomaly has it."""
    model = Lineage(width, compute.torch_device)
    loaded = partial(DataLoader[Tensor], batch_size=BATCH_SIZE, num_workers=num_workers)
    fit = loaded(Pictures(pixels[NUM_VAL:]), shuffle=True, drop_last=True)
    val = loaded(Pictures(pixels[:NUM_VAL]))

    def epoch() -> None:
        for batch in fit:
            model.train_on(batch)
        torch.cat([model.score_batch(batch) for batch in val]).cpu()

    return epoch


def seconds_of(epoch: Callable[[], None], device: torch.device) -> float:
    """Return the seconds of an epoch."""
    start = time.perf_counter()
    epoch()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    """Let the three take turns at several widths, print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--width", type=int, nargs="+", default=[4, 16, 64], help="of networks")
    parser.add_argument("--images", type=int, default=2248)
    parser.add_argument("--epochs", type=int, default=5, help="of each, after one that warms up")
    parser.add_argument("--workers", type=int, default=8, help="of the lineage's loaders")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    compute = Compute(device=arguments.device)
    shape = (arguments.images, CHANNELS, IMAGE_PX, IMAGE_PX)
    pixels = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    table = Table("width", "engine s", "plain s", "lineage s", "plain/engine", "lineage/engine")
    figures: dict[str, Any] = dict(vars(arguments))
    in_lineage = partial(lineage, num_workers=arguments.workers)
    for width in arguments.width:
        makers: dict[str, MakeEpoch] = {"engine": engine, "plain": plain, "lineage": in_lineage}
        epochs = {name: make(pixels, width, compute) for name, make in makers.items()}
        times: dict[str, list[float]] = {name: [] for name in makers}
        for turn in range(arguments.epochs + 1):
            for name, epoch in epochs.items():
                taken = seconds_of(epoch, compute.torch_device)
                if turn:
                    times[name].append(taken)
        medians = {name: statistics.median(taken) for name, taken in times.items()}
        ratios = [medians[name] / medians["engine"] for name in ("plain", "lineage")]
        row = [*(f"{one:.3f}" for one in medians.values()), *(f"{one:.2f}" for one in ratios)]
        table.add_row(str(width), *row)
        figures[f"width_{width}"] = {name: round(one, 4) for name, one in medians.items()}
    Console().print(table)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
