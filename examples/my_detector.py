"""A detector of your own: how far a small copy of an image is from the mean of the normal ones."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from agad import DetectorDefaults, InputSpec, LogUniform, StepwiseDetector
from agad.detectors.compute import take_weights


@dataclass(frozen=True, kw_only=True)
class MyDetector(DetectorDefaults):
    """The distance to the mean image, in standard deviations of each pixel."""

    name: ClassVar[str] = "my-detector"
    version: ClassVar[int] = 1

    softness: float = 0.1
    """Added to the standard deviation of each pixel, above 0."""

    def __post_init__(self) -> None:
        self._check("softness", self._is_number("softness") and self.softness > 0, "above 0")

    def default_space(self) -> dict[str, Any]:
        return {"softness": LogUniform(0.01, 1)}

    def input(self) -> InputSpec:
        return InputSpec(image_px=8)

    def build(self, image_shape: tuple[int, int, int], rng: Any, compute: Any) -> "MyModel":
        return MyModel(image_shape, self.softness).to(compute.torch_device)

    def build_scorer(self, image_shape: tuple[int, int, int], weights: Any) -> "MyModel":
        scorer = MyModel(image_shape, self.softness)
        if weights is not None:
            take_weights(scorer, weights)
        return scorer


class MyModel(nn.Module, StepwiseDetector):
    def __init__(self, image_shape: tuple[int, int, int], softness: float) -> None:
        super().__init__()
        self.softness = softness
        self.register_buffer("mean", torch.zeros(image_shape))
        self.register_buffer("spread", torch.ones(image_shape))

    def fit_epoch(self, stage: Any, batches: Any, rng: Any) -> dict[str, float]:
        normals = torch.cat(list(batches.all_normals()))
        self.mean, self.spread = normals.mean(dim=0), normals.std(dim=0) + self.softness
        return {}

    def forward(self, images: Tensor) -> Tensor:
        return ((images - self.mean) / self.spread).square().mean(dim=(1, 2, 3))

    score = forward
    scoring_weights = state = nn.Module.state_dict
    restore = nn.Module.load_state_dict
