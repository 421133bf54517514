"""Encoders of the tests: random weights in a file, and the published ones where they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from agad.encoders.networks import lite0


@pytest.fixture(autouse=True)
def _always_one_thread(one_thread: None) -> None:
    """Compute on one thread."""


@pytest.fixture(scope="session")
def own_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of EfficientNet-Lite0's tensors with random values."""
    path = tmp_path_factory.mktemp("own") / "mine.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = lite0()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        # One pass in training gives every layer numbers of the usual size.
        network.train()(torch.randn(8, 3, 64, 64), ["head"])
    save_file(network.state_dict(), str(path))
    return path


@pytest.fixture(scope="session")
def encoder_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a cache's folder for the whole session, where published weights are converted once."""
    return str(tmp_path_factory.mktemp("encoder-cache"))
