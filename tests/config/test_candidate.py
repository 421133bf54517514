"""One detector among several: what it takes from itself, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest

from agad.config import Asha, Candidate, LogUniform, NoStopping, Uniform
from agad.detectors import Agad, DeepSvdd, Pca
from agad.errors import ConfigError


def test_a_candidate_takes_what_it_is_not_given_from_its_detector() -> None:
    one = Candidate(DeepSvdd())
    assert one.searched_space == DeepSvdd().default_space()
    assert one.rule == DeepSvdd().default_scheduler()
    assert one.searches


def test_a_candidate_keeps_what_it_is_given() -> None:
    space = {"lr": LogUniform(1e-5, 1e-3)}
    rule = Asha(max_epochs=9)
    one = Candidate(Agad(), space=space, trials=5, scheduler=rule)
    assert (one.searched_space, one.trials, one.rule) == (space, 5, rule)


def test_a_candidate_with_an_empty_space_searches_nothing() -> None:
    one = Candidate(Pca(), space={})
    assert not one.searches
    assert one.rule == NoStopping(max_epochs=1)


@pytest.mark.parametrize(
    ("detector", "changes", "message"),
    [
        ("pca", {}, "Candidate.detector is 'pca', but must be a detector, such as Agad(...)"),
        (Pca, {}, "but must be a detector, such as Agad(...); `agad detectors` lists them."),
        (
            Pca(),
            {"trials": 0},
            "Candidate.trials is 0, but must be a whole number, at least 1 and",
        ),
        (
            Pca(),
            {"scheduler": 3},
            "Candidate.scheduler is 3, but must be one of: Asha(...), NoStopping(...), ",
        ),
        (
            Pca(),
            {"space": {}, "trials": 4},
            "Candidate.trials is 4, but Pca has nothing to search here; leave trials out, or give",
        ),
        (Pca(), {"space": {"variance": 0.5}}, "search.space['variance'] is 0.5, but must be "),
    ],
    ids=["name", "class", "trials", "scheduler", "trials-of-nothing", "space"],
)
def test_a_candidate_refuses_what_it_cannot_be(
    detector: Any,  # noqa: ANN401
    changes: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        Candidate(detector, **changes)


def test_candidates_of_equal_parts_are_equal() -> None:
    assert Candidate(Pca(), space={"variance": Uniform(0.5, 0.9)}) == Candidate(
        Pca(), space={"variance": Uniform(0.5, 0.9)}
    )
    assert Candidate(Pca()) != Candidate(Pca(), space={})
