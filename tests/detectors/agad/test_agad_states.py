"""Between epochs: the discriminator's new start, and the state to go on from."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
import torch
from torch import Tensor

from agad.detectors.agad.training import AgadDetector
from agad.detectors.compute import Compute

MakeDetector: TypeAlias = Callable[..., AgadDetector]
MakeImages: TypeAlias = Callable[..., Tensor]

_ALWAYS: dict[str, Any] = {"reset_threshold": 10.0}
_BELOW = {"loss_d": 1.0}


def _weights(detector: AgadDetector) -> list[dict[str, Tensor]]:
    networks = (detector.generator, detector.discriminator)
    return [copy.deepcopy(dict(network.state_dict())) for network in networks]


def _assert_equal(one: object, other: object) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("loss_d", "threshold", "expected"),
    [(1e-6, 1e-5, 1.0), (1e-5, 1e-5, 0.0), (1.0, 1e-5, 0.0), (1.0, 1.5, 1.0), (0.0, 0.0, 0.0)],
)
def test_end_epoch_resets_where_the_mean_loss_is_below_the_threshold_and_never_at_0(
    loss_d: float, threshold: float, expected: float, make_detector: MakeDetector
) -> None:
    detector = make_detector(reset_threshold=threshold)
    assert detector.end_epoch({"loss_d": loss_d}) == {"resets": expected}


def test_an_epoch_without_a_reset_changes_nothing(make_detector: MakeDetector) -> None:
    detector = make_detector(num_updates=2)
    before = copy.deepcopy(detector.state())
    detector.end_epoch({"loss_d": 1.0})
    _assert_equal(detector.state(), before)


def test_a_reset_draws_every_kernel_of_the_discriminator_anew(make_detector: MakeDetector) -> None:
    detector = make_detector(num_updates=2, **_ALWAYS)
    _, before = _weights(detector)
    detector.end_epoch(_BELOW)
    _, after = _weights(detector)
    kernels = [name for name, value in before.items() if value.ndim == 4]
    assert len(kernels) == 4
    for name in kernels:
        assert (after[name] != before[name]).float().mean() > 0.99
        # The latent's 100 x 1 x 3 x 3 weights are the fewest but for the image's own.
        assert after[name].std().item() == pytest.approx(0.02, rel=0.3)


def test_a_reset_draws_other_weights_than_the_first_time(make_detector: MakeDetector) -> None:
    detector = make_detector(**_ALWAYS)
    drawn = []
    for _ in range(3):
        drawn.append(_weights(detector)[1]["classify.weight"])
        detector.end_epoch(_BELOW)
    assert not any(torch.equal(drawn[one], drawn[one - 1]) for one in range(3))


def test_a_reset_starts_the_discriminators_batch_statistics_afresh(
    make_detector: MakeDetector,
) -> None:
    fresh = dict(make_detector(**_ALWAYS).discriminator.named_buffers())
    detector = make_detector(num_updates=2, **_ALWAYS)
    detector.end_epoch(_BELOW)
    assert len(fresh) > 0
    _assert_equal(dict(detector.discriminator.named_buffers()), fresh)


def test_a_reset_forgets_the_discriminators_moments_and_keeps_the_generators(
    make_detector: MakeDetector,
) -> None:
    detector = make_detector(num_updates=2, **_ALWAYS)
    before = copy.deepcopy(detector.state())
    assert len(before["adam_d"]["state"]) > 0
    detector.end_epoch(_BELOW)
    after = detector.state()
    assert after["adam_d"]["state"] == {}
    assert after["adam_d"]["param_groups"] == before["adam_d"]["param_groups"]
    _assert_equal(after["adam_g"], before["adam_g"])


def test_a_reset_leaves_the_generator_untouched(make_detector: MakeDetector) -> None:
    detector = make_detector(num_updates=2, **_ALWAYS)
    before, _ = _weights(detector)
    detector.end_epoch(_BELOW)
    _assert_equal(_weights(detector)[0], before)


def test_training_goes_on_after_a_reset_and_moves_the_new_weights(
    make_detector: MakeDetector, make_images: MakeImages
) -> None:
    detector = make_detector(num_updates=2, **_ALWAYS)
    detector.end_epoch(_BELOW)
    _, before = _weights(detector)
    for step in range(3):
        losses = detector.update(make_images(16, seed=step), make_images(8, seed=100 + step))
        assert all(loss.isfinite() for loss in losses.values())
    _, after = _weights(detector)
    assert not any(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize(
    "compute",
    [Compute(channels_last=False), Compute(channels_last=True)],
    ids=["usual", "channels-last"],
)
def test_an_equal_seed_gives_an_equal_reset_however_it_is_computed(
    compute: Compute, make_detector: MakeDetector
) -> None:
    one, other = make_detector(**_ALWAYS), make_detector(compute=compute, **_ALWAYS)
    torch.manual_seed(1)
    one.end_epoch(_BELOW)
    torch.manual_seed(2)
    other.end_epoch(_BELOW)
    _assert_equal(_weights(one), _weights(other))


def test_a_reset_keeps_the_layout_that_is_asked_for(make_detector: MakeDetector) -> None:
    detector = make_detector(compute=Compute(channels_last=True), **_ALWAYS)
    detector.end_epoch(_BELOW)
    kernel = detector.discriminator.state_dict()["encode.2.weight"]
    assert kernel.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("options", [{"backbone": "naive"}, {"backbone": "unet", "advprop": True}])
def test_a_restored_detector_goes_on_as_the_one_it_was_taken_from(
    options: dict[str, Any], make_detector: MakeDetector, make_images: MakeImages
) -> None:
    one = make_detector(num_updates=3, **options, **_ALWAYS)
    other = make_detector(seed=7, num_updates=1, **options, **_ALWAYS)
    other.restore(copy.deepcopy(one.state()))
    for detector in (one, other):
        detector.end_epoch(_BELOW)  # Draws from the generator that is part of the state.
        for step in range(2):
            detector.update(make_images(16, seed=40 + step), make_images(8, seed=50 + step))
    _assert_equal(one.state(), other.state())


def test_a_restored_detector_shares_no_memory_with_the_state(
    make_detector: MakeDetector, make_images: MakeImages
) -> None:
    state = make_detector(num_updates=3).state()
    before = copy.deepcopy(state)
    other = make_detector(seed=7)
    other.restore(state)
    other.update(make_images(16, seed=40), make_images(8, seed=50))
    _assert_equal(state, before)
