"""Settings of the detectors of patches, and the ones that are refused."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from agad import PatchKnn, PatchPca
from agad.config import InputSpec, detector_class
from agad.detectors.patches.configuration import PatchDetector
from agad.errors import ConfigError

both = pytest.mark.parametrize("kind", [PatchKnn, PatchPca])


@both
def test_a_detector_is_registered_by_its_name(kind: type[PatchDetector]) -> None:
    assert detector_class(kind.name) is kind
    assert kind.fits_once


@both
def test_the_input_is_maps_of_the_named_layers(kind: type[PatchDetector]) -> None:
    expected = InputSpec(encoder="efficientnet-lite0", layers=("stage3", "stage5"))
    assert kind().input() == expected
    other = kind(features="timm:resnet18", layers="layer2")
    assert other.input() == InputSpec(encoder="timm:resnet18", layers=("layer2",))


@both
def test_a_detector_uses_no_labels_and_was_given_external_data(kind: type[PatchDetector]) -> None:
    assert str(kind().supervision) == "ImageNet"
    assert kind(features="hf:a/b").supervision.external_data == "the training data of hf:a/b"
    assert kind().supervision.labels == "unused"


@both
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"features": "pixels"}, "features is 'pixels', but must be one of: efficientnet-lite0,"),
        ({"features": "timm:"}, "features is 'timm:', but must be"),
        ({"features": 3}, "features is 3, but must be one of"),
        ({"layers": ""}, "layers is '', but must be names of layers, separated by commas"),
        ({"layers": "stage3, stage5"}, "must be names of layers, separated by commas"),
        ({"layers": "stage3,stage3"}, "must be names of different layers"),
        ({"layers": "stage3,global"}, "must be names of layers, which 'global' is not"),
        ({"patch_size": 2}, "patch_size is 2, but must be an odd number"),
        (
            {"patch_size": 0},
            "must be a whole number, at least 1 and at most 31",
        ),
    ],
)
def test_a_wrong_setting_is_refused(
    kind: type[PatchDetector], parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        kind(**parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"coreset": "all"}, "coreset is 'all', but must be one of: greedy, random"),
        ({"coreset_share": 0}, r"coreset_share is 0, but must be in \(0, 1\]"),
        ({"coreset_share": 1.1}, r"coreset_share is 1.1, but must be in \(0, 1\]"),
        ({"reweight_neighbors": 1}, "reweight_neighbors is 1, but must be 0, or at least 2"),
        ({"reweight_neighbors": -1}, "must be a whole number, at least 0 and at most 1,000"),
    ],
)
def test_a_wrong_setting_of_patch_knn_is_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PatchKnn(**parameters)


@pytest.mark.parametrize("variance", [0, 1, float("nan"), "0.9"])
def test_a_wrong_variance_is_refused(variance: Any) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError, match=r"PatchPca.variance is .*, but must be in \(0, 1\)"):
        PatchPca(variance=variance)


def test_a_configuration_loads_no_torch() -> None:
    code = (
        "import sys; from agad import PatchKnn; PatchKnn().input(); print('torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"
