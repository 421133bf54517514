"""Sizes, shapes and first weights of the networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import pytest
import torch
from torch import Tensor, nn

from agad.detectors.agad.batch_norm import BatchNorm
from agad.detectors.agad.networks import (
    Discriminator,
    GeneratorShape,
    NaiveGenerator,
    UNet,
    UNetPlusPlus,
    initialise,
)

Build: TypeAlias = Callable[..., nn.Module]

_SIZES = [16, 32, 64, 128]


def _build(generator: Callable[[GeneratorShape], nn.Module]) -> Build:
    def build(channels: int = 1, image_px: int = 16, width: int = 2, **others: bool) -> nn.Module:
        shape = GeneratorShape(channels=channels, image_px=image_px, width=width, **others)
        return generator(shape)

    return build


_NAIVE, _UNET, _UNET_PLUS_PLUS = _build(NaiveGenerator), _build(UNet), _build(UNetPlusPlus)
_GENERATORS = pytest.mark.parametrize(
    ("build", "others"),
    [
        pytest.param(_NAIVE, {}, id="naive"),
        pytest.param(_NAIVE, {"bottleneck_px": 2}, id="naive-2-px"),
        pytest.param(_UNET, {}, id="unet"),
        pytest.param(_UNET, {"has_norm": False}, id="unet-no-norm"),
        pytest.param(_UNET_PLUS_PLUS, {}, id="unet++"),
        pytest.param(_UNET_PLUS_PLUS, {"has_norm": False}, id="unet++-no-norm"),
    ],
)
_NORMALISED = pytest.mark.parametrize(
    "build",
    [_NAIVE, _UNET, _UNET_PLUS_PLUS],
    ids=["naive", "unet", "unet++"],
)


def _num_parameters(network: nn.Module) -> int:
    return sum(weights.numel() for weights in network.parameters())


def _grey_and_colour(image_px: int) -> list[Tensor]:
    rng = torch.Generator().manual_seed(0)
    return [
        torch.rand(2, channels, image_px, image_px, generator=rng) * 2 - 1 for channels in (1, 3)
    ]


def _smallest_map(network: nn.Module, image_px: int) -> int:
    """Height of the smallest map that any convolution of a network returns."""
    heights: list[int] = []

    def note(_module: nn.Module, _images: object, maps: Tensor) -> None:
        heights.append(maps.shape[2])

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(note)
    network(torch.zeros(2, 1, image_px, image_px))
    return min(heights)


@pytest.mark.parametrize("bottleneck_px", [1, 2])
@pytest.mark.parametrize(
    ("channels", "expected"), [(1, 2_133_632), (3, 2_137_728)], ids=["grey", "colour"]
)
def test_the_naive_generator_has_the_papers_number_of_parameters(
    channels: int, expected: int, bottleneck_px: int
) -> None:
    network = _NAIVE(channels, 32, 64, bottleneck_px=bottleneck_px)
    assert _num_parameters(network) == expected


@pytest.mark.parametrize(
    ("build", "channels", "has_norm", "expected"),
    [
        pytest.param(_UNET, 1, False, 7_759_521, id="unet-grey"),
        pytest.param(_UNET, 3, False, 7_760_163, id="unet-colour"),
        pytest.param(_UNET, 3, True, 7_763_107, id="unet-colour-norm"),
        pytest.param(_UNET_PLUS_PLUS, 1, False, 9_041_601, id="unet++-grey"),
        pytest.param(_UNET_PLUS_PLUS, 3, False, 9_042_243, id="unet++-colour"),
        pytest.param(_UNET_PLUS_PLUS, 3, True, 9_045_891, id="unet++-colour-norm"),
    ],
)
def test_a_unet_has_the_number_of_parameters_of_the_public_code(
    build: Build, channels: int, has_norm: bool, expected: int
) -> None:
    assert _num_parameters(build(channels, 32, 32, has_norm=has_norm)) == expected


@pytest.mark.parametrize(
    ("channels", "expected"), [(1, 1_067_652), (3, 1_069_700)], ids=["grey", "colour"]
)
def test_the_discriminator_has_the_lineages_number_of_parameters(
    channels: int, expected: int
) -> None:
    assert _num_parameters(Discriminator(channels, 32, 64)) == expected


@pytest.mark.parametrize("image_px", _SIZES)
@_GENERATORS
def test_a_generator_returns_images_of_the_same_shape_within_minus_1_and_1(
    build: Build, others: dict[str, bool], image_px: int
) -> None:
    for images in _grey_and_colour(image_px):
        rebuilt = build(images.shape[1], image_px, **others)(images)
        assert rebuilt.shape == images.shape
        assert rebuilt.abs().max() <= 1


@_GENERATORS
def test_an_unbounded_generator_returns_what_a_bounded_one_passes_through_a_tanh(
    build: Build, others: dict[str, bool]
) -> None:
    images = _grey_and_colour(16)[0]
    bounded, unbounded = build(**others), build(**others, is_bounded=False)
    unbounded.load_state_dict(bounded.state_dict())
    torch.testing.assert_close(torch.tanh(unbounded(images)), bounded(images))
    with torch.no_grad():
        for weights in unbounded.parameters():
            weights.mul_(50)
    assert unbounded(images).abs().max() > 1


@pytest.mark.parametrize("image_px", _SIZES)
def test_the_discriminator_returns_a_logit_and_100_latent_units_an_image(image_px: int) -> None:
    for images in _grey_and_colour(image_px):
        logit, z = Discriminator(images.shape[1], image_px, 2)(images)
        assert logit.shape == (2,)
        assert z.shape == (2, 100)


@pytest.mark.parametrize("image_px", _SIZES)
@pytest.mark.parametrize("build", [_UNET, _UNET_PLUS_PLUS], ids=["unet", "unet++"])
def test_a_unet_goes_down_to_2_x_2(build: Build, image_px: int) -> None:
    assert _smallest_map(build(image_px=image_px), image_px) == 2


@pytest.mark.parametrize(("image_px", "num_nodes"), [(16, 4 + 3), (32, 5 + 4), (128, 7 + 6)])
def test_a_unet_has_a_node_a_level_and_way(image_px: int, num_nodes: int) -> None:
    convolutions = [one for one in _UNET(image_px=image_px).modules() if isinstance(one, nn.Conv2d)]
    assert len(convolutions) == 2 * num_nodes + 1


@pytest.mark.parametrize(("image_px", "num_nodes"), [(16, 10), (32, 15), (128, 28)])
def test_unet_plus_plus_has_a_triangle_of_nodes(image_px: int, num_nodes: int) -> None:
    convolutions = [
        one for one in _UNET_PLUS_PLUS(image_px=image_px).modules() if isinstance(one, nn.Conv2d)
    ]
    assert len(convolutions) == 2 * num_nodes + 1


@pytest.mark.parametrize("image_px", _SIZES)
@pytest.mark.parametrize("bottleneck_px", [1, 2])
def test_the_naive_generator_has_a_bottleneck_of_100_units(
    bottleneck_px: int, image_px: int
) -> None:
    shape = GeneratorShape(channels=1, image_px=image_px, width=2, bottleneck_px=bottleneck_px)
    latent = NaiveGenerator(shape).encode(torch.zeros(2, 1, image_px, image_px))
    assert latent.shape == (2, 100, bottleneck_px, bottleneck_px)


def test_strided_blocks_double_their_width_up_to_eight_times() -> None:
    network = Discriminator(1, 256, 3)
    widths = [one.out_channels for one in network.encode if isinstance(one, nn.Conv2d)]
    assert widths == [3, 6, 12, 24, 24, 24, 100]


@_NORMALISED
def test_auxiliary_normalisation_adds_the_parameters_of_the_main_one_again(build: Build) -> None:
    plain, doubled = build(image_px=32), build(image_px=32, has_auxiliary_norm=True)
    num_norm = sum(_num_parameters(one) for one in plain.modules() if isinstance(one, BatchNorm))
    assert num_norm > 0
    assert _num_parameters(doubled) == _num_parameters(plain) + num_norm


@pytest.mark.parametrize("build", [_UNET, _UNET_PLUS_PLUS], ids=["unet", "unet++"])
def test_convolutions_have_biases_where_there_is_no_normalisation(build: Build) -> None:
    plain, normalised = build(has_norm=False), build()
    assert not any(isinstance(one, nn.BatchNorm2d) for one in plain.modules())
    kernels = [
        [one.bias is not None for one in network.modules() if isinstance(one, nn.Conv2d)]
        for network in (plain, normalised)
    ]
    assert all(kernels[0])
    assert kernels[1] == [False] * (len(kernels[1]) - 1) + [True]  # The last one is 1 x 1.


@pytest.mark.parametrize("he", [False, True], ids=["lineage", "he"])
def test_initialise_draws_every_weight_from_the_generator(he: bool) -> None:
    networks = [_UNET_PLUS_PLUS(width=4, has_auxiliary_norm=True) for _ in range(2)]
    for network in networks:
        with torch.no_grad():
            network(torch.rand(4, 1, 16, 16))  # Moves the batch statistics.
        initialise(network, torch.Generator().manual_seed(3), he=he)
    torch.testing.assert_close(networks[0].state_dict(), networks[1].state_dict(), rtol=0, atol=0)


@_NORMALISED
@pytest.mark.parametrize("he", [False, True], ids=["lineage", "he"])
def test_initialise_draws_equal_weights_with_and_without_auxiliary_normalisation(
    build: Build, he: bool
) -> None:
    plain, doubled = build(), build(has_auxiliary_norm=True)
    for network in (plain, doubled):
        initialise(network, torch.Generator().manual_seed(3), he=he)
    weights = doubled.state_dict()
    shared = {name: weights[name] for name in plain.state_dict()}
    torch.testing.assert_close(shared, plain.state_dict(), rtol=0, atol=0)


@_NORMALISED
def test_initialise_starts_auxiliary_normalisation_as_the_main_one(build: Build) -> None:
    network = build(has_auxiliary_norm=True)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 7.0)
            module.running_mean = torch.full_like(module.weight, 5.0)
    initialise(network, torch.Generator().manual_seed(3), he=False)
    weights = network.state_dict()
    auxiliary = {name: value for name, value in weights.items() if ".auxiliary." in name}
    main = {name: weights[name.replace(".auxiliary.", ".")] for name in auxiliary}
    assert len(auxiliary) > 0
    torch.testing.assert_close(auxiliary, main, rtol=0, atol=0)


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
    assert isinstance(weights, Tensor)
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    assert weights.mean().item() == pytest.approx(0, abs=2e-4)


def test_initialise_draws_batch_normalisation_of_the_lineage_around_1() -> None:
    network = Discriminator(3, 32, 64)
    initialise(network, torch.Generator().manual_seed(3), he=False)
    scale = torch.cat([one.weight for one in network.modules() if isinstance(one, nn.BatchNorm2d)])
    assert scale.mean().item() == pytest.approx(1, abs=5e-3)
    assert scale.std().item() == pytest.approx(0.02, rel=0.2)


def test_initialise_draws_he_weights_of_two_over_the_inputs_of_a_unit() -> None:
    network = UNet(GeneratorShape(channels=1, image_px=16, width=16, has_norm=False))
    initialise(network, torch.Generator().manual_seed(3), he=True)
    kernel = next(one for one in network.descent[2].modules() if isinstance(one, nn.Conv2d))
    assert kernel.weight.std().item() == pytest.approx(math.sqrt(2 / (32 * 9)), rel=0.03)


def test_initialise_sets_every_bias_to_0() -> None:
    network = _UNET(has_norm=False)
    initialise(network, torch.Generator().manual_seed(3), he=True)
    biases = [value for name, value in network.named_parameters() if name.endswith("bias")]
    assert len(biases) > 0
    assert max(bias.abs().max().item() for bias in biases) == 0
