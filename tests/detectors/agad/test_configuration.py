"""Which settings of AGAD are allowed, and how many anomalies a batch holds."""

from __future__ import annotations

import math
import re
from dataclasses import FrozenInstanceError
from typing import Any, TypeAlias

import pytest

from agad.config import with_parameters
from agad.detectors import Agad
from agad.errors import ConfigError

AnyValue: TypeAlias = Any
"""What a user may write where a value is asked for, of any type."""

_COUNTS = {"base_width": 1, "discriminator_width": 1, "batch_size": 4, "min_batch_anomalies": 2}
_WEIGHTS = ("weight_adv", "weight_con", "weight_adcon", "weight_lat")


def test_agad_has_the_defaults_of_the_paper() -> None:
    agad = Agad()
    weights = [getattr(agad, name) for name in _WEIGHTS]
    assert weights == [1, 50, 15, 5]
    assert (agad.lr, agad.batch_size, agad.min_batch_anomalies) == (2e-4, 256, 32)


def test_agad_refuses_an_unknown_backbone_and_lists_the_known_ones() -> None:
    message = "Agad.backbone is 'vae', but must be one of: naive, unet, unet++."
    with pytest.raises(ConfigError, match=re.escape(message)):
        Agad(backbone="vae")


@pytest.mark.parametrize("name", _WEIGHTS)
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, True, "1"], ids=repr)
def test_agad_refuses_a_weight_below_0_or_no_number(name: str, value: AnyValue) -> None:
    message = f"Agad.{name} is {value!r}, but must be at least 0."
    with pytest.raises(ConfigError, match=re.escape(message)):
        Agad(**{name: value})


@pytest.mark.parametrize("name", _WEIGHTS)
def test_agad_allows_a_weight_of_0(name: str) -> None:
    assert getattr(with_parameters(Agad(), {name: 0}), name) == 0


@pytest.mark.parametrize("name", ["lr", "reciprocal_eps"])
@pytest.mark.parametrize("value", [0, -1e-3, math.nan, math.inf, False, None], ids=repr)
def test_agad_refuses_a_rate_that_is_not_above_0(name: str, value: AnyValue) -> None:
    message = f"Agad.{name} is {value!r}, but must be above 0."
    with pytest.raises(ConfigError, match=re.escape(message)):
        Agad(**{name: value})


@pytest.mark.parametrize("value", [1, 1.5, -0.1, math.nan, "0.5"], ids=repr)
def test_agad_refuses_a_decay_rate_outside_0_to_1(value: AnyValue) -> None:
    message = f"Agad.beta1 is {value!r}, but must be in [0, 1)."
    with pytest.raises(ConfigError, match=re.escape(message)):
        Agad(beta1=value)


@pytest.mark.parametrize("value", [0, 0.5], ids=repr)
def test_agad_allows_a_decay_rate_in_0_to_1(value: float) -> None:
    assert Agad(beta1=value).beta1 == value


@pytest.mark.parametrize("name", _COUNTS)
@pytest.mark.parametrize("value", [-1, 0, 8.0, True, "8"], ids=repr)
def test_agad_refuses_a_count_that_is_no_whole_number_or_too_small(
    name: str, value: AnyValue
) -> None:
    message = f"Agad.{name} is {value!r}, but must be a whole number, at least {_COUNTS[name]} and"
    with pytest.raises(ConfigError, match=re.escape(message)):
        Agad(**{name: value})


def test_agad_refuses_more_anomalies_than_leave_two_normals_in_a_batch() -> None:
    message = "Agad.min_batch_anomalies is 15, but must be at most batch_size - 2 = 14"
    with pytest.raises(ConfigError, match=re.escape(message)):
        Agad(batch_size=16, min_batch_anomalies=15)


def test_agad_allows_anomalies_that_leave_two_normals_in_a_batch() -> None:
    assert Agad(batch_size=16, min_batch_anomalies=14).min_batch_anomalies == 14


def test_agad_is_frozen() -> None:
    agad = Agad()
    with pytest.raises(FrozenInstanceError, match="lr"):
        agad.lr = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("parameters", "width"),
    [
        ({"backbone": "unet++"}, 32),
        ({"backbone": "naive"}, 64),
        ({"backbone": "naive", "base_width": 4}, 4),
    ],
    ids=["unet++", "naive", "given"],
)
def test_generator_width_is_the_papers_where_none_was_given(
    parameters: dict[str, Any], width: int
) -> None:
    assert Agad(**parameters).generator_width == width


@pytest.mark.parametrize(
    ("anomaly_ratio", "expected"),
    [(0, 0), (0.0, 0), (0.01, 32), (0.05, 32), (0.1, 32), (0.2, 51), (0.5, 128), (0.999, 254)],
)
def test_num_batch_anomalies_is_the_ratios_share_but_at_least_the_minimum(
    anomaly_ratio: float, expected: int
) -> None:
    assert Agad().num_batch_anomalies(anomaly_ratio) == expected


@pytest.mark.parametrize("value", [0, 1, 1.5, -0.1, math.nan, True, "0.5"], ids=repr)
def test_agad_refuses_a_batch_anomaly_share_outside_0_to_1(value: AnyValue) -> None:
    message = f"Agad.batch_anomaly_share is {value!r}, but must be in (0, 1), or None."
    with pytest.raises(ConfigError, match=re.escape(message)):
        Agad(batch_anomaly_share=value)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 128), (0.25, 64), (0.01, 3), (0.001, 2), (0.999, 254)]
)
@pytest.mark.parametrize("anomaly_ratio", [1e-4, 0.05, 0.9])
def test_num_batch_anomalies_is_the_batch_share_at_every_ratio_above_0(
    anomaly_ratio: float, share: float, expected: int
) -> None:
    assert Agad(batch_anomaly_share=share).num_batch_anomalies(anomaly_ratio) == expected


def test_num_batch_anomalies_is_0_at_ratio_0_whatever_the_batch_share() -> None:
    assert Agad(batch_anomaly_share=0.5).num_batch_anomalies(0.0) == 0


def test_with_parameters_sets_the_parameters_and_keeps_the_others() -> None:
    detector = with_parameters(Agad(backbone="naive"), {"lr": 1e-3, "weight_con": 10.0})
    assert detector == Agad(backbone="naive", lr=1e-3, weight_con=10.0)


def test_with_parameters_lists_the_known_ones_when_one_is_unknown() -> None:
    message = (
        "'weight_foo' is no parameter of Agad, which has: advprop, anomaly_pass, "
        "anomaly_term, backbone, base_width, batch_anomaly_share, batch_size, beta1, "
        "bottleneck_px, contextual_adversarial, detach_second_pass, discriminator_width, "
        "generator_norm, lr, max_grad_norm, min_batch_anomalies, reciprocal_eps, reciprocal_of, "
        "reset_threshold, score_statistics, tanh_output, weight_adcon, weight_adv, weight_con, "
        "weight_lat."
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        with_parameters(Agad(), {"weight_foo": 1.0})


@pytest.mark.parametrize("name", ["name", "version"])
def test_with_parameters_does_not_take_what_identifies_the_detector(name: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' is no parameter of Agad"):
        with_parameters(Agad(), {name: 2})


def test_with_parameters_checks_the_values() -> None:
    with pytest.raises(ConfigError, match=re.escape("Agad.lr is 0.0, but must be above 0.")):
        with_parameters(Agad(), {"lr": 0.0})
