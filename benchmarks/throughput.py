r"""How near to its device the training step comes: images, FLOPs and bytes a second.

    python benchmarks/throughput.py --width 8 --batch-size 16
    python benchmarks/throughput.py --device cuda --width 64 --precision bfloat16 \
        --channels-last --compile cuda-graphs

Each backbone takes steps at ratio 0 by turns, in the usual layout, uncompiled and in float32
(``usual``), and as the flags say (``set``). The shares are of what the same run measures: the
fastest matrix product in the precision of each (float32 with TF32, which convolutions use on an
NVIDIA GPU unless told otherwise), and the fastest copy of a large tensor, in bytes read and
written.

- FLOPs are torch's count of one step's matrix products and convolutions, forward and backward.
- Bytes are an estimate: what every operation of one uncompiled step reads and writes, each tensor
  once. A compiled step moves less, and what stays in a cache costs less, so a share may exceed 1.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_args

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from agad.detectors import Agad, StepwiseDetector
from agad.detectors.compute import Compilation, Compute, Precision, count_flop

BACKBONES = ("naive", "unet", "unet++")
IMAGE_SHAPE = (3, 32, 32)


class ByteCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that operations read and write, views apart."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.num_bytes = 0

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        made = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [one for one in tree_leaves((args, kwargs, made)) if isinstance(one, Tensor)]
            self.num_bytes += sum(one.nbytes for one in tensors)
        return made


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of some work, to its end on the device."""
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Return the most FLOPs a second of a product of two square matrices, in 10 attempts."""
    torch.backends.cuda.matmul.allow_tf32 = True
    size = 8192 if device.type == "cuda" else 1024
    one = torch.randn(size, size, device=device, dtype=dtype)
    torch.mm(one, one)
    return 2 * size**3 / min(seconds_of(lambda: torch.mm(one, one), device) for _ in range(10))


def copy_peak(device: torch.device) -> float:
    """Return the most bytes a second, read and written, of a copy of 256 MiB, in 10 attempts."""
    one = torch.ones(2**26, device=device)
    other = torch.empty_like(one)
    other.copy_(one)
    return 2 * one.nbytes / min(seconds_of(lambda: other.copy_(one), device) for _ in range(10))


def counts_of(detector: StepwiseDetector, images: Tensor) -> tuple[int, int]:
    """Return the FLOPs and the bytes of one uncompiled step."""
    num_flops = count_flop(lambda: detector.update(images, None))
    with ByteCounter() as counted:
        detector.update(images, None)
    return num_flops, counted.num_bytes


def measure(backbone: str, arguments: argparse.Namespace, computes: list[Compute]) -> list[float]:
    """Return FLOPs and bytes of a step, then the median seconds of one step of each setting."""
    device = computes[0].torch_device
    config = Agad(
        backbone=backbone,
        base_width=arguments.width,
        discriminator_width=arguments.width,
        batch_size=arguments.batch_size,
        min_batch_anomalies=2,
    )
    images = torch.rand(arguments.batch_size, *IMAGE_SHAPE, device=device) * 2 - 1
    detectors = [
        config.build(IMAGE_SHAPE, torch.Generator().manual_seed(0), compute) for compute in computes
    ]
    num_flops, num_bytes = counts_of(detectors[0], images)

    def steps(detector: StepwiseDetector) -> None:
        for _ in range(arguments.steps):
            detector.update(images, None)

    for detector in detectors:
        steps(detector)  # Warms up, and compiles.
    times: list[list[float]] = [[] for _ in detectors]
    for _ in range(arguments.turns):
        for detector, taken in zip(detectors, times, strict=True):
            taken.append(seconds_of(partial(steps, detector), device) / arguments.steps)
    return [num_flops, num_bytes, *(statistics.median(taken) for taken in times)]


def main() -> None:
    """Measure the device, then every backbone; print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--width", type=int, default=8, help="of all networks")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--backbone", nargs="+", choices=BACKBONES, default=BACKBONES)
    parser.add_argument("--steps", type=int, default=10, help="a turn")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--precision", choices=get_args(Precision), default="float32")
    parser.add_argument("--channels-last", action=argparse.BooleanOptionalAction)
    parser.add_argument("--compile", choices=get_args(Compilation), default="off")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    usual = Compute(device=arguments.device, channels_last=False)
    chosen = Compute(
        device=arguments.device,
        precision=arguments.precision,
        channels_last=arguments.channels_last,
        compilation=arguments.compile,
    )
    device = usual.torch_device
    flops = {one: matmul_peak(device, getattr(torch, one)) for one in {"float32", chosen.precision}}
    copied = copy_peak(device)
    table = Table("backbone", "setting", "images/s", "GFLOP/s", "of peak", "GB/s", "of peak")
    figures: dict[str, Any] = {**vars(arguments), "peak_flops": flops, "peak_bytes": copied}
    for backbone in arguments.backbone:
        num_flops, num_bytes, *seconds = measure(backbone, arguments, [usual, chosen])
        figures[backbone] = {"flops": num_flops, "bytes": num_bytes, "step_s": seconds}
        for name, compute, step_s in zip(("usual", "set"), (usual, chosen), seconds, strict=True):
            done, moved = num_flops / step_s, num_bytes / step_s
            table.add_row(
                *(backbone, name, f"{arguments.batch_size / step_s:,.0f}", f"{done / 1e9:,.1f}"),
                *(f"{done / flops[compute.precision]:.1%}", f"{moved / 1e9:,.2f}"),
                f"{moved / copied:.1%}",
            )
    peaks = ", ".join(f"{one} {peak / 1e9:,.0f} GFLOP/s" for one, peak in flops.items())
    Console().print(table, f"peaks: {peaks}; copies {copied / 1e9:,.1f} GB/s")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
