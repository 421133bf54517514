"""A frozen encoder: what it takes, what it returns, and that nothing changes it.

Axes: B images in a batch, C channels, H rows, W columns.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from agad.encoders import Preprocessing
from agad.encoders.networks import GLOBAL, Encoder, find_encoder, lite0, open_encoder, output_of
from agad.errors import ConfigError


@pytest.fixture(scope="module")
def encoder(own_weights: Path) -> Encoder:
    return open_encoder(find_encoder(str(own_weights), image_px=64), weights=own_weights)


def _images(num_images: int, channels: int = 3, image_px: int = 64) -> Tensor:
    rng = torch.Generator().manual_seed(5)
    return torch.rand(num_images, channels, image_px, image_px, generator=rng) * 2 - 1


def test_features_of_an_image_do_not_depend_on_its_batch(encoder: Encoder) -> None:
    images = _images(130)
    together = encoder.features(images)
    order = torch.randperm(130, generator=torch.Generator().manual_seed(0))
    assert together.shape == (130, 1280)
    for chosen in (order, order[:7], order[7:8]):
        alone = encoder.features(images[chosen])
        torch.testing.assert_close(alone, together[chosen], rtol=1e-4, atol=1e-4)
    assert together.std(dim=0).max() > 0.01  # Images differ by more than that.


def test_features_are_the_mean_of_the_last_map(encoder: Encoder) -> None:
    images = _images(3)
    last = encoder.outputs(images, ["head"])["head"]
    torch.testing.assert_close(encoder.features(images), last.mean(dim=(2, 3)))


def test_maps_are_those_that_were_asked_for(encoder: Encoder) -> None:
    maps = encoder.outputs(_images(2), ["stage3", "stem"])
    assert {name: tuple(found.shape) for name, found in maps.items()} == {
        "stage3": (2, 40, 8, 8),
        "stem": (2, 32, 32, 32),
    }


@pytest.mark.parametrize("image_px", [28, 64, 100])
def test_images_are_resized_and_scaled_as_the_reference_says(
    encoder: Encoder, own_weights: Path, image_px: int
) -> None:
    preprocessing = Preprocessing(mean=(10.0, 20.0, 30.0), scale=(40.0, 50.0, 60.0))
    reference = dataclasses.replace(encoder.reference, preprocessing=preprocessing)
    images = _images(2, image_px=image_px)
    levels = functional.interpolate(
        (images + 1) * 127.5, size=(64, 64), mode="bilinear", antialias=True
    )
    for channel, (mean, scale) in enumerate([(10.0, 40.0), (20.0, 50.0), (30.0, 60.0)]):
        levels[:, channel] = (levels[:, channel] - mean) / scale
    network = lite0().eval()
    network.load_state_dict(encoder.weights())
    with torch.no_grad():
        expected = network(levels, ["global"])["global"]
    found = open_encoder(reference, weights=own_weights).features(images)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_a_picture_of_one_channel_is_a_grey_picture(encoder: Encoder) -> None:
    grey = _images(2, channels=1)
    torch.testing.assert_close(encoder.features(grey), encoder.features(grey.expand(-1, 3, -1, -1)))


def test_an_encoder_is_frozen(encoder: Encoder) -> None:
    before = {name: one.clone() for name, one in encoder.module.network.state_dict().items()}
    images = _images(4).requires_grad_()
    features = encoder.features(images)
    after = encoder.module.network.state_dict()
    assert not features.requires_grad
    assert not any(one.requires_grad for one in encoder.module.network.parameters())
    assert not any(module.training for module in encoder.module.network.modules())
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    "images",
    [
        pytest.param(torch.zeros(2, 3, 64, 64, dtype=torch.uint8), id="whole numbers"),
        pytest.param(torch.zeros(2, 4, 64, 64), id="4 channels"),
        pytest.param(torch.zeros(3, 64, 64), id="no batch"),
    ],
)
def test_images_of_another_form_are_refused(encoder: Encoder, images: Tensor) -> None:
    with pytest.raises(ConfigError, match=r"but must be floats \(B, C, H, W\)"):
        encoder.features(images)


def test_no_image_is_refused(encoder: Encoder) -> None:
    with pytest.raises(ConfigError, match="are none, but must be at least one"):
        encoder.features(torch.zeros(0, 3, 64, 64))


@pytest.mark.parametrize("layers", [["stage8"], []], ids=["unknown", "none"])
def test_an_unknown_layer_lists_the_known_ones(encoder: Encoder, layers: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"must be among: global, stem, stage1, .*, head"):
        encoder.outputs(_images(1), layers)


def test_what_a_detector_takes_is_joined_on_the_grid_of_the_first_layer(encoder: Encoder) -> None:
    images = _images(2)
    outputs = encoder.outputs(images, ["stage2", "stage3", GLOBAL])
    whole = encoder.module(images, GLOBAL)
    assert whole.shape == (2, 1280, 1, 1)
    torch.testing.assert_close(whole[:, :, 0, 0], outputs[GLOBAL])
    both = encoder.module(images, output_of(["stage2", "stage3"]))
    larger = functional.interpolate(
        outputs["stage3"], size=outputs["stage2"].shape[2:], mode="bilinear"
    )
    torch.testing.assert_close(both, torch.cat([outputs["stage2"], larger], dim=1))
