"""Sizes, shapes and first weights of the networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from agad.detectors.networks import Discriminator, NaiveGenerator, UNetPlusPlus, initialise

_SIZES = [16, 32, 64, 128]


def _num_parameters(network: nn.Module) -> int:
    return sum(weights.numel() for weights in network.parameters())


def _grey_and_colour(image_px: int) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return [
        torch.rand(2, channels, image_px, image_px, generator=rng) * 2 - 1 for channels in (1, 3)
    ]


@pytest.mark.parametrize(
    ("channels", "expected"), [(1, 2_133_632), (3, 2_137_728)], ids=["grey", "colour"]
)
def test_the_naive_generator_has_the_papers_number_of_parameters(
    channels: int, expected: int
) -> None:
    assert _num_parameters(NaiveGenerator(channels, 32, 64)) == expected


def test_unet_plus_plus_has_the_official_number_of_parameters_with_batch_normalisation() -> None:
    assert _num_parameters(UNetPlusPlus(3, 32, 32)) == 9_045_891


@pytest.mark.parametrize(
    ("channels", "expected"), [(1, 1_067_652), (3, 1_069_700)], ids=["grey", "colour"]
)
def test_the_discriminator_has_the_lineages_number_of_parameters(
    channels: int, expected: int
) -> None:
    assert _num_parameters(Discriminator(channels, 32, 64)) == expected


@pytest.mark.parametrize("image_px", _SIZES)
@pytest.mark.parametrize("generator", [NaiveGenerator, UNetPlusPlus])
def test_a_generator_returns_images_of_the_same_shape_within_minus_1_and_1(
    generator: type[NaiveGenerator | UNetPlusPlus], image_px: int
) -> None:
    for images in _grey_and_colour(image_px):
        rebuilt = generator(images.shape[1], image_px, 2)(images)
        assert rebuilt.shape == images.shape
        assert rebuilt.abs().max() <= 1


@pytest.mark.parametrize("image_px", _SIZES)
def test_the_discriminator_returns_a_logit_and_100_latent_units_an_image(image_px: int) -> None:
    for images in _grey_and_colour(image_px):
        logit, z = Discriminator(images.shape[1], image_px, 2)(images)
        assert logit.shape == (2,)
        assert z.shape == (2, 100)


@pytest.mark.parametrize("image_px", _SIZES)
def test_unet_plus_plus_goes_down_to_2_x_2(image_px: int) -> None:
    network = UNetPlusPlus(1, image_px, 2)
    assert image_px >> (network.num_levels - 1) == 2
    assert len(network.nodes) == network.num_levels * (network.num_levels + 1) // 2


def test_the_naive_generator_has_a_bottleneck_of_100_units() -> None:
    assert NaiveGenerator(1, 64, 2).encode(torch.zeros(2, 1, 64, 64)).shape == (2, 100, 1, 1)


@pytest.mark.parametrize("he", [False, True], ids=["lineage", "he"])
def test_initialise_draws_every_weight_from_the_generator(he: bool) -> None:
    networks = [UNetPlusPlus(1, 16, 4) for _ in range(2)]
    for network in networks:
        with torch.no_grad():
            network(torch.rand(4, 1, 16, 16))  # Moves the batch statistics.
        initialise(network, torch.Generator().manual_seed(3), he=he)
    torch.testing.assert_close(networks[0].state_dict(), networks[1].state_dict(), rtol=0, atol=0)


def test_initialise_starts_batch_statistics_afresh() -> None:
    network = Discriminator(1, 16, 4)
    fresh = {name: value.clone() for name, value in network.named_buffers()}
    network(torch.rand(4, 1, 16, 16))
    initialise(network, torch.Generator().manual_seed(3), he=False)
    torch.testing.assert_close(dict(network.named_buffers()), fresh, rtol=0, atol=0)


def test_initialise_draws_the_lineages_weights_from_a_normal_distribution_of_002() -> None:
    network = Discriminator(3, 32, 64)
    initialise(network, torch.Generator().manual_seed(3), he=False)
    weights = network.encode[2].weight
    assert isinstance(weights, torch.Tensor)
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    assert weights.mean().item() == pytest.approx(0, abs=2e-4)


def test_initialise_draws_batch_normalisation_of_the_lineage_around_1() -> None:
    network = Discriminator(3, 32, 64)
    initialise(network, torch.Generator().manual_seed(3), he=False)
    scale = torch.cat([one.weight for one in network.modules() if isinstance(one, nn.BatchNorm2d)])
    assert scale.mean().item() == pytest.approx(1, abs=5e-3)
    assert scale.std().item() == pytest.approx(0.02, rel=0.2)
