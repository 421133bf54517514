"""What is wrong is found, and a study that is finished ends, before Ray starts."""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import agad.executor.tune.run
from agad.config import Budget, Confirm, Grid, Study
from agad.data import ImportOptions, Library, NodeCache, TestChoice, import_dataset
from agad.errors import ConfigError, OtherDriverError, StoreError, StudyChangedError
from agad.executor.tune import ClusterOptions, run_study
from agad.executor.tune.cluster_options import Slots
from agad.executor.tune.run import RateLimit
from agad.objects import LocalObjects, open_objects
from agad.store import StudyStore
from agad.trial import KeptPlan, Runtime

if TYPE_CHECKING:
    from tests.simulation import ListMemory, MakeSimulation, MakeStudy


@pytest.fixture
def options(digits_library: Library, session_cache: NodeCache) -> ClusterOptions:
    return ClusterOptions(store=digits_library.uri, cache=session_cache)


def _no_cluster(_options: ClusterOptions) -> None:
    pytest.fail("Ray was started")


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agad.executor.tune.run, "connected", _no_cluster)


def test_run_study_of_unknown_data_leaves_the_memory_untouched(
    make_study: MakeStudy, memory: ListMemory, options: ClusterOptions
) -> None:
    study = make_study(cells=Grid(dataset="digits", normal_class=10))
    with pytest.raises(ConfigError, match="normal_class holds 10"):
        run_study(study, memory, options)
    assert (memory.config, memory.events) == (None, [])


def test_run_study_of_a_missing_data_set_says_how_to_import_it_before_anything(
    make_study: MakeStudy, memory: ListMemory, options: ClusterOptions
) -> None:
    study = make_study(cells=Grid(dataset=["digits", "mnist"], normal_class=0))
    with pytest.raises(
        ConfigError,
        match=rf"'mnist' is not in {options.store}, .* agad data import mnist --from PATH --store",
    ):
        run_study(study, memory, options)
    assert (memory.config, memory.events) == (None, [])


def test_run_study_of_a_store_that_cannot_be_used_says_so_before_anything(
    study: Study, memory: ListMemory, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=f"{tmp_path}/file"):
        run_study(study, memory, ClusterOptions(store=str(tmp_path / "file")))
    assert (memory.config, memory.events) == (None, [])


def test_run_study_keeps_the_configuration_and_the_fingerprint_of_its_data(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation, options: ClusterOptions
) -> None:
    simulation = make_simulation(study)
    with simulation.board:
        simulation.run()
    run_study(study, memory, options)
    assert memory.config is not None
    assert memory.config["name"] == "a-study"
    assert memory.config["data"] == {"digits": simulation.specs[0].data.fingerprint}


def test_run_study_of_a_finished_study_starts_no_cluster(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation, options: ClusterOptions
) -> None:
    simulation = make_simulation(study)
    with simulation.board:
        simulation.run()
    events = list(memory.events)
    run_study(study, memory, options)
    assert memory.events == events


def test_run_study_of_a_finished_study_holds_nothing(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation, options: ClusterOptions
) -> None:
    make_simulation(study).run_and_close()
    run_study(study, memory, options)
    memory.hold_error = OtherDriverError("another driver works on it")
    run_study(study, memory, options)
    assert (memory.num_flushes, memory.num_holds) == (2, 1)


def test_run_study_holds_the_study_before_it_keeps_anything_and_starts_ray(
    study: Study, memory: ListMemory, options: ClusterOptions
) -> None:
    memory.hold_error = OtherDriverError("another driver works on it")
    with pytest.raises(OtherDriverError, match="another driver works on it"):
        run_study(study, memory, options)
    assert (memory.config, memory.events) == (None, [])


def test_run_study_holds_the_study_while_ray_runs_and_no_longer(
    study: Study, memory: ListMemory, monkeypatch: pytest.MonkeyPatch, options: ClusterOptions
) -> None:
    held = []

    def connect(_options: ClusterOptions) -> None:
        held.append(memory.is_held)
        raise KeyboardInterrupt

    monkeypatch.setattr(agad.executor.tune.run, "connected", connect)
    with pytest.raises(KeyboardInterrupt):
        run_study(study, memory, options)
    assert (held, memory.is_held) == ([True], False)


@pytest.mark.parametrize("every", [None, 4])
def test_run_study_lets_trials_keep_what_the_study_says(
    study: Study,
    memory: ListMemory,
    monkeypatch: pytest.MonkeyPatch,
    options: ClusterOptions,
    every: int | None,
) -> None:
    plans = []

    def fit(_board: object, slots: Slots, *_: object, **__: object) -> None:
        plans.append(slots.runtime.checkpoints)

    slots = Slots(runtime=options.runtime(), num=1)
    monkeypatch.setattr(agad.executor.tune.run, "connected", lambda _options: nullcontext(slots))
    monkeypatch.setattr(agad.executor.tune.run, "fit", fit)
    run_study(replace(study, confirm=Confirm(keep_every=every)), memory, options)
    kept = every and KeptPlan(prefix=f"{study.name}/kept", every=every)
    assert [plan.kept for plan in plans if plan is not None] == [kept]


def test_run_study_tells_how_far_it_is_and_that_it_was_interrupted(
    study: Study, memory: ListMemory, monkeypatch: pytest.MonkeyPatch, options: ClusterOptions
) -> None:
    def connect(_options: ClusterOptions) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(agad.executor.tune.run, "connected", connect)
    with pytest.raises(KeyboardInterrupt):
        run_study(study, memory, options)
    last = memory.bulletins[-1]
    assert last.state == "interrupted"
    assert [cell.planned for cell in last.status.cells] == [8, 8]


class _NoRows(LocalObjects):
    """A folder that takes claims, and no rows."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if "/trials/" in key:
            raise StoreError("no rows today")
        return super().put_if_absent(key, data)


def test_run_study_counts_rows_that_waited_on_this_hosts_disk(
    study: Study, make_simulation: MakeSimulation, options: ClusterOptions, tmp_path: Path
) -> None:
    objects = LocalObjects(tmp_path / "store")
    earlier = StudyStore(_NoRows(tmp_path / "store"), study.name, tmp_path / "spool")

    def run_and_be_interrupted() -> None:
        with earlier.hold():
            make_simulation(study, kept_in=earlier).run_and_close()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_and_be_interrupted()
    later = StudyStore(objects, study.name, tmp_path / "spool")
    assert later.trials() == []
    run_study(study, later, options)
    assert len(later.trials()) == 20


def test_run_study_passes_on_that_the_study_was_changed(
    study: Study, memory: ListMemory, monkeypatch: pytest.MonkeyPatch, options: ClusterOptions
) -> None:
    def refuse(_config: object) -> None:
        raise StudyChangedError("was another one")

    monkeypatch.setattr(memory, "open", refuse)
    with pytest.raises(StudyChangedError, match="was another one"):
        run_study(study, memory, options)


def test_run_study_refuses_other_images_under_the_name_of_a_data_set(
    study: Study, tmp_path: Path
) -> None:
    kept, other = (Library(open_objects(str(tmp_path / name))) for name in ("kept", "other"))
    import_dataset("digits", None, kept, ImportOptions())
    import_dataset("digits", None, other, ImportOptions(test=TestChoice(seed=1)))
    memory = StudyStore(open_objects(kept.uri), study.name)
    for library, message in ((kept, "Ray was started"), (other, r"data\.digits was .* and is now")):
        options = ClusterOptions(store=library.uri, cache=NodeCache(folder=str(tmp_path / "cache")))
        with pytest.raises((StudyChangedError, pytest.fail.Exception), match=message):
            run_study(study, memory, options)


def test_run_study_refuses_another_precision_than_the_one_it_began_with(
    study: Study, digits_library: Library, options: ClusterOptions, tmp_path: Path
) -> None:
    memory = StudyStore(open_objects(str(tmp_path / "store")), study.name)
    begun = replace(options, store=digits_library.uri, precision="bfloat16")
    with pytest.raises(pytest.fail.Exception, match="Ray was started"):
        run_study(study, memory, begun)
    assert memory.config()["precision"] == "bfloat16"
    with pytest.raises(StudyChangedError, match='precision was "bfloat16" and is now "float32"'):
        run_study(study, memory, options)


def test_run_study_takes_one_data_set_more_for_an_extension(
    study: Study, digits_library: Library, tmp_path: Path
) -> None:
    library = Library(open_objects(str(tmp_path / "store")))
    import_dataset("digits", None, library, ImportOptions())
    import_dataset("other-digits", None, library, ImportOptions(format="digits", image_px=32))
    memory = StudyStore(open_objects(library.uri), study.name)
    options = ClusterOptions(store=library.uri, cache=NodeCache(folder=str(tmp_path / "cache")))
    more = replace(study, cells=replace(study.cells, dataset=["digits", "other-digits"]))
    for one in (study, more):
        with pytest.raises(pytest.fail.Exception, match="Ray was started"):
            run_study(one, memory, options)
    fingerprints = memory.config()["data"]
    assert sorted(fingerprints) == ["digits", "other-digits"]
    assert fingerprints["digits"] == digits_library.manifest("digits").fingerprint


@pytest.mark.parametrize(("gpus", "is_said"), [(0.0, True), (0.5, False)], ids=["none", "half"])
def test_a_budget_of_gpu_hours_that_is_never_spent_is_told(
    make_study: MakeStudy,
    caplog: pytest.LogCaptureFixture,
    gpus: float,
    is_said: bool,
) -> None:
    study = make_study(budget=Budget(gpu_hours=2))
    agad.executor.tune.run._warn_of_budget(
        study, Slots(runtime=Runtime(store="/nowhere", gpus=gpus), num=1)
    )
    assert ("budget.gpu_hours is 2, but a trial takes no GPU" in caplog.text) == is_said


# What may wait is done now and then, and the more rarely the longer it takes.


@dataclass
class _Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(("took_s", "num_done"), [(0.001, 20), (0.1, 2)], ids=["quick", "slow"])
def test_a_rate_limit_keeps_to_its_period_and_to_its_share(took_s: float, num_done: int) -> None:
    clock = _Clock()
    rate_limit = RateLimit(0.5, 0.02, clock)
    starts: list[float] = []

    def act() -> None:
        starts.append(clock.now_s)
        clock.now_s += took_s

    for step in range(1000):
        clock.now_s = max(clock.now_s, step / 100)
        rate_limit.run(act)
    assert starts[0] == 0.0
    assert len(starts) == num_done
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert min(gaps) >= max(0.5, took_s / 0.02)
