"""Which of AGAD's options are allowed, alone and together."""

from __future__ import annotations

import math
import re
from typing import Any, TypeAlias

import pytest

from agad.config import with_parameters
from agad.detectors import Agad
from agad.errors import ConfigError

AnyValue: TypeAlias = Any
"""What a user may write where a value is asked for, of any type."""

_FLAGS = (
    "generator_norm",
    "tanh_output",
    "contextual_adversarial",
    "detach_second_pass",
    "advprop",
)
_CHOICES = {
    "backbone": "naive, unet, unet++",
    "anomaly_term": "alg1, both, eq3",
    "reciprocal_of": "batch, image",
    "anomaly_pass": "frozen, mixed, separate",
    "score_statistics": "image, running",
}


def _refused(message: str, **options: AnyValue) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Agad(**options)


def test_the_defaults_are_algorithm_1_with_the_readings_of_the_specification() -> None:
    agad = Agad()
    assert (agad.backbone, agad.generator_width, agad.discriminator_width) == ("unet++", 32, 64)
    flags = {name: getattr(agad, name) for name in _FLAGS}
    on = {"generator_norm", "tanh_output", "contextual_adversarial"}
    assert flags == {name: name in on for name in _FLAGS}
    words = [getattr(agad, name) for name in _CHOICES]
    assert words == ["unet++", "eq3", "batch", "separate", "running"]
    assert (agad.bottleneck_px, agad.max_grad_norm, agad.batch_anomaly_share) == (1, None, None)
    assert (agad.reset_threshold, agad.reciprocal_eps, agad.beta1) == (1e-5, 1e-6, 0.5)


@pytest.mark.parametrize("name", _CHOICES)
@pytest.mark.parametrize("value", ["", "Batch", "none", None, 1, ["eq3"]], ids=repr)
def test_a_word_that_is_none_of_the_choices_is_refused_and_they_are_listed(
    name: str, value: AnyValue
) -> None:
    message = f"Agad.{name} is {value!r}, but must be one of: {_CHOICES[name]}."
    _refused(message, **{name: value})


@pytest.mark.parametrize("name", _CHOICES)
def test_every_choice_is_allowed(name: str) -> None:
    for value in _CHOICES[name].split(", "):
        assert getattr(with_parameters(Agad(), {name: value}), name) == value


@pytest.mark.parametrize("name", _FLAGS)
@pytest.mark.parametrize("value", [0, 1, "True", None, 1.0], ids=repr)
def test_a_flag_that_is_no_truth_value_is_refused(name: str, value: AnyValue) -> None:
    _refused(f"Agad.{name} is {value!r}, but must be True or False.", **{name: value})


@pytest.mark.parametrize("value", [0, 3, 4, True, 1.0, 2.0, "2", None], ids=repr)
def test_a_bottleneck_of_another_size_than_1_or_2_is_refused(value: AnyValue) -> None:
    message = f"Agad.bottleneck_px is {value!r}, but must be 1 or 2."
    _refused(message, backbone="naive", bottleneck_px=value)


@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, True, "1"], ids=repr)
def test_a_gradient_norm_that_is_not_above_0_is_refused(value: AnyValue) -> None:
    message = f"Agad.max_grad_norm is {value!r}, but must be above 0, or None."
    _refused(message, max_grad_norm=value)


@pytest.mark.parametrize("value", [0, 1, -0.1, 1.5, math.nan, True, "0.5"], ids=repr)
def test_a_share_of_anomalies_outside_0_to_1_is_refused(value: AnyValue) -> None:
    message = f"Agad.batch_anomaly_share is {value!r}, but must be in (0, 1), or None."
    _refused(message, batch_anomaly_share=value)


@pytest.mark.parametrize("value", [-1e-9, math.nan, math.inf, True, "0", None], ids=repr)
def test_a_reset_threshold_below_0_is_refused(value: AnyValue) -> None:
    message = f"Agad.reset_threshold is {value!r}, but must be at least 0."
    _refused(message, reset_threshold=value)


@pytest.mark.parametrize(
    "options", [{"max_grad_norm": 1}, {"batch_anomaly_share": 0.5}, {"reset_threshold": 0}], ids=str
)
def test_a_number_within_its_range_is_allowed(options: dict[str, AnyValue]) -> None:
    (name,) = options
    assert getattr(Agad(**options), name) == options[name]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"backbone": "naive", "generator_norm": False},
            "Agad.generator_norm is False, but must be True for naive.",
        ),
        (
            {"backbone": "unet", "bottleneck_px": 2},
            "Agad.bottleneck_px is 2, but must be 1 but for naive.",
        ),
        ({"bottleneck_px": 2}, "Agad.bottleneck_px is 2, but must be 1 but for naive."),
        (
            {"advprop": True, "generator_norm": False},
            "Agad.advprop is True, but must be False where generator_norm is False.",
        ),
        (
            {"anomaly_pass": "frozen", "generator_norm": False},
            "Agad.anomaly_pass is 'frozen', but must be separate or mixed where generator_norm is "
            "False.",
        ),
        (
            {"score_statistics": "image", "generator_norm": False},
            "Agad.score_statistics is 'image', but must be running where generator_norm is False.",
        ),
        (
            {"advprop": True, "contextual_adversarial": False},
            "Agad.advprop is True, but must be False where contextual_adversarial is False.",
        ),
        (
            {"anomaly_term": "alg1", "contextual_adversarial": False},
            "Agad.anomaly_term is 'alg1', but must be eq3 where contextual_adversarial is False.",
        ),
        (
            {"anomaly_term": "both", "contextual_adversarial": False},
            "Agad.anomaly_term is 'both', but must be eq3 where contextual_adversarial is False.",
        ),
        (
            {"detach_second_pass": True, "contextual_adversarial": False},
            "Agad.detach_second_pass is True, but must be False where contextual_adversarial is "
            "False.",
        ),
    ],
    ids=lambda one: "-".join(map(str, one)) if isinstance(one, dict) else "",
)
def test_options_that_together_mean_nothing_are_refused(
    options: dict[str, AnyValue], message: str
) -> None:
    _refused(message, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"backbone": "naive", "bottleneck_px": 2},
        {"backbone": "unet", "generator_norm": False, "anomaly_pass": "mixed"},
        {"backbone": "unet", "advprop": True, "anomaly_pass": "frozen", "anomaly_term": "both"},
        {"contextual_adversarial": False, "score_statistics": "image"},
        {"detach_second_pass": True, "advprop": True},
    ],
    ids=lambda one: "-".join(map(str, one)),
)
def test_options_that_together_mean_something_are_allowed(options: dict[str, AnyValue]) -> None:
    assert all(getattr(Agad(**options), name) == value for name, value in options.items())


def test_a_combination_is_checked_where_parameters_are_set_one_by_one() -> None:
    message = "Agad.advprop is True, but must be False where generator_norm is False."
    with pytest.raises(ConfigError, match=re.escape(message)):
        with_parameters(Agad(generator_norm=False), {"advprop": True})


@pytest.mark.parametrize(
    ("backbone", "width"), [("naive", 64), ("unet", 32), ("unet++", 32)], ids=lambda one: str(one)
)
def test_each_backbone_has_the_width_of_the_paper(backbone: str, width: int) -> None:
    assert Agad(backbone=backbone).generator_width == width


@pytest.mark.parametrize(
    ("share", "anomaly_ratio", "expected"),
    [(0.5, 0.0, 0), (0.5, 0.01, 128), (0.25, 0.2, 64), (1e-4, 0.2, 2), (0.999, 0.2, 254)],
)
def test_a_share_of_anomalies_replaces_the_papers_rule(
    share: float, anomaly_ratio: float, expected: int
) -> None:
    assert Agad(batch_anomaly_share=share).num_batch_anomalies(anomaly_ratio) == expected
