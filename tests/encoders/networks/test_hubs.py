"""Encoders of timm and of Hugging Face, with models that are made here.

transformers is tried as it is, where it is installed. timm cannot be imported beside a CPU build of
torch, for it needs torchvision: a module with the few functions that are used stands in for it.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from agad.encoders import EncoderReference
from agad.encoders.networks import find_encoder, open_encoder
from agad.errors import ConfigError

needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="transformers is not installed"
)

_STAND_IN = """
import torch
from torch import nn

class Model(nn.Module):
    feature_info = [1, 2]
    pretrained_cfg = {
        "input_size": (3, 64, 64), "mean": (0.5, 0.4, 0.3), "std": (0.1, 0.2, 0.25),
        "fixed_input_size": False,
    }

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 4, 2, 2), nn.Conv2d(4, 6, 2, 2)

    def forward_intermediates(self, x, indices, output_fmt):
        assert output_fmt == "NCHW"
        maps = [self.first(x)]
        maps.append(self.second(maps[0]))
        return maps[-1], [maps[place] for place in indices]

    def forward_head(self, x):
        return x.mean(dim=(2, 3))

    def forward(self, x):
        return self.forward_head(self.second(self.first(x)))

def create_model(name, pretrained, num_classes):
    if name != "tiny":
        raise RuntimeError(f"Unknown model ({name})")
    assert pretrained and num_classes == 0
    return Model()
"""


@pytest.fixture
def timm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put a stand-in for timm on Python's path."""
    (tmp_path / "timm.py").write_text(_STAND_IN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    yield
    sys.modules.pop("timm", None)


@pytest.mark.usefixtures("timm")
def test_a_model_of_timm_is_scaled_as_its_configuration_says() -> None:
    found = find_encoder("timm:tiny")
    assert (found.name, found.image_px, found.is_stored) == ("timm:tiny", 64, False)
    encoder = open_encoder(found)
    images = torch.rand(3, 3, 64, 64) * 2 - 1
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.1, 0.2, 0.25])
    scaled = ((images + 1) / 2 - mean[:, None, None]) / std[:, None, None]
    model = sys.modules["timm"].Model()
    torch.testing.assert_close(encoder.features(images), model(scaled), rtol=1e-4, atol=1e-5)
    maps = encoder.outputs(images, ["layer2", "global", "layer1"])
    torch.testing.assert_close(maps["layer1"], model.first(scaled), rtol=1e-4, atol=1e-5)
    assert (maps["layer2"].shape, maps["global"].shape) == ((3, 6, 16, 16), (3, 6))


@pytest.mark.usefixtures("timm")
def test_other_weights_on_another_machine_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_encoder("timm:tiny")
    create = sys.modules["timm"].create_model

    def changed(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        model = create(*arguments, **named)
        with torch.no_grad():
            model.first.bias += 1
        return model

    monkeypatch.setattr(sys.modules["timm"], "create_model", changed)
    with pytest.raises(ConfigError, match="timm:tiny has other weights here"):
        open_encoder(found)


@pytest.mark.usefixtures("timm")
def test_an_unknown_model_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"timm:huge cannot be loaded by timm: Unknown model"):
        find_encoder("timm:huge")


@pytest.mark.parametrize(
    ("name", "package"), [("timm:resnet18", "timm"), ("hf:facebook/dinov2", "transformers")]
)
def test_a_hub_that_cannot_be_imported_is_one_line(
    name: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{package}.py").write_text("raise RuntimeError('torchvision::nms\\nis missing')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, package, raising=False)
    expected = (
        rf"{name} needs the package {package}, which cannot .*\(torchvision::nms is missing\)"
    )
    with pytest.raises(ConfigError, match=expected):
        find_encoder(name)


def _saved(model: Any, folder: Path) -> EncoderReference:  # noqa: ANN401
    model.save_pretrained(str(folder))
    settings = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.1, 0.2, 0.25], "size": 64}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return find_encoder(f"hf:{folder}")


def _scaled(images: Tensor) -> Tensor:
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.1, 0.2, 0.25])
    return ((images + 1) / 2 - mean[:, None, None]) / std[:, None, None]


@needs_transformers
def test_a_transformer_of_hugging_face_gives_its_pooled_output_and_its_patches(
    tmp_path: Path,
) -> None:
    from transformers import ViTConfig, ViTModel  # type: ignore[import-not-found]

    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    config = ViTConfig(**sizes, num_hidden_layers=2, image_size=64, patch_size=16)
    model = ViTModel(config).eval()
    encoder = open_encoder(_saved(model, tmp_path / "vit"))
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        done = model(pixel_values=_scaled(images), output_hidden_states=True)
    found = encoder.outputs(images, ["global", "layer1"])
    torch.testing.assert_close(found["global"], done.pooler_output, rtol=1e-4, atol=1e-5)
    # The first token is of no place; the second is of the top left patch.
    assert found["layer1"].shape == (2, 16, 4, 4)
    expected = done.hidden_states[1]
    torch.testing.assert_close(found["layer1"][:, :, 0, 0], expected[:, 1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["layer1"][:, :, 1, 2], expected[:, 7], rtol=1e-4, atol=1e-5)
    with pytest.raises(ConfigError, match="is 96 px, but must be 64"):
        find_encoder(f"hf:{tmp_path / 'vit'}", image_px=96)


@needs_transformers
def test_a_transformer_without_a_trained_pooler_gives_its_class_token(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTModel

    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    config = ViTConfig(**sizes, num_hidden_layers=2, image_size=64, patch_size=16)
    model = ViTModel(config, add_pooling_layer=False).eval()
    reference = _saved(model, tmp_path / "vit")
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        expected = model(pixel_values=_scaled(images)).last_hidden_state[:, 0]
    found = open_encoder(reference).features(images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert find_encoder(reference.name).sha256 == reference.sha256  # Nothing is random.


@needs_transformers
def test_a_network_of_hugging_face_takes_other_sizes(tmp_path: Path) -> None:
    from transformers import ResNetConfig, ResNetModel

    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
    reference = _saved(ResNetModel(config).eval(), tmp_path / "resnet")
    images = functional.interpolate(torch.rand(2, 1, 8, 8) * 2 - 1, size=(96, 96))
    other = find_encoder(reference.name, image_px=96)
    found = open_encoder(other).outputs(images, ["global", "layer2"])
    torch.testing.assert_close(found["global"], found["layer2"].mean(dim=(2, 3)))
    assert found["layer2"].shape == (2, 16, 12, 12)
