"""What every sampler promises: it repeats, survives a restart, and does not repeat itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pytest

from agad.config import (
    Choice,
    CmaEs,
    Distribution,
    Draw,
    Fixed,
    GaussianProcess,
    GridSearch,
    IntUniform,
    LogUniform,
    Nsga2,
    QuasiRandom,
    Random,
    Sampler,
    Search,
    Setting,
    Tpe,
    Uniform,
    When,
    active_axis,
    all_axes,
)
from agad.records import State
from agad.search.sampler import CellSampler

NUMBERS: Mapping[str, Distribution] = {
    "x": Uniform(-1, 1),
    "y": LogUniform(1e-2, 1e2),
    "n": IntUniform(1, 64, log=True),
}
BRANCHES: Mapping[str, Distribution] = {
    "backbone": Choice(["naive", "unet"]),
    "width": When("backbone", {"naive": IntUniform(8, 64, 8), "unet": LogUniform(1, 8)}),
    "norm": When("backbone", {"unet": Choice([True, False])}),
    "x": Uniform(-1, 1),
}
STATES: tuple[State, ...] = ("finished", "pruned", "finished", "diverged")
PROCESS = pytest.param(GaussianProcess(), marks=pytest.mark.slow)
EVERY = [
    Tpe(),
    Tpe(multivariate=False),
    Random(),
    QuasiRandom(),
    GridSearch(points=5),
    CmaEs(population=4),
    Nsga2(population=4),
    PROCESS,
]

Params: TypeAlias = Mapping[str, Setting]
Score: TypeAlias = Callable[[Params], float]
every_sampler = pytest.mark.parametrize("sampler", EVERY, ids=repr)


def _search(sampler: Sampler, space: Mapping[str, Distribution] = NUMBERS) -> Search:
    return Search(space=space, trials_per_cell=16, sampler=sampler)


def _score(params: Params) -> float:
    """Highest at x = 0.3 and the geometric mean of y."""
    return 1 - (float(params["x"]) - 0.3) ** 2 - (math.log10(float(params.get("y", 1.0))) / 4) ** 2


def _next(sampler: CellSampler, number: int, known: Sequence[Params]) -> Params:
    """Propose until a configuration is new, as a cell does."""
    for attempt in range(100):
        params = sampler.propose(number, attempt)
        if params not in known:
            sampler.accept(str(number))
            return params
        sampler.reject()
    raise AssertionError(f"nothing new after {len(known)} configurations")


def _live(
    sampler: CellSampler, num_trials: int, num_at_once: int = 1, score: Score = _score
) -> list[Params]:
    """Run trials, some of them stopped or diverged; the last ``num_at_once - 1`` do not end."""
    known: list[Params] = []
    for number in range(num_trials):
        known.append(_next(sampler, number, known))
        ended = number - num_at_once + 1
        if ended >= 0:
            value = score(known[ended])
            sampler.tell(str(ended), STATES[ended % 4], [value / 2, value])
    return known


@every_sampler
def test_a_serial_search_repeats_exactly(sampler: Sampler) -> None:
    one = _live(CellSampler(_search(sampler), "0/a cell"), 9)
    assert one == _live(CellSampler(_search(sampler), "0/a cell"), 9)
    assert one != _live(CellSampler(_search(sampler), "1/a cell"), 9)


@every_sampler
def test_a_restart_in_the_middle_changes_no_proposal(sampler: Sampler) -> None:
    lived, rebuilt = (CellSampler(_search(sampler), "0/a cell") for _ in range(2))
    known = _live(lived, 9, num_at_once=3)
    for number, params in enumerate(known[:7]):
        value = _score(params)
        rebuilt.remember(params, STATES[number % 4], [value / 2, value])
    for number, params in enumerate(known[7:]):
        rebuilt.reopen(str(7 + number), params)
    assert _next(rebuilt, 9, known) == _next(lived, 9, known)


@every_sampler
def test_eight_at_once_are_never_given_the_same_configuration(sampler: Sampler) -> None:
    known = _live(CellSampler(_search(sampler), "0/a cell"), 12, num_at_once=8)
    assert len({str(params) for params in known}) == 12


@pytest.mark.slow
def test_a_process_whose_maximum_is_known_proposes_another_point() -> None:
    search = Search(
        space={"x": Uniform(0, 1)}, trials_per_cell=16, sampler=GaussianProcess(startup_trials=4)
    )
    cell = CellSampler(search, "x")
    known: list[Params] = []
    for number in range(16):  # The best is at the end of the range, which can be tried once.
        known.append(_next(cell, number, known))
        cell.tell(str(number), "finished", [-float(known[-1]["x"])])
    assert known.count({"x": 0.0}) == 1


@pytest.mark.parametrize(
    "sampler",
    [Tpe(), CmaEs(), pytest.param(GaussianProcess(), marks=pytest.mark.nightly)],
    ids=repr,
)
def test_a_sampler_that_learns_finds_more_than_random_draws_do(sampler: Sampler) -> None:
    def best(one: Sampler, seed: int) -> float:
        search = Search(space=NUMBERS, trials_per_cell=18, sampler=one)
        cell = CellSampler(search, f"{seed}/a cell")
        known: list[Params] = []
        for number in range(18):
            known.append(_next(cell, number, known))
            cell.tell(str(number), "finished", [_score(known[-1])])
        return max(map(_score, known))

    regrets = [1 - best(sampler, seed) for seed in range(3)]
    random_regrets = [1 - best(Random(), seed) for seed in range(3)]
    assert np.mean(regrets) < 0.7 * np.mean(random_regrets)


def test_running_trials_keep_tpe_away_by_the_constant_liar() -> None:
    """With 8 at the best point so far, the next proposals are farther from it than without."""

    def distance(num_running: int) -> float:
        distances = []
        for number in range(20, 40):
            sampler = CellSampler(_search(Tpe(), {"x": Uniform(-1, 1)}), f"{number}/a cell")
            for x in np.linspace(-1, 1, 15):
                sampler.remember({"x": float(x)}, "finished", [_score({"x": float(x)})])
            for running in range(num_running):
                sampler.reopen(str(running), {"x": 0.3 + running / 1000})
            distances.append(abs(float(sampler.propose(number)["x"]) - 0.3))
        return float(np.mean(distances))

    assert distance(8) > 1.5 * distance(0)


@pytest.mark.parametrize("sampler", [CmaEs(population=4), PROCESS], ids=repr)
def test_a_sampler_without_a_notion_of_stopped_trials_learns_from_them_all_the_same(
    sampler: Sampler,
) -> None:
    def proposal_after(state: State, best_x: float) -> Params:
        cell = CellSampler(_search(sampler), "0/a cell")
        for number, x in enumerate(np.linspace(-1, 1, 8)):
            params = {"x": float(x), "y": 1.0, "n": 8}
            cell.remember(params, state if number else "finished", [1 - abs(x - best_x)])
        return cell.propose(8)

    for state in ("pruned", "finished"):
        assert proposal_after(state, -1) != proposal_after(state, 1)


def test_a_grid_is_walked_through_once_in_an_order_of_the_cells_own() -> None:
    search = Search(space={"x": Uniform(-1, 1)}, sampler=GridSearch(points=7))
    orders = [
        [CellSampler(search, stream).propose(number)["x"] for number in range(7)]
        for stream in ("0/a", "0/b")
    ]
    assert sorted(map(float, orders[0])) == pytest.approx(list(np.linspace(-1, 1, 7)))
    assert orders[0] != orders[1]
    assert sorted(map(float, orders[0])) == sorted(map(float, orders[1]))


def test_a_quasi_random_search_has_a_draw_in_each_of_as_many_parts_of_a_range() -> None:
    cell = CellSampler(_search(QuasiRandom()), "0/a cell")
    parts = {int((float(cell.propose(number)["x"]) + 1) * 8) for number in range(16)}
    assert parts == set(range(16))


def test_cma_es_starts_at_the_first_start_point() -> None:
    start = {"x": 0.9, "y": 50.0, "n": 60}
    search = Search(space=NUMBERS, sampler=CmaEs(sigma=1e-6), start=[start])
    assert CellSampler(search, "0/a cell").propose(1) == pytest.approx(start, rel=1e-3)


def _random_space(rng: np.random.Generator) -> dict[str, Distribution]:
    """Draw a space of up to 6 parameters, some of which depend on an earlier choice."""

    def any_draw() -> Draw:
        low = float(rng.uniform(-5, 5))
        draws: list[Draw] = [
            Uniform(low, low + float(rng.uniform(0.1, 9))),
            LogUniform(abs(low) + 0.01, abs(low) + float(rng.uniform(0.1, 900))),
            IntUniform(int(low), int(low) + 3 * int(rng.integers(1, 90)), step=3),
            IntUniform(1, int(rng.integers(2, 500)), log=True),
            Choice(["p", "q", "r"][: int(rng.integers(2, 4))]),
            Choice([True, False]),
            Fixed(3),
        ]
        return draws[int(rng.integers(len(draws)))]

    space: dict[str, Distribution] = {"z": Uniform(0, 1), "mode": Choice(["a", "b", "c"])}
    for number in range(int(rng.integers(1, 5))):
        cases: Mapping[Setting, Distribution] = {
            value: any_draw() for value in ["a", "b", "c"][: int(rng.integers(1, 4))]
        }
        is_conditional = bool(rng.integers(2))
        space[f"p{number}"] = When("mode", cases) if is_conditional else any_draw()
    return space


@pytest.mark.parametrize("sampler", [Tpe(), Random(), QuasiRandom()], ids=repr)
@pytest.mark.parametrize("seed", range(6))
def test_proposals_are_new_and_inside_of_any_space(sampler: Sampler, seed: int) -> None:
    space = _random_space(np.random.default_rng(seed))
    search = Search(space=space, trials_per_cell=24, sampler=sampler)
    cell = CellSampler(search, f"{seed}/a cell")
    known = _live(cell, 24, num_at_once=4, score=lambda params: float(params["z"]))
    assert len({str(params) for params in known}) == 24
    for params in known:
        # A start point is checked to be a configuration of the space, every parameter in range.
        Search(space=space, sampler=sampler, start=[params])


@pytest.mark.parametrize("sampler", [Tpe(), Random(), QuasiRandom()], ids=repr)
def test_a_conditional_parameter_is_present_where_it_applies_alone(sampler: Sampler) -> None:
    known = _live(CellSampler(_search(sampler, BRANCHES), "0/a cell"), 24)
    naive = [params for params in known if params["backbone"] == "naive"]
    unet = [params for params in known if params["backbone"] == "unet"]
    assert all("norm" not in params and params["width"] in range(8, 65, 8) for params in naive)
    assert all("norm" in params and 1 <= float(params["width"]) <= 8 for params in unet)
    assert naive
    assert unet


def test_every_draw_is_at_the_share_that_it_has() -> None:
    for axis in all_axes(NUMBERS):
        one = axis.draw
        assert isinstance(one, Uniform | LogUniform | IntUniform)
        values = [one.at(share) for share in np.linspace(0, 1, 41)]
        assert values == sorted(values)
        assert (values[0], values[-1]) == pytest.approx(one.extremes)
        assert [one.at(one.share_of(float(value))) for value in values] == pytest.approx(values)


def test_an_axis_applies_by_the_value_of_its_parent() -> None:
    axis = active_axis("width", BRANCHES, {"backbone": "unet"})
    assert axis is not None
    assert (axis.label, axis.draw) == ("width where backbone='unet'", LogUniform(1, 8))
    assert active_axis("norm", BRANCHES, {"backbone": "naive"}) is None
