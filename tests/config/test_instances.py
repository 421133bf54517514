"""Seeds and development classes of a search: what is taken, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agad.config import Cell, FixedEpoch, Grid, LogUniform, Search, Study
from agad.detectors import Agad
from agad.errors import ConfigError


def search_on(**changes: Any) -> Search:  # noqa: ANN401
    return Search(space={"lr": LogUniform(1e-4, 1e-2)}, **changes)


def study_of(*, cells: Grid | None = None, **changes: Any) -> Study:  # noqa: ANN401
    grid = cells or Grid(dataset="digits", normal_class=[0, 3, 5])
    return Study(name="a-study", cells=grid, detector=Agad(), search=search_on(**changes))


@pytest.mark.parametrize(
    ("given", "classes"),
    [((), ()), (5, (5,)), ([5, 0], (0, 5)), (("cat", 3), (3, "cat")), ("cat", ("cat",))],
    ids=str,
)
def test_development_classes_stand_in_one_order(given: Any, classes: tuple[object, ...]) -> None:  # noqa: ANN401
    assert search_on(development_classes=given).development == classes


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seeds": 0}, "search.seeds is 0, but must be a whole number, at least 1"),
        ({"development_classes": (0, 1, 2)}, r"is \[0, 1, 2\], but must be at most 2 classes"),
        ({"development_classes": (0, 0)}, r"\[0, 0\], but must not name a value twice"),
        ({"development_classes": (-1,)}, "holds -1, but must be at least 0"),
        ({"development_classes": None}, "is given None, but must be given a list"),
        ({"development_classes": []}, "is empty, but must hold at least one value"),
        ({"development_classes": 0.5}, r"holds 0\.5, but must hold int or str values"),
    ],
)
def test_a_search_refuses_what_is_no_number_of_seeds_or_no_class(
    changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        search_on(**changes)


@pytest.mark.parametrize(
    ("cells", "axis"),
    [
        (Grid(dataset="digits", normal_class=[0, 3]), "normal_class"),
        (Grid(dataset="digits", anomalous_class=[0, 3]), "anomalous_class"),
    ],
)
def test_a_study_refuses_development_classes_that_its_cells_lack(cells: Grid, axis: str) -> None:
    with pytest.raises(
        ConfigError, match=f"development_classes holds 5, but cells.{axis} is 0, 3; name classes"
    ):
        study_of(cells=cells, development_classes=(0, 5))


@pytest.mark.parametrize(
    ("seeds", "searched", "confirmed"), [(1, (4,), (5, 6, 7)), (3, (4, 5, 6), (7, 8, 9))]
)
def test_confirm_seeds_start_after_those_of_the_search(
    seeds: int, searched: tuple[int, ...], confirmed: tuple[int, ...]
) -> None:
    cells = Grid(dataset="digits", normal_class=0)
    study = Study(name="a", cells=cells, search=search_on(seeds=seeds), seed=4)
    assert (study.search_seeds, study.confirm_seeds) == (searched, confirmed)


def _searching(study: Study) -> tuple[Cell, ...]:
    """Return the cells that search, each once."""
    development = study.search.development
    return tuple(dict.fromkeys(cell.over(development) for cell in study.cells.all_cells))


def test_development_classes_have_one_searching_cell_for_all_classes() -> None:
    cells = Grid(dataset=["digits", "mnist"], normal_class=[0, 3, 5], anomaly_ratio=[0, 0.1])
    study = study_of(cells=cells, development_classes=(0, 5))
    assert [(cell.label, cell.classes) for cell in _searching(study)] == [
        (f"{dataset} class=(0,5) ratio={ratio}", (0, 5))
        for dataset in ("digits", "mnist")
        for ratio in ("0", "0.1")
    ]
    assert _searching(study_of(cells=cells)) == cells.all_cells


def test_a_cell_over_development_classes_keeps_its_protocol() -> None:
    cells = Grid(dataset="digits", anomalous_class=[0, 3, 5])
    (cell,) = _searching(study_of(cells=cells, development_classes=(3, 5)))
    assert (cell.protocol, cell.given_class) == ("leave-one-out", 3)
    assert cell.label == "digits class=(3,5) ratio=0 leave-one-out"


def test_a_search_is_read_back_as_it_was_and_one_of_one_seed_names_neither() -> None:
    search = search_on(seeds=2, development_classes=(5, 0))
    assert Search.from_json(json.loads(json.dumps(search.as_json()))) == search
    assert {"seeds", "development_classes"}.isdisjoint(search_on().as_json())


def test_a_reduced_study_develops_on_one_class_and_confirms_on_one_more() -> None:
    reduced = study_of(seeds=5, development_classes=(3, 5)).reduced()
    assert (reduced.search.development, reduced.cells.classes) == ((3,), (3, 0))
    assert reduced.search.seeds == 2


@pytest.mark.parametrize("changes", [{"seeds": 2}, {"development_classes": 0}], ids=str)
def test_a_study_that_searches_nothing_takes_no_instances(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="given, but FixedEpoch searches nothing; leave out all"):
        Study(
            name="a-study",
            cells=Grid(dataset="digits", normal_class=0),
            search=Search(**changes),
            selection=FixedEpoch(epochs=2),
        )
