"""With a Ray that lacks a private part, each use of the part steps aside; a study still runs."""

from __future__ import annotations

import builtins
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.job_config import JobConfig

from agad.clusterfiles.document import read_documents
from agad.clusterfiles.launcher import launcher_faults
from agad.errors import ConfigError
from agad.executor import joining, private_ray
from agad.executor.jobs.drain import Node
from agad.executor.private_ray import refusing_without, stepping_aside
from agad.executor.tune import cluster_options
from agad.executor.tune.memory_kill import KilledForMemoryError, memory_kills_as_deaths
from agad.executor.tune.preemption import is_node_draining
from agad.executor.tune.trackers import OPENERS
from agad.executor.tune.tune_memory import forget_ended, no_progress, stop_workers
from agad.executor.tune.worker import _set_title
from tests.cli.heads import environment
from tests.executor import private_parts

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _untold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_ray, "_told", set())


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "__import__", private_parts.hiding(builtins.__import__))


def test_a_missing_part_is_skipped_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        with stepping_aside("no title is set"):
            _ = SimpleNamespace().title
            pytest.fail("the block goes on")
    (warning,) = caplog.messages
    assert "has no attribute 'title'), so no title is set; Ray 2.58 to 2.60 has" in warning


def test_an_error_of_another_kind_passes() -> None:
    with pytest.raises(ValueError, match="of the user"), stepping_aside("nothing is lost"):
        raise ValueError("of the user")


def test_what_was_asked_for_is_refused_without_its_part() -> None:
    with (
        pytest.raises(ConfigError, match=r"so no node is drained; Ray 2\.58 to 2\.60 has"),
        refusing_without("no node is drained"),
    ):
        _ = SimpleNamespace().drain


@pytest.mark.usefixtures("hidden")
def test_without_a_loader_the_token_is_the_users_own_matter(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    assert not joining.find_token()
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert joining.find_token()
    (warning,) = caplog.messages
    assert "no token is looked for: set RAY_AUTH_MODE=token" in warning


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize("address", ["auto", "ray://head:10001"])
def test_without_rays_services_ray_looks_for_the_cluster(address: str) -> None:
    assert joining.check_joinable(address) == address


@pytest.mark.usefixtures("hidden")
def test_without_rays_protocol_nobody_asks_the_head(caplog: pytest.LogCaptureFixture) -> None:
    assert joining._lets_in("127.0.0.1:1", has_token=False) is None
    (warning,) = caplog.messages
    assert "ray.init alone finds out whether a cluster lets agad in" in warning


def test_with_its_parts_a_kill_for_memory_is_a_death_inside_the_block_alone() -> None:
    from ray._private import serialization

    before = serialization.OutOfMemoryError  # type: ignore[attr-defined]
    with memory_kills_as_deaths():
        raised = serialization.OutOfMemoryError("low")  # type: ignore[attr-defined,no-untyped-call]
        assert isinstance(raised, KilledForMemoryError)
    assert serialization.OutOfMemoryError is before  # type: ignore[attr-defined]


@pytest.mark.usefixtures("hidden")
def test_without_its_parts_a_kill_for_memory_stays_what_it_is() -> None:
    from ray._private import serialization

    before = serialization.OutOfMemoryError  # type: ignore[attr-defined]
    with memory_kills_as_deaths():
        assert serialization.OutOfMemoryError is before  # type: ignore[attr-defined]


def test_without_the_name_that_it_replaces_a_kill_for_memory_stays_what_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from ray._private import serialization

    monkeypatch.delattr(serialization, "OutOfMemoryError")
    with memory_kills_as_deaths():
        assert not hasattr(serialization, "OutOfMemoryError")
    assert "a kill by Ray's memory monitor ends the study" in caplog.text


@pytest.mark.usefixtures("hidden")
def test_without_rays_state_no_node_drains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: True)
    assert not is_node_draining()


@pytest.mark.usefixtures("hidden")
def test_without_a_function_for_it_no_title_is_set(caplog: pytest.LogCaptureFixture) -> None:
    _set_title("ray::a-trial")
    assert "the processes of workers do not name their trial" in caplog.text


@pytest.mark.usefixtures("hidden")
def test_without_tunes_callback_none_replaces_it() -> None:
    assert no_progress() == []


@pytest.mark.parametrize(
    "lacking", ["_trial_to_actor", "_stopped_trials", "_live_trials", "_trials"]
)
def test_without_its_attributes_a_controller_keeps_its_trials(
    lacking: str, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("_stopped_trials", "_failed_trials", "_live_trials", "_trials_to_cache")
    controller: Any = SimpleNamespace(**{name: {"a trial"} for name in names})
    controller._trials, controller._trial_to_actor = ["a trial"], {}
    delattr(controller, lacking)
    forget_ended(controller)
    (warning,) = caplog.messages
    assert "memory grows by about 25 KB with each trial" in warning


def test_without_a_manager_of_actors_no_worker_is_stopped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: True)
    controller: Any = SimpleNamespace()
    stop_workers(controller)
    assert "an interrupted study may keep its slots" in caplog.text


def test_without_its_argument_a_drivers_settings_name_no_folder(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = JobConfig()
    monkeypatch.setattr(cluster_options, "JobConfig", lambda: plain)
    assert cluster_options._importing_from(()) is plain
    assert caplog.messages == []
    assert cluster_options._importing_from(["/study"]) is plain
    assert "own detectors in /study only if PYTHONPATH named" in caplog.text


@pytest.mark.usefixtures("hidden")
def test_without_its_parts_wandb_is_refused() -> None:
    sys.modules.pop("agad.executor.tune.wandb_runs", None)
    with pytest.raises(ConfigError, match="W&B would show the API key; leave --log-to wandb out"):
        OPENERS["wandb"]("a-study")


@pytest.mark.usefixtures("hidden")
def test_without_its_parts_drain_names_rays_own_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agad.executor.jobs.drain.check_joinable", lambda address: address)
    with pytest.raises(ConfigError, match="cannot drain a node; call 'ray drain-node' in time"):
        Node("127.0.0.1:1", "ab" * 28)


@pytest.mark.usefixtures("hidden")
def test_without_its_parts_rays_own_check_of_a_yaml_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    (document,) = read_documents(ROOT / "cluster/on-premise.yaml")
    assert launcher_faults(document) == []
    assert "what Ray refuses in a cluster's YAML is not checked" in caplog.text


STUDY = '''"""Which detector?"""

import logging
from typing import Any

import ray.job_config
from my_detector import MyDetector

from agad import Agad, Asha, Candidate, Confirm, Grid, LogUniform, Search, Study, main
from agad.executor.tune import cluster_options, tuning


class Driver(ray.job_config.JobConfig):
    """Ray's settings without the private argument."""

    def __init__(self) -> None:
        super().__init__()


def without_attributes(function: Any) -> Any:
    return lambda _controller: function(object())


cluster_options.JobConfig = Driver
tuning.forget_ended = without_attributes(tuning.forget_ended)
tuning.stop_workers = without_attributes(tuning.stop_workers)

ASHA = Asha(max_epochs=2, grace_period=1, reduction_factor=2)
AGAD = Agad(base_width=2, discriminator_width=4, batch_size=32, min_batch_anomalies=16)
STUDY = Study(
    name="without",
    cells=Grid(dataset="digits", normal_class=0),
    detectors=[
        Candidate(AGAD, space={"lr": LogUniform(1e-4, 5e-3)}, scheduler=ASHA),
        Candidate(MyDetector()),
    ],
    search=Search(trials_per_cell=3),
    confirm=Confirm(seeds=1),
)

if __name__ == "__main__":
    main(STUDY)
'''

LOSSES = (
    "the driver's memory grows by about 25 KB with each trial",
    "the driver's memory grows by about 98 KB with each trial",
    "a kill by Ray's memory monitor ends the study, until it is run again",
    "trials do not see that their node is about to be taken away",
    "an interrupted study may keep its slots until Python ends",
    "workers find a study's own detectors in",
)


@pytest.mark.cluster
@pytest.mark.nightly
@pytest.mark.slow
def test_a_study_runs_on_a_ray_without_private_parts(tmp_path: Path) -> None:
    shutil.copy(private_parts.__file__, tmp_path / "sitecustomize.py")
    file = tmp_path / "without.py"
    file.write_text(STUDY)
    path = f"{tmp_path}:{ROOT}:{ROOT / 'examples'}"
    done = subprocess.run(
        [sys.executable, str(file), f"--store={tmp_path / 'store'}"],
        env=environment(tmp_path, PYTHONPATH=path, RAY_TMPDIR=os.environ["RAY_TMPDIR"]),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Confirm: 2 trials, 0 diverged, 0 failed" in " ".join(done.stdout.split())
    lines = done.stderr.splitlines()
    assert sorted(loss for line in lines for loss in LOSSES if loss in line) == sorted(LOSSES)
    assert len(lines) == len(LOSSES), done.stderr
