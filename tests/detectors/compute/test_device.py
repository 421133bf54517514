"""Devices, precisions and layouts: refused where unknown, and close in what they give."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import torch
from torch import Tensor, nn

from agad.detectors.agad.training import AgadDetector
from agad.detectors.compute import Compute
from agad.errors import ConfigError

MakeDetector: TypeAlias = Callable[..., AgadDetector]
MakeImages: TypeAlias = Callable[..., Tensor]
AnyValue: TypeAlias = Any
"""What a user may write where a value is asked for."""

_BACKBONES = ("naive", "unet", "unet++")


@pytest.mark.parametrize("device", ["gpu", "", "cuda:", "cuda:x", "cuda:-1", "tpu:0", "meta"])
def test_compute_refuses_a_device_that_it_does_not_know(device: str) -> None:
    with pytest.raises(ConfigError, match=f"--device is '{device}', but must be cpu, cuda or mps"):
        Compute(device=device)


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1", "mps"])
def test_compute_knows_a_device_that_this_machine_may_not_have(device: str) -> None:
    assert str(Compute(device=device).torch_device) == device


@pytest.mark.parametrize("precision", ["float16", "bf16", ""])
def test_compute_refuses_a_precision_that_it_does_not_know(precision: AnyValue) -> None:
    message = f"--precision is '{precision}', but must be one of: float32, bfloat16"
    with pytest.raises(ConfigError, match=message):
        Compute(precision=precision)


@pytest.mark.parametrize("compilation", ["on", "reduce-overhead", ""])
def test_compute_refuses_a_compilation_that_it_does_not_know(compilation: AnyValue) -> None:
    message = f"--compile is '{compilation}', but must be one of: off, default, cuda-graphs"
    with pytest.raises(ConfigError, match=message):
        Compute(compilation=compilation)


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_compute_refuses_cuda_graphs_beside_cuda(device: str) -> None:
    message = f"--compile is cuda-graphs, but the device is {device}, and only cuda has them"
    with pytest.raises(ConfigError, match=message):
        Compute(device=device, compilation="cuda-graphs")


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_compute_takes_cuda_graphs_on_cuda(device: str) -> None:
    assert Compute(device=device, compilation="cuda-graphs").compilation == "cuda-graphs"


@pytest.mark.parametrize(
    ("device", "asked_for", "is_last"),
    [
        ("cpu", None, True),
        ("cuda", None, False),
        ("cuda:1", None, False),
        ("mps", None, False),
        ("cpu", False, False),
        ("cuda", True, True),
    ],
)
def test_the_layout_is_that_of_the_device_unless_one_is_asked_for(
    device: str, asked_for: bool | None, is_last: bool
) -> None:
    assert Compute(device=device, channels_last=asked_for).is_channels_last is is_last


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps"])
def test_check_available_refuses_a_device_that_is_not_there(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    message = f"--device is {device}, but this machine has no {device} device"
    with pytest.raises(ConfigError, match=message):
        Compute(device=device).check_available()


def test_check_available_refuses_a_number_beyond_the_gpus_that_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    Compute(device="cuda:1").check_available()
    with pytest.raises(ConfigError, match="--device is cuda:2, but this machine has no cuda:2"):
        Compute(device="cuda:2").check_available()


def test_check_available_allows_the_cpu() -> None:
    Compute().check_available()


@pytest.mark.parametrize("backbone", _BACKBONES)
def test_channels_last_lays_out_the_weights_of_both_networks(
    backbone: str, make_detector: MakeDetector
) -> None:
    detector = make_detector(backbone=backbone, compute=Compute(channels_last=True))
    kernels = [
        weights
        for network in (detector.generator, detector.discriminator)
        for weights in network.parameters()
        if weights.ndim == 4
    ]
    assert len(kernels) > 0
    assert all(one.is_contiguous(memory_format=torch.channels_last) for one in kernels)


@pytest.mark.parametrize("backbone", _BACKBONES)
def test_channels_last_gives_the_scores_of_the_usual_layout(
    backbone: str, make_detector: MakeDetector, make_images: MakeImages
) -> None:
    usual, last = (
        make_detector(backbone=backbone, compute=compute, num_updates=1).score(make_images(8))
        for compute in (Compute(channels_last=False), Compute(channels_last=True))
    )
    torch.testing.assert_close(usual, last, rtol=1e-3, atol=0)


@pytest.mark.parametrize("backbone", _BACKBONES)
def test_bfloat16_keeps_weights_statistics_moments_losses_and_scores_in_float32(
    backbone: str, make_detector: MakeDetector, make_images: MakeImages
) -> None:
    compute = Compute(precision="bfloat16")
    detector = make_detector(backbone=backbone, compute=compute, anomaly_term="both")
    losses = detector.update(make_images(16), make_images(8, seed=1))
    state = detector.state()
    moments = [one for kind in ("adam_g", "adam_d") for one in state[kind]["state"].values()]
    kept = [
        *losses.values(),
        *(value for one in moments for value in one.values()),
        *state["generator"].values(),
        *state["discriminator"].values(),
        detector.score(make_images(2)),
    ]
    assert {one.dtype for one in kept if one.is_floating_point()} == {torch.float32}


@pytest.mark.parametrize("backbone", _BACKBONES)
def test_bfloat16_trains_on_and_close_to_float32(
    backbone: str, make_detector: MakeDetector, make_images: MakeImages
) -> None:
    means = []
    for precision in ("float32", "bfloat16"):
        detector = make_detector(backbone=backbone, lr=2e-3, compute=Compute(precision=precision))
        steps = [detector.update(make_images(16), make_images(8, seed=1)) for _ in range(20)]
        assert all(loss.isfinite() for losses in steps for loss in losses.values())
        means.append([losses["con"].item() for losses in steps])
    assert means[0] != means[1]
    assert means[0][0] == pytest.approx(means[1][0], rel=0.01)
    assert means[0][-1] == pytest.approx(means[1][-1], rel=0.1)


def test_an_equal_seed_gives_equal_weights_however_they_are_computed(
    make_detector: MakeDetector,
) -> None:
    computes = (Compute(channels_last=False), Compute(channels_last=True, precision="bfloat16"))
    one, other = (make_detector(compute=compute).generator.state_dict() for compute in computes)
    torch.testing.assert_close(one, other, rtol=0, atol=0)


class _Recorded(nn.Module):
    """A network whose outputs are lost at the next step, as those of CUDA graphs are."""

    def __init__(self, network: nn.Module, lost: list[Tensor]) -> None:
        super().__init__()
        self.network = network
        self.lost = lost

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        made: Tensor | tuple[Tensor, ...] = self.network(x)
        self.lost += [made] if isinstance(made, Tensor) else made
        return made


def test_cuda_graphs_may_write_over_all_that_the_networks_gave_a_step(
    make_detector: MakeDetector, make_images: MakeImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule of CUDA graphs on the CPU; that torch keeps to it on a GPU is not tested."""
    lost: list[Tensor] = []
    modes: list[str | None] = []
    weights: list[nn.Parameter] = []
    grads_held: list[int] = []

    def record(network: nn.Module, *, mode: str | None, **_: int) -> nn.Module:
        modes.append(mode)
        weights.extend(network.parameters())
        for weight in network.parameters():
            weight.register_post_accumulate_grad_hook(  # type: ignore[no-untyped-call]
                lambda one: lost.append(_grad(one))
            )
        return _Recorded(network, lost)

    def overwrite() -> None:
        while lost:
            lost.pop().detach().fill_(torch.nan)

    def begin_step() -> None:
        grads_held.append(sum(weight.grad is not None for weight in weights))
        overwrite()

    def train(compute: Compute) -> list[dict[str, Tensor]]:
        detector = make_detector(compute=compute, anomaly_term="both")
        steps = [detector.update(make_images(8, seed=one), make_images(4)) for one in range(3)]
        overwrite()
        return [*steps, {"scores": detector.score(make_images(4))}]

    usual = train(Compute())
    monkeypatch.setattr(torch, "compile", record)
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", begin_step)
    monkeypatch.setattr(Compute, "torch_device", torch.device("cpu"))
    graphed = train(Compute(device="cuda", compilation="cuda-graphs"))
    assert modes == ["reduce-overhead", "reduce-overhead"]
    assert grads_held == [0, 0, 0]
    torch.testing.assert_close(usual, graphed, rtol=0, atol=0)


def _grad(weight: Tensor) -> Tensor:
    assert weight.grad is not None
    return weight.grad


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore")  # Torch's compiler warns of torch's own code.
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles with g++, which is absent")
def test_compiled_networks_give_the_losses_and_scores_of_the_others(
    make_detector: MakeDetector,
    make_images: MakeImages,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    found = []
    for compute in (Compute(), Compute(compilation="default")):
        detector = make_detector(base_width=2, discriminator_width=2, compute=compute)
        losses = detector.update(make_images(4), make_images(4, seed=1))
        found.append(losses | {"scores": detector.score(make_images(4))})
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # As above.
@pytest.mark.nightly
def test_the_networks_of_every_width_in_one_process_are_compiled(
    make_detector: MakeDetector, make_images: MakeImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs: list[int] = []

    def count(graph: torch.fx.GraphModule, _: list[Tensor]) -> Callable[..., Any]:
        graphs[-1] += 1
        return graph.forward

    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=count))
    for width in range(1, 7):
        graphs.append(0)
        detector = make_detector(base_width=width, compute=Compute(compilation="default"))
        detector.update(make_images(4), None)
    assert min(graphs) > 0


@pytest.mark.slow
def test_networks_are_compiled_in_a_process_that_has_compiled_nothing() -> None:
    """Torch has the switch that is set only once its compiler is loaded."""
    program = (
        "import torch; from torch import nn; from agad.detectors.compute import Compute; "
        "Compute(compilation='default').compiled(nn.Identity())"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
