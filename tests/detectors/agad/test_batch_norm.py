"""Batch normalisation: which statistics a pass uses, and which it moves."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from agad.detectors.agad.batch_norm import BatchNorm, Statistics, statistics_of

_QUIET: list[Statistics] = ["running", "auxiliary-running", "image", "batch"]


@pytest.fixture
def layer() -> BatchNorm:
    """A layer whose two sets of weights and statistics all differ."""
    layer = BatchNorm(3, has_auxiliary=True)
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in layer.state_dict().values():
            value.copy_(torch.rand(value.shape, generator=rng) + 0.5)
    return layer


@pytest.fixture
def x() -> Tensor:
    return torch.rand(5, 3, 4, 4, generator=torch.Generator().manual_seed(1)) * 3


def _by_hand(x: Tensor, mean: Tensor, variance: Tensor, layer: nn.BatchNorm2d) -> Tensor:
    scaled = (x - mean.view(-1, 3, 1, 1)) / (variance.view(-1, 3, 1, 1) + 1e-5).sqrt()
    return scaled * layer.weight.view(1, 3, 1, 1) + layer.bias.view(1, 3, 1, 1)


def _buffers(layer: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in layer.named_buffers()}


def _pass(layer: BatchNorm, x: Tensor, statistics: Statistics) -> Tensor:
    with statistics_of(layer, statistics):
        rescaled: Tensor = layer(x)
    return rescaled


@pytest.mark.parametrize("is_training", [True, False], ids=["train", "eval"])
def test_running_statistics_are_the_main_ones(
    layer: BatchNorm, x: Tensor, is_training: bool
) -> None:
    assert layer.running_mean is not None
    assert layer.running_var is not None
    expected = _by_hand(x, layer.running_mean, layer.running_var, layer)
    torch.testing.assert_close(_pass(layer.train(is_training), x, "running"), expected)


@pytest.mark.parametrize("is_training", [True, False], ids=["train", "eval"])
def test_auxiliary_running_statistics_are_those_of_the_second_set(
    layer: BatchNorm, x: Tensor, is_training: bool
) -> None:
    other = layer.auxiliary
    assert other is not None
    assert other.running_mean is not None
    assert other.running_var is not None
    expected = _by_hand(x, other.running_mean, other.running_var, other)
    torch.testing.assert_close(_pass(layer.train(is_training), x, "auxiliary-running"), expected)


@pytest.mark.parametrize("is_training", [True, False], ids=["train", "eval"])
def test_image_statistics_are_of_each_image_alone(
    layer: BatchNorm, x: Tensor, is_training: bool
) -> None:
    expected = _by_hand(x, x.mean((2, 3)), x.var((2, 3), correction=0), layer)
    torch.testing.assert_close(_pass(layer.train(is_training), x, "image"), expected)


@pytest.mark.parametrize("is_training", [True, False], ids=["train", "eval"])
def test_batch_statistics_are_of_the_whole_batch(
    layer: BatchNorm, x: Tensor, is_training: bool
) -> None:
    expected = _by_hand(x, x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0), layer)
    torch.testing.assert_close(_pass(layer.train(is_training), x, "batch"), expected)


@pytest.mark.parametrize("statistics", _QUIET)
def test_statistics_that_are_not_the_passs_own_move_no_running_ones(
    layer: BatchNorm, x: Tensor, statistics: Statistics
) -> None:
    before = _buffers(layer)
    _pass(layer.train(), x, statistics)
    torch.testing.assert_close(_buffers(layer), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("statistics", "is_auxiliary"), [("default", False), ("auxiliary", True)], ids=lambda one: one
)
def test_a_training_pass_moves_the_running_statistics_of_its_own_set_alone(
    layer: BatchNorm, x: Tensor, statistics: Statistics, is_auxiliary: bool
) -> None:
    before = _buffers(layer)
    _pass(layer.train(), x, statistics)
    moved = {
        name for name, value in _buffers(layer).items() if not torch.equal(value, before[name])
    }
    assert len(moved) == 3
    assert {name.startswith("auxiliary.") for name in moved} == {is_auxiliary}


@pytest.mark.parametrize("statistics", get_args(Statistics))
def test_a_layer_without_a_second_set_has_an_answer_to_all_statistics(
    x: Tensor, statistics: Statistics
) -> None:
    assert _pass(BatchNorm(3).train(), x, statistics).shape == x.shape


def test_statistics_are_the_usual_ones_after_the_block_even_where_it_raises(
    layer: BatchNorm,
) -> None:
    network = nn.Sequential(nn.Sequential(layer))
    with pytest.raises(ValueError, match="on purpose"), statistics_of(network, "image"):
        raise ValueError("on purpose")
    assert layer.statistics == "default"
