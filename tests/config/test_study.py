"""Which studies are allowed, and what follows from one."""

from __future__ import annotations

import dataclasses
import json
import pickle
import re
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias

import pytest

from agad.config import (
    Asha,
    Budget,
    Candidate,
    Choice,
    Confirm,
    DetectorDefaults,
    FixedEpoch,
    Grid,
    IntUniform,
    LabelFree,
    Labelled,
    LogUniform,
    Median,
    NoStopping,
    Search,
    Setting,
    Study,
    SuccessiveHalving,
    Supervision,
    Uniform,
    check_count,
)
from agad.detectors import Agad, DeepSvdd, KnnProbe, Lof, Pca, Probe
from agad.errors import ConfigError

AnyValue: TypeAlias = Any
"""What a user may write where a value is asked for, of any type."""

_CELLS = Grid(dataset="digits", normal_class=0, anomaly_ratio=0.05)
_SEARCH = Search(space={"lr": LogUniform(1e-4, 1e-2)})
_LADDERS = [
    (1, 10, 1000, (1, 10, 100)),
    (1, 3, 27, (1, 3, 9)),
    (3, 3, 27, (3, 9)),
    (1, 3, 243, (1, 3, 9, 27, 81)),
    (1, 5, 125, (1, 5, 25)),
    (2, 4, 100, (2, 8, 32)),
    (1, 10, 1001, (1, 10, 100, 1000)),
    (1, 6, 7777, (1, 6, 36, 216, 1296, 7776)),
    (5, 2, 5, ()),
    (1, 2, 1, ()),
]


def _study(**parts: AnyValue) -> Study:
    every: dict[str, Any] = {"name": "weights", "cells": _CELLS, "search": _SEARCH} | parts
    return Study(**every)


@pytest.mark.parametrize("value", [0, -1, 1.0, "1", True, None], ids=repr)
def test_check_count_refuses_what_is_no_whole_number_or_too_small(value: object) -> None:
    message = f"confirm.seeds is {value!r}, but must be a whole number, at least 1 and"
    with pytest.raises(ConfigError, match=re.escape(message)):
        check_count("confirm.seeds", value, 1)


def test_check_count_allows_the_least() -> None:
    check_count("study.seed", 0, 0)


@pytest.mark.parametrize("name", ["a", "0", "agad-cifar10_v1.2", "x" * 100])
def test_study_allows_a_name_that_is_a_plain_prefix(name: str) -> None:
    assert _study(name=name).name == name


@pytest.mark.parametrize(
    "name",
    ["", "../x", "..", ".x", "-x", "a/b", "A", "a b", "a\n", "ä", "x" * 101, None, 3],
    ids=repr,
)
def test_study_refuses_a_name_that_is_no_plain_prefix(name: AnyValue) -> None:
    message = f"study.name is {name!r}, but must start with a lower-case letter or digit"
    with pytest.raises(ConfigError, match=re.escape(message)):
        _study(name=name)


@pytest.mark.parametrize(
    ("part", "value", "expected"),
    [
        ("cells", "digits", "Grid(...)"),
        ("search", {"lr": LogUniform(1e-4, 1e-2)}, "Search(...)"),
        ("scheduler", None, "Asha(...), NoStopping(...), Median(...), SuccessiveHalving(...)"),
        ("confirm", 3, "Confirm(...)"),
        ("selection", 30, "Labelled(...), LabelFree(...), FixedEpoch(...)"),
    ],
    ids=["cells", "search", "scheduler", "confirm", "selection"],
)
def test_study_refuses_a_part_of_another_type(part: str, value: AnyValue, expected: str) -> None:
    message = f"study.{part} is {value!r}, but must be one of: {expected}."
    with pytest.raises(ConfigError, match=re.escape(message)):
        _study(**{part: value})


@pytest.mark.parametrize("value", ["agad", Agad, 3], ids=["name", "class", "number"])
def test_study_refuses_what_is_no_detector(value: AnyValue) -> None:
    message = f"study.detector is {value!r}, but must be a detector, such as Agad(...)"
    with pytest.raises(ConfigError, match=re.escape(message)):
        _study(detector=value)


@pytest.mark.parametrize("seed", [-1, 0.5, True, "0", None], ids=repr)
def test_study_refuses_a_seed_that_is_no_whole_number(seed: AnyValue) -> None:
    message = (
        f"study.seed is {seed!r}, but must be a whole number, at least 0 and at most 9,223,372"
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        _study(seed=seed)


def test_study_refuses_a_parameter_that_is_both_searched_and_an_axis() -> None:
    cells = Grid(dataset="digits", normal_class=0, settings={"weight_con": [10.0, 50.0]})
    search = Search(space={"lr": LogUniform(1e-4, 1e-2), "weight_con": Uniform(1.0, 90.0)})
    message = "weight_con is in search.space and in cells.settings, but an axis is never searched"
    with pytest.raises(ConfigError, match=re.escape(message)):
        _study(cells=cells, search=search)


def test_study_lists_the_known_parameters_when_the_space_names_an_unknown_one() -> None:
    search = Search(space={"learning_rate": LogUniform(1e-4, 1e-2)})
    message = (
        "'learning_rate' is no parameter of Agad, which has: advprop, anomaly_pass, anomaly_term, "
        "backbone, base_width"
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        _study(search=search)


def test_study_lists_the_known_parameters_when_the_settings_name_an_unknown_one() -> None:
    cells = Grid(dataset="digits", normal_class=0, settings={"width": [4, 8]})
    message = (
        "'width' is no parameter of Agad, which has: advprop, anomaly_pass, anomaly_term, backbone"
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        _study(cells=cells)


@pytest.mark.parametrize(
    ("name", "distribution", "message"),
    [
        ("lr", Uniform(0.0, 0.1), "Agad.lr is 0.0, but must be above 0."),
        ("beta1", Uniform(0.1, 1.0), "Agad.beta1 is 1.0, but must be in [0, 1)."),
        ("weight_con", Uniform(-1.0, 1.0), "Agad.weight_con is -1.0, but must be at least 0."),
        ("backbone", Choice(["naive", "vae"]), "Agad.backbone is 'vae', but must be one of"),
        ("backbone", Uniform(0.0, 1.0), "Agad.backbone is 0.0, but must be one of"),
        ("batch_size", Choice([16, 64]), "Agad.min_batch_anomalies is 32, but must be at most"),
        ("base_width", Uniform(4.0, 8.0), "Agad.base_width is 4.0, but must be a whole number"),
    ],
)
def test_study_refuses_a_distribution_whose_extremes_the_detector_refuses(
    name: str, distribution: Uniform | Choice, message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        _study(search=Search(space={name: distribution}))


@pytest.mark.parametrize("name", ["base_width", "discriminator_width", "batch_size"])
def test_study_refuses_a_range_of_real_numbers_for_a_count(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}.* must be a"):
        _study(search=Search(space={name: Uniform(64, 256)}))


def test_study_refuses_a_space_that_can_draw_a_combination_the_detector_refuses() -> None:
    space = {"batch_size": Choice([64, 256]), "min_batch_anomalies": Choice([32, 128])}
    message = "Agad.min_batch_anomalies is 128, but must be at most batch_size - 2 = 62"
    with pytest.raises(ConfigError, match=re.escape(message)):
        _study(search=Search(space=space))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone": ["naive", "vae"]}, "Agad.backbone is 'vae', but must be one of"),
        ({"base_width": [8, 0]}, "Agad.base_width is 0, but must be a whole number, at least 1"),
        ({"lr": ["high"]}, "Agad.lr is 'high', but must be above 0"),
    ],
    ids=["backbone", "width", "type"],
)
def test_study_refuses_an_axis_value_that_the_detector_refuses(
    settings: dict[str, list[Setting]], message: str
) -> None:
    cells = Grid(dataset="digits", normal_class=0, settings=settings)
    search = Search(space={"weight_con": Uniform(1.0, 90.0)})
    with pytest.raises(ConfigError, match=re.escape(message)):
        _study(cells=cells, search=search)


def test_study_refuses_an_empty_space_where_something_is_to_be_chosen() -> None:
    message = "search.space is empty, but must hold at least one parameter"
    with pytest.raises(ConfigError, match=re.escape(message)):
        _study(search=Search(space={}))


@pytest.mark.parametrize("value", [0.1, [0.1, 0.2], "lr", Uniform], ids=repr)
def test_search_refuses_what_is_no_distribution(value: AnyValue) -> None:
    message = f"search.space['lr'] is {value!r}, but must be a Uniform, LogUniform, IntUniform"
    with pytest.raises(ConfigError, match=re.escape(message)):
        Search(space={"lr": value})


def test_search_refuses_a_space_that_is_no_mapping() -> None:
    space: Any = [("lr", LogUniform(1e-4, 1e-2))]
    with pytest.raises(ConfigError, match=re.escape("search.space")):
        Search(space=space)


@pytest.mark.parametrize("value", [0, 2.5, True], ids=repr)
def test_search_refuses_a_number_of_trials_that_is_no_count(value: AnyValue) -> None:
    message = f"search.trials_per_cell is {value!r}, but must be a whole number, at least 1 and"
    with pytest.raises(ConfigError, match=re.escape(message)):
        Search(space=_SEARCH.space, trials_per_cell=value)


def test_searches_of_one_space_in_another_order_are_equal() -> None:
    lr, con = LogUniform(1e-4, 1e-2), Uniform(1.0, 90.0)
    one = Search(space={"lr": lr, "weight_con": con})
    other = Search(space={"weight_con": con, "lr": lr})
    assert list(one.space) == list(other.space) == ["lr", "weight_con"]


@pytest.mark.parametrize(("trials", "startup"), [(1, 4), (16, 4), (32, 8), (100, 25)])
def test_num_startup_trials_is_a_quarter_but_at_least_4(trials: int, startup: int) -> None:
    search = Search(space=_SEARCH.space, trials_per_cell=trials)
    assert search.num_startup_trials == startup


@pytest.mark.parametrize(
    ("name", "value", "least"),
    [
        ("max_epochs", 0, 1),
        ("max_epochs", 27.0, 1),
        ("grace_period", 0, 1),
        ("grace_period", True, 1),
        ("reduction_factor", 1, 2),
        ("reduction_factor", 2.5, 2),
    ],
)
def test_asha_refuses_what_is_no_count(name: str, value: AnyValue, least: int) -> None:
    message = f"scheduler.{name} is {value!r}, but must be a whole number, at least {least} and"
    with pytest.raises(ConfigError, match=re.escape(message)):
        Asha(**{name: value})


def test_asha_refuses_a_grace_period_above_the_budget() -> None:
    message = "scheduler.grace_period is 10, but must be at most scheduler.max_epochs = 9."
    with pytest.raises(ConfigError, match=re.escape(message)):
        Asha(max_epochs=9, grace_period=10)


@pytest.mark.parametrize(("grace", "eta", "most", "expected"), _LADDERS)
def test_milestones_are_exact_and_below_the_budget(
    grace: int, eta: int, most: int, expected: tuple[int, ...]
) -> None:
    asha = Asha(grace_period=grace, reduction_factor=eta, max_epochs=most)
    assert asha.milestones == expected
    assert all(type(epochs) is int for epochs in asha.milestones)


@pytest.mark.slow
@pytest.mark.parametrize(("grace", "eta", "most", "expected"), _LADDERS)
def test_milestones_are_those_of_rays_scheduler_below_the_budget(
    grace: int, eta: int, most: int, expected: tuple[int, ...]
) -> None:
    scheduler = pytest.importorskip("ray.tune.schedulers.async_hyperband", reason="needs Ray")
    bracket = scheduler._Bracket(min_t=grace, max_t=most, reduction_factor=eta, s=0)
    rungs = sorted(milestone for milestone, _ in bracket._rungs)
    assert tuple(epochs for epochs in rungs if epochs < most) == expected


@pytest.mark.parametrize("value", [0, -1, 3.0, True, None], ids=repr)
def test_confirm_refuses_a_number_of_seeds_that_is_no_count(value: AnyValue) -> None:
    message = f"confirm.seeds is {value!r}, but must be a whole number, at least 1 and"
    with pytest.raises(ConfigError, match=re.escape(message)):
        Confirm(seeds=value)


@pytest.mark.parametrize("value", [0, -1, 2.0, True, None], ids=repr)
def test_confirm_refuses_a_number_of_candidates_that_is_no_count(value: AnyValue) -> None:
    message = f"confirm.candidates is {value!r}, but must be a whole number, at least 1 and"
    with pytest.raises(ConfigError, match=re.escape(message)):
        Confirm(candidates=value)


def test_a_study_refuses_more_candidates_than_its_cells_search() -> None:
    search = Search(space=_SEARCH.space, trials_per_cell=3)
    message = "confirm.candidates is 4, but must be at most 3, the search trials of a cell"
    with pytest.raises(ConfigError, match=message):
        _study(search=search, confirm=Confirm(candidates=4))
    assert _study(search=search, confirm=Confirm(seeds=5, candidates=3)).confirm.num_trials == 15


def test_reduced_confirms_no_more_candidates_than_it_searches() -> None:
    study = _study(
        search=Search(space=_SEARCH.space, trials_per_cell=9), confirm=Confirm(candidates=7)
    )
    assert study.reduced().confirm == Confirm(seeds=2, candidates=4)


@pytest.mark.parametrize("value", [0, -5, 30.0, False], ids=repr)
def test_labelled_refuses_a_number_of_anomalies_that_is_no_count(value: AnyValue) -> None:
    message = f"selection.num_anomalies is {value!r}, but must be a whole number, at least 1 and"
    with pytest.raises(ConfigError, match=re.escape(message)):
        Labelled(num_anomalies=value)


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0, -0.1, 1.5, float("nan")], ids=repr)
def test_labelled_refuses_a_share_outside_0_to_1(value: float) -> None:
    message = f"selection.val_share is {value}, but must be between 0 and 1."
    with pytest.raises(ConfigError, match=re.escape(message)):
        Labelled(val_share=value)


@pytest.mark.parametrize("value", ["0.1", None], ids=repr)
def test_labelled_refuses_a_share_that_is_no_number(value: AnyValue) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"selection.val_share is {value!r}")):
        Labelled(val_share=value)


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("seeds", [1, 3])
def test_confirm_seeds_are_fresh_and_as_many_as_asked(seed: int, seeds: int) -> None:
    study = _study(seed=seed, confirm=Confirm(seeds=seeds))
    assert len(set(study.confirm_seeds)) == seeds
    assert study.seed not in study.confirm_seeds


def test_reduced_is_a_small_study_under_a_name_of_its_own() -> None:
    study = _study(
        cells=Grid(dataset="digits", normal_class=[2, 1], anomaly_ratio=[0.1, 0.0, 0.05]),
        search=Search(space=_SEARCH.space, trials_per_cell=32),
        seed=5,
    )
    expected = _study(
        name="weights-reduced",
        cells=Grid(dataset="digits", normal_class=2, anomaly_ratio=[0.0, 0.1]),
        search=Search(space=_SEARCH.space, trials_per_cell=4),
        detector=Agad(base_width=4, discriminator_width=8),
        scheduler=Asha(max_epochs=3, grace_period=1, reduction_factor=3),
        confirm=Confirm(seeds=2),
        seed=5,
    )
    assert study.reduced() == expected


def test_reduced_never_makes_a_study_larger() -> None:
    study = _study(
        search=Search(space=_SEARCH.space, trials_per_cell=2),
        scheduler=Asha(max_epochs=1, grace_period=1),
        confirm=Confirm(seeds=1),
    )
    reduced = study.reduced()
    assert reduced.search.trials_per_cell == 2
    assert reduced.scheduler.max_epochs == 1
    assert reduced.confirm.seeds == 1


def test_reduced_keeps_a_long_name_allowed() -> None:
    assert _study(name="x" * 100).reduced().name == "x" * 92 + "-reduced"


def test_as_json_holds_plain_values_and_every_field() -> None:
    study = _study(
        cells=Grid(dataset="digits", normal_class=[0, 1], settings={"base_width": [4, 8]}),
        search=Search(
            space={
                "lr": LogUniform(1e-4, 1e-2),
                "weight_con": Uniform(1.0, 90.0),
                "backbone": Choice(["naive", "unet++"]),
            }
        ),
        detector=Agad(weight_lat=2.0),
    )
    values = json.loads(json.dumps(study.as_json(), allow_nan=False))
    assert values["name"] == "weights"
    assert values["seed"] == 0
    assert values["cells"] == {
        "dataset": ["digits"],
        "normal_class": [0, 1],
        "anomalous_class": None,
        "anomaly_ratio": [0.0],
        "pollution_ratio": [0.0],
        "labelled_classes": ["all"],
        "settings": {"base_width": [4, 8]},
    }
    assert values["search"] == {
        "space": {
            "backbone": {"distribution": "Choice", "values": ["naive", "unet++"]},
            "lr": {"distribution": "LogUniform", "low": 1e-4, "high": 1e-2},
            "weight_con": {"distribution": "Uniform", "low": 1.0, "high": 90.0},
        },
        "trials_per_cell": 32,
    }
    assert values["detector"] == dataclasses.asdict(study.detector) | {"name": "agad", "version": 2}
    assert values["scheduler"] == {"max_epochs": 27, "grace_period": 3, "reduction_factor": 3}
    assert values["confirm"] == {"seeds": 3, "candidates": 1}
    assert values["selection"] == {"num_anomalies": None, "val_share": 0.1}


def test_as_json_tells_two_distributions_of_equal_bounds_apart() -> None:
    one = _study(search=Search(space={"lr": Uniform(1e-4, 1e-2)}))
    other = _study(search=Search(space={"lr": LogUniform(1e-4, 1e-2)}))
    assert one.as_json() != other.as_json()


def test_as_json_names_the_checkpoints_kept_where_some_are() -> None:
    kept = _study(confirm=Confirm(keep_every=5)).as_json()
    assert kept["confirm"] == {"seeds": 3, "candidates": 1, "keep_every": 5}


@pytest.mark.parametrize("every", [0, -1, 1.5, True])
def test_keep_every_must_be_a_count(every: AnyValue) -> None:
    with pytest.raises(ConfigError, match=f"confirm.keep_every is {every!r}, but must be"):
        Confirm(keep_every=every)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"confirm": Confirm(seeds=2, candidates=3, keep_every=4), "seed": 7},
        {
            "cells": Grid(
                dataset="digits",
                anomalous_class=["three", 4],
                labelled_classes=["all", 2],
                settings={"backbone": ["naive", "unet"]},
            ),
            "detector": Agad(weight_lat=2.0),
            "scheduler": SuccessiveHalving(max_epochs=9),
            "selection": LabelFree(),
            "budget": Budget(gpu_hours=1.5, hours=2),
        },
        {
            "cells": Grid(dataset="digits", normal_class=[0, "one", 2]),
            "search": replace(_SEARCH, seeds=2, development_classes=[0, "one"]),
        },
    ],
    ids=["defaults", "confirm", "everything-else", "development-classes"],
)
def test_a_study_is_read_as_it_is_kept(changes: dict[str, Any]) -> None:
    study = _study(**changes)
    assert Study.from_json(json.loads(json.dumps(study.as_json()))) == study


def test_a_study_of_an_unknown_detector_asks_for_an_upgrade() -> None:
    values = _study().as_json()
    values["detector"]["name"] = "padim"
    with pytest.raises(ConfigError, match=r"detector\.name is 'padim', but must be one of: agad"):
        Study.from_json(values)


# A study that compares detectors.


@dataclass(frozen=True, kw_only=True)
class _Supervised(DetectorDefaults):
    """A detector that is not fitted without labelled anomalies."""

    name: ClassVar[str] = "supervised"
    version: ClassVar[int] = 1
    supervision: ClassVar[Supervision] = Supervision(labels="required")

    def build(self, *_: AnyValue) -> AnyValue:
        raise NotImplementedError

    def build_scorer(self, *_: AnyValue) -> AnyValue:
        raise NotImplementedError


_GRID = Grid(dataset="digits", normal_class=[0, 8], anomaly_ratio=[0.0, 0.1])
_TUNED = Candidate(
    Agad(base_width=4),
    space={"lr": LogUniform(1e-5, 1e-3)},
    trials=6,
    scheduler=Asha(max_epochs=9, grace_period=1, reduction_factor=3),
)
_AS_IS = Candidate(Pca(), space={})


def _several(*candidates: Candidate, **parts: AnyValue) -> Study:
    every: dict[str, Any] = {"name": "several", "cells": _GRID} | parts
    return Study(**every, detectors=candidates or (_TUNED, _AS_IS, Candidate(DeepSvdd())))


def test_the_cells_of_the_first_candidate_have_the_labels_that_it_has_alone() -> None:
    first, *others = _several().entries
    assert first.cells == _GRID.all_cells
    assert {cell.detector for cell in first.cells} == {""}
    assert [{cell.detector for cell in one.cells} for one in others] == [{"pca"}, {"deep-svdd"}]


def test_no_two_cells_of_candidates_have_one_label() -> None:
    study = _several(_TUNED, _AS_IS, Candidate(Pca(variance=0.5)), Candidate(Agad(lr=1e-3)))
    labels = [cell.label for cell in study.all_cells]
    assert len(labels) == len(set(labels))
    assert "digits class=0 ratio=0 variance=0.5 detector=pca" in labels


def test_each_candidate_is_a_study_of_its_own() -> None:
    tuned, as_is, default = (entry.study for entry in _several().entries)
    assert (tuned.detector, tuned.search.trials_per_cell) == (Agad(base_width=4), 6)
    assert dict(tuned.search.space) == dict(_TUNED.searched_space)
    assert tuned.scheduler == _TUNED.scheduler
    assert (as_is.detector, as_is.scheduler) == (Pca(), NoStopping(max_epochs=1))
    assert dict(default.search.space) == dict(DeepSvdd().default_space())
    assert default.scheduler == DeepSvdd().default_scheduler()
    assert default.search.trials_per_cell == Search(space=_SEARCH.space).trials_per_cell


def test_a_candidate_without_a_search_confirms_at_once_without_labels() -> None:
    _, as_is, _ = (entry.study for entry in _several(selection=Labelled(num_anomalies=9)).entries)
    assert as_is.num_search_trials == 0
    assert as_is.selection == FixedEpoch(epochs=1)
    assert as_is.selection.num_val_anomalies(30) == 0
    assert as_is.confirm.num_trials == 3


def test_a_candidate_without_a_search_holds_as_many_normals_out_as_the_others() -> None:
    _, as_is, _ = (entry.study for entry in _several(selection=Labelled(val_share=0.2)).entries)
    assert as_is.selection.val_share == 0.2


def test_a_candidate_runs_once_at_every_ratio_only_if_no_label_fits_and_none_selects() -> None:
    searched = Candidate(Pca(variance=0.5))
    by_labels, label_free = (
        _several(_TUNED, _AS_IS, searched, selection=selection).entries
        for selection in (Labelled(), LabelFree())
    )
    assert [len(one.cells) for one in by_labels] == [4, 2, 4]
    assert [len(one.cells) for one in label_free] == [4, 2, 2]
    assert [len(one.answers) for one in (*by_labels, *label_free)] == [4] * 6


def test_a_candidate_that_requires_labels_answers_no_ratio_of_0() -> None:
    _, supervised = _several(_TUNED, Candidate(_Supervised())).entries
    assert [cell.anomaly_ratio for cell in supervised.answers] == [0.1, 0.1]


def test_a_candidate_knows_the_cells_that_lack_the_labels_it_needs() -> None:
    first, supervised = _several(_TUNED, Candidate(_Supervised())).entries
    assert [cell.anomaly_ratio for cell in supervised.left_out] == [0.0, 0.0]
    assert first.left_out == ()


_PROBE: dict[str, Any] = {
    "detector": Probe(),
    "search": Search(space={"inverse_penalty": LogUniform(0.1, 10)}),
}


@pytest.mark.parametrize("ratios", [0.0, [0.0, 0.1]])
def test_a_detector_that_requires_labels_is_refused_alone_at_ratio_0(ratios: object) -> None:
    message = r"cells\.anomaly_ratio is 0.*, but Probe cannot be fitted without labelled anomalies"
    cells = Grid(dataset="digits", normal_class=0, anomaly_ratio=ratios)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=message):
        Study(name="a-study", cells=cells, **_PROBE)


def test_several_detectors_that_all_require_labels_are_refused_at_ratio_0() -> None:
    with pytest.raises(ConfigError, match="but Probe, KnnProbe cannot be fitted without labelled"):
        _several(Candidate(Probe()), Candidate(KnnProbe()))


def test_a_detector_that_requires_labels_stands_alone_above_ratio_0() -> None:
    cells = Grid(dataset="digits", normal_class=0, anomaly_ratio=[0.05, 0.1])
    study = Study(name="a-study", cells=cells, **_PROBE)
    assert [cell.anomaly_ratio for cell in study.all_cells] == [0.05, 0.1]


def _of_lof(**changes: Any) -> Study:  # noqa: ANN401
    cells = Grid(dataset="digits", normal_class=0)
    search = Search(space={"num_neighbors": IntUniform(1, 9)})
    values: dict[str, Any] = {"name": "a", "cells": cells, "detector": Lof(), "search": search}
    return Study(**(values | changes))


def test_a_detector_that_fits_once_takes_one_epoch_and_no_asha() -> None:
    assert _of_lof().scheduler == NoStopping(max_epochs=1)
    assert _of_lof().reduced().scheduler == NoStopping(max_epochs=1)


@pytest.mark.parametrize(
    "scheduler", [Asha(), Asha(max_epochs=3, grace_period=1), NoStopping(max_epochs=2), Median()]
)
def test_a_detector_that_fits_once_refuses_further_epochs(scheduler: Any) -> None:  # noqa: ANN401
    message = f"study.scheduler is {scheduler}, but Lof fits once, in a single epoch; leave the"
    with pytest.raises(ConfigError, match=re.escape(message)):
        _of_lof(scheduler=scheduler)
    with pytest.raises(ConfigError, match=re.escape(message)):
        _several(_TUNED, Candidate(Lof(), scheduler=scheduler))


def test_a_fixed_epoch_of_a_detector_that_fits_once_is_the_only_one() -> None:
    fixed: dict[str, Any] = {"search": Search(), "selection": FixedEpoch(epochs=1)}
    assert _of_lof(**fixed).scheduler == NoStopping(max_epochs=1)
    with pytest.raises(ConfigError, match="Lof fits once, in a single epoch"):
        _of_lof(**(fixed | {"selection": FixedEpoch(epochs=12)}))


def test_a_study_of_pca_keeps_the_scheduler_that_it_is_stored_with() -> None:
    study = _of_lof(detector=Pca(), search=Search(space={"variance": Uniform(0.5, 0.9)}))
    assert study.scheduler == Asha()


def test_a_candidate_that_requires_labels_needs_a_ratio_above_0() -> None:
    message = r"study\.detectors\[1\] is _Supervised\(\), which needs labelled anomalies, but cells"
    with pytest.raises(ConfigError, match=message):
        _several(_TUNED, Candidate(_Supervised()), cells=replace(_GRID, anomaly_ratio=0.0))


def test_the_fresh_seeds_of_all_candidates_are_equal() -> None:
    study = _several(seed=4, search=Search(seeds=3), confirm=Confirm(seeds=2))
    assert [entry.study.confirm_seeds for entry in study.entries] == [(7, 8)] * 3
    assert study.confirm_seeds == (7, 8)


def test_a_candidate_of_few_trials_confirms_no_more_configurations_than_it_has() -> None:
    few = Candidate(Pca(variance=0.5), trials=2)
    study = _several(_TUNED, few, _AS_IS, confirm=Confirm(candidates=3))
    assert [entry.study.confirm.candidates for entry in study.entries] == [3, 2, 1]


def test_a_study_of_candidates_keeps_them_in_a_tuple_and_has_no_detector_of_its_own() -> None:
    study = Study(name="several", cells=_GRID, detectors=[_TUNED, _AS_IS])
    assert study.detectors == (_TUNED, _AS_IS)
    assert study.detector is None


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("study.detector", {"detector": Agad()}),
        ("search.space", {"search": _SEARCH}),
        ("study.scheduler", {"scheduler": Asha()}),
        ("cells.settings", {"cells": replace(_GRID, settings={"lr": [1e-3]})}),
    ],
    ids=["detector", "space", "scheduler", "settings"],
)
def test_what_every_candidate_has_itself_is_refused_beside_detectors(
    name: str, parts: dict[str, Any]
) -> None:
    message = (
        f"study.detectors and {name} are both given, but every Candidate has its own; leave {name} "
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        _several(**parts)


@pytest.mark.parametrize(
    ("detectors", "message"),
    [
        (_TUNED, "but must be a list of Candidate(...)."),
        ("pca", "study.detectors is 'pca', but must be a list of Candidate(...)."),
        (
            [_TUNED, Pca()],
            "study.detectors[1] is Pca(features='pixels', variance=0.9), but must be a Candidate(",
        ),
        ([_TUNED, _TUNED], "study.detectors[1] stands in the list before; take it out."),
        (
            [_TUNED, Candidate(Pca()), _AS_IS],
            "study.detectors[2] has the parameters of study.detectors[1], but candidates are told "
            "apart by them; change a parameter of one, or take it out.",
        ),
    ],
    ids=["one", "name", "detector", "twice", "two-spaces"],
)
def test_a_list_of_anything_but_different_candidates_is_refused(
    detectors: AnyValue, message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        Study(name="several", cells=_GRID, detectors=detectors)


def test_a_candidates_space_is_checked_at_its_corners() -> None:
    with pytest.raises(ConfigError, match=r"Pca\.variance is 1\.5, but must be in \(0, 1\)"):
        _several(_TUNED, Candidate(Pca(), space={"variance": Uniform(0.5, 1.5)}))


def test_a_budget_needs_a_candidate_that_searches() -> None:
    assert _several(_TUNED, _AS_IS, budget=Budget(hours=1)).budget == Budget(hours=1)
    with pytest.raises(ConfigError, match="no candidate searches anything that it could end"):
        _several(_AS_IS, budget=Budget(hours=1))


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"selection": LabelFree(), "seed": 3},
        {"selection": Labelled(num_anomalies=7), "confirm": Confirm(seeds=2, candidates=2)},
        {"search": Search(seeds=2, trials_per_cell=5), "budget": Budget(hours=2)},
    ],
    ids=["plain", "label-free", "labelled", "search"],
)
def test_a_study_of_candidates_is_read_as_it_was_written(parts: dict[str, Any]) -> None:
    study = _several(**parts)
    values = json.loads(json.dumps(study.as_json()))
    found = Study.from_json(values)
    assert found.as_json() == study.as_json()
    assert [one.study for one in found.entries] == [one.study for one in study.entries]
    assert found.all_cells == study.all_cells


def test_a_study_of_one_detector_is_written_as_it_was_before_detectors_could_be_compared() -> None:
    values = _study().as_json()
    assert list(values) == [
        *("name", "cells", "search", "detector", "scheduler"),
        *("confirm", "selection", "budget", "seed"),
    ]


def test_a_reduced_study_of_candidates_reduces_each_of_them() -> None:
    reduced = _several(confirm=Confirm(candidates=8, seeds=4), budget=Budget(hours=9)).reduced()
    tuned, as_is, deep = (entry.study for entry in reduced.entries)
    assert reduced.name == "several-reduced"
    assert [one.num_search_trials for one in (tuned, as_is, deep)] == [4, 0, 4]
    assert [one.scheduler.max_epochs for one in (tuned, as_is, deep)] == [3, 1, 3]
    assert tuned.detector == Agad(base_width=4).reduced()
    assert deep.detector == DeepSvdd(pretrain_epochs=2)
    assert [one.confirm.num_trials for one in (tuned, as_is, deep)] == [8, 2, 8]
    assert reduced.budget == Budget()
    assert {cell.given_class for cell in reduced.all_cells} == {0}


def test_a_study_of_several_detectors_can_be_reduced_in_another_process() -> None:
    study = Study(name="several", cells=_GRID, detectors=[_TUNED, _AS_IS])
    assert pickle.loads(pickle.dumps(study)).reduced() == study.reduced()
