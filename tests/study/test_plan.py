"""What a study will take: epochs by hand, counts and seconds that agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest
import ray

from agad.config import (
    Candidate,
    Choice,
    Confirm,
    Distribution,
    Grid,
    LogUniform,
    Search,
    Study,
    Uniform,
)
from agad.data import Library, NodeCache
from agad.detectors import Knn, Lof
from agad.errors import ConfigError, TrialDivergedError
from agad.objects import open_objects
from agad.records import TrialRow
from agad.search.expected import expected_epochs
from agad.study import (
    CellPlan,
    DetectorPlan,
    EpochTime,
    MeasuredEpochTimes,
    PastStudy,
    StoredEpochTimes,
    StudyPlan,
    WorkerTime,
    plan_study,
)
from agad.study.cell_data import find_cell_data
from agad.trial import EpochCost, Runtime, TrialSpec
from agad.trial.training import prepare

if TYPE_CHECKING:
    from tests.simulation import MakeStudy

Plan: TypeAlias = Callable[[Study], StudyPlan]


@pytest.fixture
def plan_of(digits_library: Library, session_cache: NodeCache) -> Plan:
    """Plan a study of digits on one thread."""
    runtime = Runtime(store=digits_library.uri, cache=session_cache)
    return lambda study: plan_study(
        study, digits_library, [MeasuredEpochTimes(runtime, "a processor")]
    )


SPACE = {"weight_con": Uniform(0, 100)}


def _plan(*epoch_s: float) -> StudyPlan:
    cells = [
        CellPlan(
            label=f"digits class={number} ratio=0",
            num_steps=5,
            epoch_time=EpochTime(
                epoch_s=one, gpus=0.5, source="5 of 5 steps", hardware="a processor"
            ),
            num_val_anomalies=30,
            num_fit_anomalies=0,
        )
        for number, one in enumerate(epoch_s)
    ]
    detector = DetectorPlan(
        detector="agad",
        cells=tuple(cells),
        num_searches=len(cells),
        trials_per_cell=8,
        confirm_per_cell=2,
        max_epochs=27,
        expected_epochs=7.0,
        expectation="trials come in random order",
    )
    return StudyPlan(study="a-study", detectors=(detector,), num_confirm_seeds=2)


def _alone(plan: StudyPlan) -> DetectorPlan:
    """Return the plan of a study's only detector."""
    (detector,) = plan.detectors
    return detector


def _seconds(spent: WorkerTime | None) -> float:
    assert spent is not None
    return spent.seconds


def _epoch_s(cell: CellPlan) -> float:
    assert cell.epoch_time is not None
    return cell.epoch_time.epoch_s


def test_a_plan_counts_the_trials_of_all_cells() -> None:
    plan = _alone(_plan(1.0, 2.0, 3.0))
    assert (plan.num_search_trials, plan.num_confirm_trials) == (24, 6)


def test_a_plan_counts_epochs_with_and_without_stopping() -> None:
    plan = _alone(_plan(1.0, 2.0, 3.0))
    assert plan.most_epochs == 30 * 27
    assert plan.likely_epochs == 24 * 7 + 6 * 27


def test_a_plan_takes_each_cell_at_its_own_epoch() -> None:
    plan = _plan(1.0, 2.0, 3.0)
    assert plan.likely == WorkerTime(
        search_s=6 * 8 * 7, confirm_s=6 * 2 * 27, search_gpu_s=3 * 8 * 7, confirm_gpu_s=3 * 2 * 27
    )
    assert plan.most is not None
    assert (plan.most.seconds, plan.most.gpu_s) == (6 * 10 * 27, 3 * 10 * 27)


def test_seconds_are_epochs_times_their_cost_where_all_cells_cost_the_same() -> None:
    plan = _plan(0.5, 0.5)
    assert (_seconds(plan.likely), _seconds(plan.most)) == (
        _alone(plan).likely_epochs * 0.5,
        _alone(plan).most_epochs * 0.5,
    )


def test_plan_study_times_the_cells_of_a_study_without_ray(
    make_study: MakeStudy, plan_of: Plan
) -> None:
    study = make_study(cells=Grid(dataset="digits", normal_class=0, anomaly_ratio=[0.0, 0.1]))
    plan = plan_of(study)
    assert [cell.label for cell in plan.cells] == [one.label for one in study.cells.all_cells]
    assert all(_epoch_s(cell) > 0 for cell in plan.cells)
    assert [cell.num_val_anomalies for cell in plan.cells] == [30, 30]
    assert plan.cells[0].num_fit_anomalies == 0 < plan.cells[1].num_fit_anomalies
    detector = _alone(plan)
    assert (plan.study, detector.detector) == ("a-study", "agad")
    assert (detector.trials_per_cell, detector.confirm_per_cell) == (8, 2)
    assert (detector.max_epochs, detector.expected_epochs) == (
        9,
        expected_epochs(study.scheduler, 8),
    )
    assert not ray.is_initialized()


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the labels of the cells that are measured: 3 steps of 2 s, 0.5 s an image."""
    labels: list[str] = []

    def note(spec: TrialSpec, _runtime: Runtime, **_limits: float) -> EpochCost:
        labels.append(spec.cell.label)
        return EpochCost(step_s=2.0, val_image_s=0.5, num_measured=3)

    monkeypatch.setattr("agad.study.epoch_time.measure_epoch", note)
    return labels


def test_plan_study_measures_cells_that_differ_in_their_class_once(
    make_study: MakeStudy, plan_of: Plan, measured: list[str]
) -> None:
    first, second = plan_of(make_study()).cells
    assert first.label != second.label
    assert measured == [first.label]


def test_a_limited_measurement_tells_numbers_of_normals_apart(
    make_study: MakeStudy, digits_library: Library, session_cache: NodeCache, measured: list[str]
) -> None:
    runtime = Runtime(store=digits_library.uri, cache=session_cache)
    times = MeasuredEpochTimes(runtime, "a processor", limit_s=1000.0)
    cells = Grid(dataset="digits", normal_class=[0, 1], num_normals=[20, None])
    plan_study(make_study(cells=cells), digits_library, [times])
    assert measured == ["digits class=0 ratio=0 normals=20", "digits class=0 ratio=0"]


def test_a_trial_that_fails_while_an_estimate_is_made_leaves_the_time_unknown(
    make_study: MakeStudy,
    digits_library: Library,
    session_cache: NodeCache,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **_limits: float) -> EpochCost:
        raise TrialDivergedError("the loss is nan")

    monkeypatch.setattr("agad.study.epoch_time.measure_epoch", fail)
    runtime = Runtime(store=digits_library.uri, cache=session_cache)
    hasty = MeasuredEpochTimes(runtime, "a processor", limit_s=5.0)
    plan = plan_study(make_study(), digits_library, [hasty])
    assert [cell.epoch_time for cell in plan.cells] == [None, None]
    with pytest.raises(TrialDivergedError, match="the loss is nan"):
        plan_study(make_study(), digits_library, [MeasuredEpochTimes(runtime, "a processor")])


def test_no_measurement_begins_after_the_limit(
    make_study: MakeStudy, digits_library: Library, session_cache: NodeCache, measured: list[str]
) -> None:
    runtime = Runtime(store=digits_library.uri, cache=session_cache)
    times = MeasuredEpochTimes(runtime, "a processor", limit_s=1e-9)
    cells = Grid(
        dataset="digits",
        normal_class=0,
        anomaly_ratio=[0.0, 0.1],
        settings={"weight_adv": [1.0, 2.0]},
    )
    plan = plan_study(make_study(cells=cells), digits_library, [times])
    assert measured == ["digits class=0 ratio=0 weight_adv=1"]
    known = {cell.label: cell.epoch_time is not None for cell in plan.cells}
    # With a limit, one measurement serves cells that differ in their labels alone.
    assert known == {
        "digits class=0 ratio=0 weight_adv=1": True,
        "digits class=0 ratio=0 weight_adv=2": False,
        "digits class=0 ratio=0.1 weight_adv=1": True,
        "digits class=0 ratio=0.1 weight_adv=2": False,
    }
    assert plan.likely is None
    assert plan.known.seconds > 0


@pytest.mark.usefixtures("measured")
def test_the_test_is_scored_once_for_each_confirm_seed(
    make_study: MakeStudy, plan_of: Plan, digits_library: Library
) -> None:
    study = make_study()
    plan = plan_of(study)
    num_test = digits_library.manifest("digits").test.num_images
    first = plan.cells[0].epoch_time
    assert first is not None
    assert first.test_s == 0.5 * num_test
    detector = _alone(plan)
    untested = replace(
        detector,
        cells=tuple(
            replace(cell, epoch_time=replace(cell.epoch_time, test_s=0.0))
            for cell in detector.cells
            if cell.epoch_time
        ),
    )
    extra_s = _seconds(detector.likely) - _seconds(untested.likely)
    num_tests = len(plan.cells) * study.confirm.seeds
    assert extra_s == pytest.approx(num_tests * 0.5 * num_test)


@pytest.mark.usefixtures("measured")
def test_plan_study_sets_the_trials_of_every_candidate_aside(
    make_study: MakeStudy, plan_of: Plan
) -> None:
    plans = [
        plan_of(make_study(confirm=Confirm(seeds=5, candidates=candidates)))
        for candidates in (1, 3)
    ]
    one, three = (_alone(plan) for plan in plans)
    assert (one.num_confirm_trials, three.num_confirm_trials) == (2 * 5, 2 * 5 * 3)
    assert three.most_epochs - one.most_epochs == 2 * 5 * 2 * 9
    assert [plan.num_confirm_seeds for plan in plans] == [5, 5]


@pytest.mark.usefixtures("measured")
def test_a_search_trial_costs_an_epoch_of_each_seed(make_study: MakeStudy, plan_of: Plan) -> None:
    one, three = (
        _alone(plan_of(make_study(search=Search(space=SPACE, trials_per_cell=8, seeds=seeds))))
        for seeds in (1, 3)
    )
    assert (one.num_search_trials, three.num_search_trials) == (16, 16)
    assert three.most_epochs - one.most_epochs == 2 * 8 * 2 * 9
    assert three.likely_epochs - one.likely_epochs == pytest.approx(2 * 16 * one.expected_epochs)
    epoch_s = sum(_epoch_s(cell) for cell in one.cells)
    assert _seconds(three.most) - _seconds(one.most) == pytest.approx(epoch_s * 8 * 2 * 9)


@pytest.mark.usefixtures("measured")
def test_development_classes_alone_are_searched_and_all_are_confirmed(
    make_study: MakeStudy, plan_of: Plan
) -> None:
    search = Search(space=SPACE, trials_per_cell=8, seeds=2, development_classes=(0, 5))
    cells = Grid(dataset="digits", normal_class=[0, 3, 5, 7])
    plan = _alone(plan_of(make_study(cells=cells, search=search)))
    assert [cell.num_search_instances for cell in plan.cells] == [2, 0, 2, 0]
    assert (plan.num_search_trials, plan.num_confirm_trials) == (8, 4 * 2)
    assert plan.most_epochs == (8 * 4 + 8) * 9
    searched, confirmed = plan.cells[::2], plan.cells
    test_s = sum(cell.epoch_time.test_s for cell in confirmed if cell.epoch_time)
    assert _seconds(plan.most) == pytest.approx(
        9 * (16 * sum(map(_epoch_s, searched)) + 2 * sum(map(_epoch_s, confirmed))) + 2 * test_s
    )


def test_plan_study_measures_every_variant_apart(
    make_study: MakeStudy, plan_of: Plan, measured: list[str]
) -> None:
    cells = Grid(dataset="digits", anomalous_class=[0, 1], pollution_ratio=[0.0, 0.05])
    clean, polluted, _, _ = plan_of(make_study(cells=cells)).cells
    assert measured == [clean.label, polluted.label]
    assert clean.num_steps < polluted.num_steps


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize("anomaly_ratio", [0.0, 1e-4, 0.1])
def test_plan_study_gives_each_cell_the_steps_that_its_trials_take(
    anomaly_ratio: float,
    make_study: MakeStudy,
    plan_of: Plan,
    digits_library: Library,
    session_cache: NodeCache,
) -> None:
    cells = Grid(dataset="digits", normal_class=[0, 8], anomaly_ratio=anomaly_ratio)
    study = make_study(cells=cells)
    runtime = Runtime(store=digits_library.uri, cache=session_cache)
    cell_data = find_cell_data(study, digits_library)
    for cell in plan_of(study).cells:
        training = prepare(cell_data[cell.label].search_spec(0, {}), runtime)
        assert cell.num_steps == training.batches.num_batches
        assert cell.epoch_time is not None
        assert cell.epoch_time.source == f"{min(3, cell.num_steps)} of {cell.num_steps} steps here"
        assert cell.epoch_time.epoch_s == 2.0 * cell.num_steps + 0.5 * len(training.val_images)


def test_plan_study_counts_the_labels_of_a_variant(make_study: MakeStudy, plan_of: Plan) -> None:
    cells = Grid(dataset="digits", normal_class=0, anomaly_ratio=0.1, pollution_ratio=[0.0, 0.2])
    plan = plan_of(make_study(cells=cells))
    # 107 normals fit, and 26 hidden anomalies beside them: a ninth of 107 and of 133.
    assert [cell.num_fit_anomalies for cell in plan.cells] == [11, 14]


def test_plan_study_can_time_every_kind_of_distribution(
    make_study: MakeStudy, plan_of: Plan
) -> None:
    space: dict[str, Distribution] = {
        "backbone": Choice(["unet++", "naive"]),
        "weight_con": Uniform(0, 100),
        "lr": LogUniform(1e-4, 1e-2),
    }
    cells = Grid(dataset="digits", normal_class=0)
    study = make_study(cells=cells, search=Search(space=space, trials_per_cell=4))
    assert _alone(plan_of(study)).num_search_trials == 4


def test_plan_study_refuses_a_study_that_does_not_fit_its_data(
    make_study: MakeStudy, plan_of: Plan
) -> None:
    with pytest.raises(ConfigError, match="normal_class holds 10"):
        plan_of(make_study(cells=Grid(dataset="digits", normal_class=10)))


def test_plan_study_imports_digits_by_itself(make_study: MakeStudy, tmp_path: Path) -> None:
    library = Library(open_objects(str(tmp_path / "store")))
    plan_study(make_study(), library)
    assert library.names() == ["digits"]


@pytest.fixture
def past(make_study: MakeStudy, make_row: Callable[..., TrialRow]) -> Callable[..., PastStudy]:
    """Return a stored study of two trials of 10 s each: 9 epochs of 140 normals, 5 steps each."""

    def build(study: Study | None = None, **changes: object) -> PastStudy:
        row = {"params": '{"weight_con": 5.0}', "epochs": 9, "gpu_s": 5.0} | changes
        rows = [make_row(**row), make_row(**row)]
        return PastStudy(config=(study or make_study()).as_json(), rows=rows)

    return build


@pytest.fixture
def epoch_time_of(
    digits_library: Library, make_study: MakeStudy
) -> Callable[..., EpochTime | None]:
    """Return the time of an epoch of the first cell of a study by stored ones."""

    def epoch_time(*stored: PastStudy, study: Study | None = None) -> EpochTime | None:
        wanted = study or make_study()
        epoch_times = StoredEpochTimes(digits_library, stored, "float32")
        return plan_study(wanted, digits_library, [epoch_times]).cells[0].epoch_time

    return epoch_time


def test_seconds_come_from_trials_of_the_same_kind_and_grow_with_the_steps(
    past: Callable[..., PastStudy], epoch_time_of: Callable[..., EpochTime | None]
) -> None:
    known = epoch_time_of(past())
    assert known is not None
    assert known.epoch_s == pytest.approx(10 / 9 * 4 / 5)  # 107 normals to fit: 4 steps of 32.
    assert (known.gpus, known.source) == (0.5, "2 trials")
    assert known.hardware == "a processor on a host"


def test_seconds_are_those_of_the_hardware_that_most_trials_ran_on(
    past: Callable[..., PastStudy], epoch_time_of: Callable[..., EpochTime | None]
) -> None:
    rare = past(hardware="a GPU", seconds=1.0)
    rare = PastStudy(config=rare.config, rows=rare.rows[:1])
    known = epoch_time_of(rare, past())
    assert known is not None
    assert (known.source, known.hardware) == ("2 trials", "a processor on a host")
    assert known == epoch_time_of(past())


@pytest.mark.parametrize(
    "changes",
    [
        {"detector": "another"},
        {"detector_version": 1},
        {"precision": "bfloat16"},
        {"dataset": "gone"},
        {"epochs": 0},
        {"phase": "test"},
        {"settings": '{"batch_size": 64}'},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_trials_of_another_kind_tell_no_seconds(
    changes: dict[str, object],
    past: Callable[..., PastStudy],
    epoch_time_of: Callable[..., EpochTime | None],
) -> None:
    assert epoch_time_of(past(**changes)) is None


def test_trials_of_wider_networks_tell_no_seconds_and_those_of_another_weight_do(
    make_study: MakeStudy,
    past: Callable[..., PastStudy],
    epoch_time_of: Callable[..., EpochTime | None],
) -> None:
    narrow = make_study().detector
    assert epoch_time_of(past(make_study(detector=replace(narrow, base_width=8)))) is None
    assert epoch_time_of(past(make_study(detector=replace(narrow, weight_adcon=3, lr=1e-3))))


def test_a_searched_width_is_known_where_it_was_searched_before(
    make_study: MakeStudy,
    past: Callable[..., PastStudy],
    epoch_time_of: Callable[..., EpochTime | None],
) -> None:
    study = make_study(search=Search(space={"base_width": Choice([4, 8])}, trials_per_cell=2))
    assert epoch_time_of(past(study), study=study) is None
    assert epoch_time_of(past(study, params='{"base_width": 8}'), study=study)


def test_a_plan_takes_parameters_that_go_together_with_what_is_searched_alone(
    make_study: MakeStudy,
    plan_of: Plan,
    past: Callable[..., PastStudy],
    epoch_time_of: Callable[..., EpochTime | None],
) -> None:
    # The detector's own 16 labelled anomalies of a batch would leave no room for a normal image.
    cells = Grid(dataset="digits", normal_class=0, settings={"batch_size": [16]})
    search = Search(space={"min_batch_anomalies": Choice([4, 8])}, trials_per_cell=2)
    study = make_study(cells=cells, search=search)
    (cell,) = plan_of(study).cells
    assert cell.num_steps == 7  # Of 107 normals to fit.
    changes = {"settings": '{"batch_size": 16}', "params": '{"min_batch_anomalies": 8}'}
    known = epoch_time_of(past(study, **changes), study=study)
    assert known is not None
    assert known.epoch_s == pytest.approx(10 / 9 * 7 / 9)  # 140 normals took 9 steps.


def test_two_candidates_of_a_detector_are_told_apart(digits_library: Library) -> None:
    study = Study(
        name="which",
        cells=Grid(dataset="digits", normal_class=0),
        detectors=[
            Candidate(Knn(), space={}),
            Candidate(Knn(features="pixels-standardised"), space={}),
            Candidate(Lof(), space={}),
        ],
    )
    plan = plan_study(study, digits_library, [])
    methods = ["knn", "knn features=pixels-standardised", "lof"]
    assert [one.method for one in plan.detectors] == methods
