"""A search as plain JSON, and back."""

from __future__ import annotations

import json

import pytest

from agad.config import (
    Choice,
    Fixed,
    GridSearch,
    IntUniform,
    LogUniform,
    Random,
    Search,
    Uniform,
    When,
)
from agad.errors import ConfigError


@pytest.mark.parametrize(
    "search",
    [
        Search(space={"lr": LogUniform(1e-4, 1e-2), "weight_con": Uniform(1, 5)}),
        Search(
            space={
                "backbone": Choice(["unet", "naive"]),
                "lr": When("backbone", {"unet": LogUniform(1e-4, 1e-2), "naive": Fixed(1e-3)}),
                "base_width": IntUniform(4, 8, step=2),
            },
            trials_per_cell=5,
            sampler=Random(),
            start=[{"backbone": "naive", "lr": 1e-3, "base_width": 4}],
        ),
        Search(
            space={"base_width": IntUniform(4, 8)}, sampler=GridSearch(points={"base_width": 3})
        ),
    ],
)
def test_a_search_comes_back_from_json(search: Search) -> None:
    assert Search.from_json(json.loads(json.dumps(search.as_json()))) == search


def test_a_search_of_a_later_version_says_to_upgrade() -> None:
    values = Search(space={"lr": LogUniform(1e-4, 1e-2)}).as_json()
    with pytest.raises(ConfigError, match="upgrade agad"):
        Search.from_json(values | {"sampler": {"name": "Oracle"}})
    with pytest.raises(ConfigError, match="upgrade agad"):
        Search.from_json(values | {"space": {"lr": {"distribution": "Cauchy", "low": 0}}})
