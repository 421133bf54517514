"""The engine: what ends a trial, what it copies from the device, and where it computes."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from torch import Tensor

from agad.data import Subset
from agad.detectors.agad.training import AgadDetector
from agad.detectors.compute import Compute
from agad.errors import ConfigError, GpuMemoryError, ScoreError, TrialDivergedError
from agad.trial import Runtime, TrialSpec, train_trial
from agad.trial.training import prepare, train_epoch

MakeSpec: TypeAlias = Callable[..., TrialSpec]
UseStub: TypeAlias = Callable[..., None]

_COPIES = ("cpu", "item", "tolist", "numpy", "__bool__", "__float__", "__int__", "__array__")
"""The ways of a tensor to the host."""


def _greys(images: Tensor) -> Tensor:
    return images.mean(dim=(1, 2, 3))


def _num_steps(make_spec: MakeSpec, runtime: Runtime) -> int:
    return prepare(make_spec(), runtime).batches.num_batches


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (1.01e8, r"1\.01e\+08"),
        (-1.01e8, r"-1\.01e\+08"),
    ],
)
def test_a_loss_that_is_not_finite_or_exploded_ends_the_trial_and_is_named(
    loss: float, text: str, use_stub: UseStub, make_spec: MakeSpec, runtime: Runtime
) -> None:
    use_stub(losses=[loss])
    with pytest.raises(TrialDivergedError, match=f"^loss_g is {text} at epoch 0$"):
        list(train_trial(make_spec(), runtime))


def test_the_epoch_of_a_loss_that_is_not_finite_is_named(
    use_stub: UseStub, make_spec: MakeSpec, runtime: Runtime
) -> None:
    use_stub(losses=[1.0] * (_num_steps(make_spec, runtime) + 1) + [math.nan, 1.0])
    epochs = train_trial(make_spec(max_epochs=3), runtime)
    assert next(epochs).epoch == 0
    with pytest.raises(TrialDivergedError, match="loss_g is nan at epoch 1"):
        next(epochs)


@pytest.mark.parametrize("loss", [9.9e7, -9.9e7])
def test_a_large_loss_is_a_result(
    loss: float, use_stub: UseStub, make_spec: MakeSpec, runtime: Runtime
) -> None:
    use_stub(losses=[loss])
    (result,) = train_trial(make_spec(max_epochs=1), runtime)
    assert result.losses["loss_g"] == pytest.approx(loss)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_score_that_is_not_finite_ends_the_trial_before_any_metric(
    bad: float,
    use_stub: UseStub,
    make_spec: MakeSpec,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def scores(images: Tensor) -> Tensor:
        greys = _greys(images)
        greys[0] = bad
        return greys

    use_stub(scores=scores)
    monkeypatch.setattr("agad.trial.metrics.rankdata", lambda _: pytest.fail("ranked a bad score"))
    with pytest.raises(TrialDivergedError, match="1 of 42 scores are not finite"):
        list(train_trial(make_spec(), runtime))


def test_a_test_score_that_is_not_finite_ends_a_confirm_trial(
    use_stub: UseStub, make_spec: MakeSpec, runtime: Runtime
) -> None:
    # Only the test split is scored in batches as large as 256.
    use_stub(scores=lambda images: _greys(images) / (len(images) < 200))
    with pytest.raises(TrialDivergedError, match="scores are not finite"):
        list(train_trial(make_spec(phase="confirm"), runtime))


@pytest.mark.parametrize(
    "options",
    [{"backbone": "unet++"}, {"backbone": "unet", "tanh_output": False}],
    ids=["bounded", "unbounded"],
)
def test_a_trial_of_a_learning_rate_far_too_high_diverges(
    options: dict[str, Any], make_spec: MakeSpec, runtime: Runtime
) -> None:
    spec = make_spec(lr=1e30, max_epochs=3, **options)
    with pytest.raises(TrialDivergedError, match=r" is \S+ at epoch \d|are not finite"):
        list(train_trial(spec, runtime))


def test_an_epochs_losses_are_means_over_its_steps_and_what_the_detector_adds(
    use_stub: UseStub, make_spec: MakeSpec, runtime: Runtime
) -> None:
    num_steps = _num_steps(make_spec, runtime)
    use_stub(losses=[float(step) for step in range(num_steps)])
    (result,) = train_trial(make_spec(max_epochs=1), runtime)
    expected = {"con": 0.25, "loss_g": (num_steps - 1) / 2, "twice_con": 0.5}
    assert result.losses == pytest.approx(expected)


@pytest.mark.parametrize(
    "options",
    [{}, {"backbone": "unet", "advprop": True, "max_grad_norm": 1.0}, {"anomaly_pass": "mixed"}],
    ids=lambda one: "-".join(map(str, one)) or "default",
)
def test_an_epoch_copies_its_losses_and_its_scores_from_the_device_once_each(
    options: dict[str, Any], make_spec: MakeSpec, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = prepare(make_spec(**options), runtime)
    assert training.batches.num_batches > 3
    copies: list[tuple[str, torch.Size]] = []

    def counting(name: str) -> Callable[..., object]:
        usual = getattr(Tensor, name)

        def copy(self: Tensor, *rest: object) -> object:
            # Adam counts its steps on the host, whatever the device.
            if sys._getframe(1).f_globals["__name__"].startswith("agad"):
                copies.append((name, self.shape))
            return usual(self, *rest)

        return copy

    with monkeypatch.context() as patch:
        for name in _COPIES:
            patch.setattr(Tensor, name, counting(name))
        losses, scores = train_epoch(training)
    # One copy is the losses, the other the scores; to float64 they are brought on the host.
    assert copies[:-1] == [
        ("cpu", torch.Size([len(losses) - 1])),
        ("tolist", torch.Size([len(losses) - 1])),
        ("cpu", torch.Size([len(scores)])),
    ]
    assert copies[-1][0] == "numpy"


def _with_update(monkeypatch: pytest.MonkeyPatch, update: Callable[..., object]) -> None:
    monkeypatch.setattr(AgadDetector, "update", update)


def test_a_trial_that_exceeds_the_gpus_memory_says_where_and_what_to_do(
    make_spec: MakeSpec, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exceeds(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried 20 GiB.\nSee the docs.")

    _with_update(monkeypatch, exceeds)
    message = (
        r"^digits class=0 ratio=0\.1 does not fit the memory of cpu at a share of 0\.25 "
        r"\(CUDA out of memory\. Tried 20 GiB\.\); run fewer trials a GPU, or use a smaller "
        r"batch_size\.$"
    )
    with pytest.raises(GpuMemoryError, match=message) as caught:
        list(train_trial(make_spec(), replace(runtime, gpus=0.25)))
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)
    assert isinstance(caught.value, MemoryError)


def test_another_error_of_a_step_is_not_taken_for_memory(
    make_spec: MakeSpec, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a bug")

    _with_update(monkeypatch, fails)
    with pytest.raises(RuntimeError, match=r"^a bug$"):
        list(train_trial(make_spec(), runtime))


def test_a_detector_whose_scores_leak_ends_the_trial_at_its_first_epoch(
    make_spec: MakeSpec, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AgadDetector, "score", AgadDetector.score_with_batch_statistics)
    with pytest.raises(ScoreError, match="must not depend on batch size, order or neighbours"):
        next(train_trial(make_spec(), runtime))


def test_scores_are_checked_once_a_trial_on_validation_images(
    make_spec: MakeSpec, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[int] = []

    def note(_detector: object, images: Subset) -> None:
        checked.append(len(images))

    monkeypatch.setattr("agad.trial.training.check_scores", note)
    list(train_trial(make_spec(phase="confirm", max_epochs=3), runtime))
    assert checked == [42]


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused_before_the_images_are_opened(
    device: str, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr("agad.trial.training.open_images", lambda *_: pytest.fail("opened images"))
    runtime = Runtime(store="a/store/that/is/nowhere", compute=Compute(device=device))
    with pytest.raises(ConfigError, match=f"--device is {device}, but this machine has no"):
        next(train_trial(make_spec(), runtime))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_is_refused_on_this_machine_without_it(make_spec: MakeSpec, runtime: Runtime) -> None:
    on_gpu = replace(runtime, compute=Compute(device="cuda"))
    with pytest.raises(ConfigError, match="--device is cuda, but this machine has no cuda"):
        next(train_trial(make_spec(), on_gpu))


@pytest.mark.parametrize(
    "compute",
    [Compute(channels_last=False), Compute(precision="bfloat16")],
    ids=["channels-first", "bfloat16"],
)
def test_another_way_to_compute_gives_an_epoch_close_to_the_usual_one(
    compute: Compute, make_spec: MakeSpec, runtime: Runtime
) -> None:
    spec = make_spec(max_epochs=1, backbone="unet", lr=2e-4)
    (usual,) = train_trial(spec, runtime)
    (other,) = train_trial(spec, replace(runtime, compute=compute))
    assert other.losses["con"] == pytest.approx(usual.losses["con"], rel=0.02)
    assert other.val_auroc == pytest.approx(usual.val_auroc, abs=0.05)


def test_a_trial_resets_by_the_mean_loss_of_its_epoch(
    make_spec: MakeSpec, runtime: Runtime
) -> None:
    (usual,) = train_trial(make_spec(max_epochs=1, reset_threshold=0.0), runtime)
    loss_d = usual.losses["loss_d"]
    resets = [
        next(train_trial(make_spec(max_epochs=1, reset_threshold=threshold), runtime)).losses[
            "resets"
        ]
        for threshold in (loss_d * (1 - 1e-6), loss_d * (1 + 1e-6))
    ]
    assert resets == [0.0, 1.0]
    assert np.isfinite(loss_d)
