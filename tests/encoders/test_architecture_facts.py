"""The facts of an architecture, which need no network."""

from __future__ import annotations

import pytest

from agad.encoders import Architecture, EncoderReference, Preprocessing, check_encoder_name
from agad.encoders.architecture import suited_px
from agad.errors import ConfigError


@pytest.mark.parametrize(("image_px", "shown_px"), [(16, 96), (32, 96), (64, 192), (128, 224)])
def test_small_pictures_are_enlarged_at_most_to_the_native_size(
    image_px: int, shown_px: int
) -> None:
    assert suited_px(image_px, smallest_px=32, native_px=224) == shown_px


@pytest.mark.parametrize("name", ["", "Mine", "1st", "a/b", "a b", "x" * 61])
def test_a_name_that_no_study_could_give_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="must start with a lower-case letter"):
        Architecture(name=name, network="mine:Mine", native_px=224)


@pytest.mark.parametrize("smallest_px", [0, 225])
def test_a_smallest_size_above_the_native_size_is_refused(smallest_px: int) -> None:
    with pytest.raises(ConfigError, match=f"smallest_px is {smallest_px}, but must be from 1 to"):
        Architecture(name="mine", network="m:M", native_px=224, smallest_px=smallest_px)


def test_a_size_below_the_smallest_is_refused() -> None:
    with pytest.raises(ConfigError, match="the encoder mine is 31 px, but must be at least 32"):
        EncoderReference(
            name="mine",
            sha256="ab",
            image_px=31,
            native_px=224,
            smallest_px=32,
            preprocessing=Preprocessing(),
        )


@pytest.mark.parametrize("name", ["", "timm:", "hf:", ".safetensors"])
def test_a_name_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="must be a registered name, the path of a"):
        check_encoder_name(name)
