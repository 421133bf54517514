"""Devices, precisions and layouts: refused where unknown, and close in what they give."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import torch
from torch import Tensor

from agad.detectors import AgadDetector, Compute
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
        for compute in (Compute(), Compute(channels_last=True))
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
    computes = (Compute(), Compute(channels_last=True, precision="bfloat16"))
    one, other = (make_detector(compute=compute).generator.state_dict() for compute in computes)
    torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.slow
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
    for compute in (Compute(), Compute(is_compiled=True)):
        detector = make_detector(base_width=2, discriminator_width=2, compute=compute)
        losses = detector.update(make_images(4), make_images(4, seed=1))
        found.append(losses | {"scores": detector.score(make_images(4))})
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-5)
