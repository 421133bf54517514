"""Images as a detector takes them, against numpy worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from agad.config import InputSpec, Scaling
from agad.data import on_device, prepare_images
from agad.errors import ConfigError


@pytest.fixture
def images() -> torch.Tensor:
    """Four images in [-1, 1], of two channels, none alike."""
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.uniform(-1, 1, (4, 2, 32, 32)).astype(np.float32))


def test_a_detector_that_takes_images_as_they_are_gets_the_very_tensor(
    images: torch.Tensor,
) -> None:
    assert prepare_images(images, InputSpec()) is images
    assert prepare_images(images, InputSpec(image_px=32)) is images


def test_unit_is_between_0_and_1(images: torch.Tensor) -> None:
    expected = (images.numpy().astype(np.float64) + 1) / 2
    found = prepare_images(images, InputSpec(scaling="unit"))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    assert (expected.min(), expected.max()) == pytest.approx((0, 1), abs=1e-3)


def test_contrast_is_the_distance_from_the_images_mean_over_the_mean_distance(
    images: torch.Tensor,
) -> None:
    found = prepare_images(images, InputSpec(scaling="contrast")).numpy()
    for image, prepared in zip(images.numpy().astype(np.float64), found, strict=True):
        unit = (image + 1) / 2
        centred = unit - unit.sum() / unit.size
        np.testing.assert_allclose(prepared, centred / np.abs(centred).mean(), atol=1e-5)


def test_standardised_has_a_mean_of_0_and_a_deviation_of_1(images: torch.Tensor) -> None:
    found = prepare_images(images, InputSpec(scaling="standardised")).numpy()
    for image, prepared in zip(images.numpy().astype(np.float64), found, strict=True):
        np.testing.assert_allclose(prepared, (image - image.mean()) / image.std(), atol=1e-5)


def test_contrast_of_a_small_image_is_that_worked_out_by_hand() -> None:
    # Grey levels 0, 0, 0 and 1: mean 1/4, mean absolute deviation (3/4 + 3 x 1/4) / 4 = 3/8.
    image = torch.tensor([-1.0, -1.0, -1.0, 1.0]).reshape(1, 1, 2, 2)
    contrast = prepare_images(image, InputSpec(scaling="contrast"))
    assert contrast.flatten().tolist() == pytest.approx([-2 / 3, -2 / 3, -2 / 3, 2.0])
    # Standard deviation sqrt(3)/4.
    standardised = prepare_images(image, InputSpec(scaling="standardised"))
    assert standardised.flatten().tolist() == pytest.approx([*[-1 / 3**0.5] * 3, 3**0.5])


@pytest.mark.parametrize("scaling", ["contrast", "standardised"])
@pytest.mark.parametrize("grey", [-1.0, 0.2, 1.0])
def test_an_image_without_contrast_stays_finite(scaling: Scaling, grey: float) -> None:
    flat = torch.full((2, 3, 8, 8), grey)
    prepared = prepare_images(flat, InputSpec(scaling=scaling))
    assert prepared.abs().max() < 1


@pytest.mark.parametrize("scaling", ["symmetric", "unit", "contrast", "standardised"])
def test_an_image_is_prepared_alone(scaling: Scaling, images: torch.Tensor) -> None:
    spec = InputSpec(image_px=28, scaling=scaling)
    together = prepare_images(images, spec)
    alone = torch.cat([prepare_images(one[None], spec) for one in images])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


def _weights(stored_px: int, wanted_px: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return how much of each stored pixel is in each wanted one: triangles, wider if smaller."""
    scale = stored_px / wanted_px
    wanted = (np.arange(wanted_px) + 0.5) * scale
    distance = np.abs(np.arange(stored_px)[None] + 0.5 - wanted[:, None]) / scale
    weights = np.clip(1 - distance, 0, None)
    return weights / weights.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


def test_32_px_are_resized_to_28_bilinearly_before_they_are_scaled(images: torch.Tensor) -> None:
    weights = _weights(32, 28)
    resized = np.einsum("ip,bcpq,jq->bcij", weights, images.numpy().astype(np.float64), weights)
    symmetric = prepare_images(images, InputSpec(image_px=28))
    assert symmetric.shape == (4, 2, 28, 28)
    np.testing.assert_allclose(symmetric.numpy(), resized, atol=1e-5)
    centred = resized - resized.mean(axis=(1, 2, 3), keepdims=True)
    expected = centred / np.abs(centred).mean(axis=(1, 2, 3), keepdims=True)
    contrast = prepare_images(images, InputSpec(image_px=28, scaling="contrast"))
    np.testing.assert_allclose(contrast.numpy(), expected, atol=1e-4)


def test_a_subset_gives_images_as_its_detector_takes_them() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 1, 32, 32), dtype=np.uint8)
    spec = InputSpec(image_px=28, scaling="unit")
    device = torch.device("cpu")
    prepared = on_device(pixels, np.array([3, 1]), device, spec).take(torch.tensor([1]))
    plain = on_device(pixels, np.array([1]), device).take(torch.tensor([0]))
    assert torch.equal(prepared, prepare_images(plain, spec))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [(InputSpec(), (3, 32, 48)), (InputSpec(image_px=28), (3, 28, 28))],
    ids=["stored", "28"],
)
def test_the_shape_of_a_prepared_picture(spec: InputSpec, expected: tuple[int, int, int]) -> None:
    assert spec.shape((3, 32, 48)) == expected


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"layers": ("stage2",)}, "input.layers is"),
        ({"encoder": "lite", "image_px": 64}, "has its own size and scale"),
        ({"encoder": "lite", "scaling": "unit"}, "has its own size and scale"),
    ],
)
def test_an_input_of_an_encoder_without_a_meaning_is_refused(
    values: dict[str, Any], match: str
) -> None:
    with pytest.raises(ConfigError, match=match):
        InputSpec(**values)


def test_the_shape_of_features_is_not_that_of_a_picture() -> None:
    with pytest.raises(ValueError, match="known to the encoder lite alone"):
        InputSpec(encoder="lite").shape((1, 8, 8))
