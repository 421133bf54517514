"""What a study asks of a cluster, and what it gets; Ray's answers are made up."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import ray

from agad.data import NodeCache
from agad.detectors.compute import Compute
from agad.errors import ConfigError
from agad.executor.tune import ClusterOptions
from agad.executor.tune.cluster_options import Slots, connected

CACHE = NodeCache(folder="/nowhere/cache", max_gib=3.0)


def _options(**changes: Any) -> ClusterOptions:  # noqa: ANN401
    values: dict[str, Any] = {"store": "/nowhere/store", "cache": CACHE}
    return ClusterOptions(**(values | changes))


def _slots(monkeypatch: pytest.MonkeyPatch, options: ClusterOptions, **resources: float) -> Slots:
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "cluster_resources", lambda: resources)
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": resources}])
    with connected(options) as slots:
        return slots


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cpus_per_trial": 0}, "--cpus-per-trial is 0, but must be at least 1"),
        ({"gpus_per_trial": -0.5}, "--gpus-per-trial is -0.5, but must be at least 0"),
        ({"gpus_per_trial": float("nan")}, "--gpus-per-trial is nan"),
        ({"max_concurrent_trials": 0}, "--max-concurrent-trials is 0, but must be at least 1"),
        ({"device": "tpu"}, "--device is 'tpu', but must be cpu, cuda or mps"),
        ({"device": ""}, "--device is '', but must be cpu, cuda or mps"),
        ({"device": "cuda:1"}, "--device is 'cuda:1', but must be cpu, cuda or mps"),
        (
            {"device": "cpu", "gpus_per_trial": 0.5},
            "--gpus-per-trial is 0.5, but --device is cpu, which would leave them idle",
        ),
        (
            {"device": "cpu", "gpus_per_trial": "auto"},
            "--gpus-per-trial is auto, but --device is cpu, which would leave them idle",
        ),
        ({"device": "mps", "gpus_per_trial": 1}, "--gpus-per-trial is 1, but --device is mps"),
        (
            {"precision": "float16"},
            "--precision is 'float16', but must be one of: float32, bfloat16",
        ),
        ({"precision": "tf32", "gpus_per_trial": 0}, "--precision is 'tf32'"),
        (
            {"compilation": "fast"},
            "--compile is 'fast', but must be one of: off, default, cuda-graphs",
        ),
        (
            {"compilation": "cuda-graphs", "gpus_per_trial": 0},
            "--compile is cuda-graphs, but the device is cpu, and only cuda has them",
        ),
        (
            {"compilation": "cuda-graphs", "device": "mps"},
            "--compile is cuda-graphs, but the device is mps, and only cuda has them",
        ),
    ],
    ids=[
        "cpus",
        "gpus",
        "nan",
        "concurrent",
        "device",
        "no device",
        "numbered device",
        "gpus of a cpu",
        "auto of a cpu",
        "gpus of mps",
        "precision",
        "precision of cpus",
        "compile",
        "cuda graphs of cpus",
        "cuda graphs of mps",
    ],
)
def test_where_refuses_what_no_cluster_can_give(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _options(**changes)


@pytest.mark.parametrize(
    ("changes", "resources", "num", "device"),
    [
        ({}, {"CPU": 8}, 8, "cpu"),
        ({"cpus_per_trial": 3}, {"CPU": 8}, 2, "cpu"),
        ({}, {"CPU": 8, "GPU": 2}, 2, "cuda"),
        ({"gpus_per_trial": 0.25}, {"CPU": 8, "GPU": 1}, 4, "cuda"),
        ({"gpus_per_trial": 0}, {"CPU": 8, "GPU": 2}, 8, "cpu"),
        ({"max_concurrent_trials": 3}, {"CPU": 8}, 3, "cpu"),
        ({"max_concurrent_trials": 100}, {"CPU": 8}, 100, "cpu"),
        ({"device": "cpu"}, {"CPU": 8, "GPU": 2}, 8, "cpu"),
        ({"device": "cpu", "gpus_per_trial": 0}, {"CPU": 8, "GPU": 2}, 8, "cpu"),
        ({"device": "mps"}, {"CPU": 8}, 8, "mps"),
        ({"device": "cuda"}, {"CPU": 8, "GPU": 2}, 2, "cuda"),
        ({"device": "cuda", "gpus_per_trial": 0.5}, {"CPU": 8, "GPU": 2}, 4, "cuda"),
        ({"gpus_per_trial": "auto"}, {"CPU": 8, "GPU": 2}, 16, "cuda"),
        ({"gpus_per_trial": "auto"}, {"CPU": 8}, 8, "cpu"),
        ({"gpus_per_trial": "auto", "max_concurrent_trials": 6}, {"CPU": 8}, 6, "cuda"),
    ],
    ids=[
        "cpus",
        "wide",
        "a gpu each",
        "a share",
        "no gpu",
        "fewer",
        "to grow to",
        "cpu beside gpus",
        "cpu and no gpu",
        "mps",
        "cuda",
        "cuda at a share",
        "auto",
        "auto without gpus",
        "auto before gpus",
    ],
)
def test_a_study_gets_the_slots_that_the_cluster_has_room_for(
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    resources: dict[str, float],
    num: int,
    device: str,
) -> None:
    slots = _slots(monkeypatch, _options(**changes), **resources)
    assert (slots.num, slots.runtime.compute.device) == (num, device)


@pytest.mark.parametrize(
    ("changes", "compute"),
    [
        ({}, Compute()),
        ({"device": "mps"}, Compute(device="mps")),
        ({"precision": "bfloat16"}, Compute(precision="bfloat16")),
        ({"channels_last": True}, Compute(channels_last=True)),
        ({"channels_last": False}, Compute(channels_last=False)),
        ({"compilation": "default"}, Compute(compilation="default")),
        (
            {"precision": "bfloat16", "channels_last": True, "compilation": "default"},
            Compute(precision="bfloat16", channels_last=True, compilation="default"),
        ),
    ],
    ids=["default", "device", "precision", "channels-last", "usual layout", "compile", "all"],
)
def test_a_trial_is_told_how_to_compute(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], compute: Compute
) -> None:
    assert _slots(monkeypatch, _options(**changes), CPU=2).runtime.compute == compute


def test_cuda_graphs_are_taken_where_a_trial_gets_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    slots = _slots(monkeypatch, _options(compilation="cuda-graphs"), CPU=2, GPU=1)
    assert slots.runtime.compute == Compute(device="cuda", compilation="cuda-graphs")


def test_cuda_graphs_are_refused_where_the_cluster_has_no_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigError, match="--compile is cuda-graphs, but the device is cpu"):
        _slots(monkeypatch, _options(compilation="cuda-graphs"), CPU=2)


@pytest.mark.parametrize(
    ("changes", "resources", "num_gpus"),
    [
        ({"device": "cuda"}, {"CPU": 8}, 0),
        ({"device": "cuda", "gpus_per_trial": 0}, {"CPU": 8, "GPU": 2}, 2),
        ({"device": "cuda", "max_concurrent_trials": 4}, {"CPU": 8}, 0),
    ],
    ids=["cuda", "none a trial", "a cluster to grow"],
)
def test_cuda_is_refused_where_a_trial_gets_no_gpu(
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    resources: dict[str, float],
    num_gpus: int,
) -> None:
    message = (
        f"--device is {changes['device']}, but a trial gets no GPU: the cluster has {num_gpus}; "
        "name a share of one with --gpus-per-trial"
    )
    with pytest.raises(ConfigError, match=message):
        _slots(monkeypatch, _options(**changes), **resources)


@pytest.mark.parametrize(
    ("changes", "resources", "threads"),
    [
        ({}, {"CPU": 8}, 1),
        ({}, {"CPU": 8, "GPU": 2}, 4),
        ({}, {"CPU": 8, "GPU": 3}, 2),
        ({"gpus_per_trial": 2}, {"CPU": 8, "GPU": 2}, 8),
        ({"gpus_per_trial": 0.5}, {"CPU": 8, "GPU": 2}, 2),
        ({"gpus_per_trial": 0.3333}, {"CPU": 12, "GPU": 1}, 4),
        ({"gpus_per_trial": 0.1}, {"CPU": 8, "GPU": 1}, 1),
        ({"gpus_per_trial": 0}, {"CPU": 8, "GPU": 2}, 1),
        ({"cpus_per_trial": 3}, {"CPU": 8, "GPU": 2}, 3),
        ({"gpus_per_trial": 1, "max_concurrent_trials": 4}, {"CPU": 8}, 1),
    ],
)
def test_trials_share_the_cores_of_a_node_with_gpus(
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    resources: dict[str, float],
    threads: int,
) -> None:
    assert _slots(monkeypatch, _options(**changes), **resources).runtime.num_threads == threads


def test_a_trial_uses_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    options = _options(cpus_per_trial=2, gpus_per_trial=0.5)
    slots = _slots(monkeypatch, options, CPU=8, GPU=1)
    assert (slots.runtime.num_threads, slots.runtime.gpus) == (2, 0.5)


@pytest.mark.parametrize(
    ("changes", "resources"),
    [
        ({"cpus_per_trial": 9}, {"CPU": 8}),
        ({"gpus_per_trial": 1}, {"CPU": 8}),
        ({"gpus_per_trial": 2}, {"CPU": 8, "GPU": 1}),
    ],
    ids=["cpus", "no gpu", "too few gpus"],
)
def test_a_trial_that_fits_nowhere_is_refused(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], resources: dict[str, float]
) -> None:
    with pytest.raises(ConfigError, match=r"a trial asks for .* but the cluster has 8 and"):
        _slots(monkeypatch, _options(**changes), **resources)


def test_an_address_that_cannot_be_joined_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        pytest.fail("Ray was asked to join")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setattr("agad.executor.joining._ANSWER_S", 0.5)
    with (
        pytest.raises(
            ConfigError, match=r"--address is 127\.0\.0\.1:1, but no Ray .* listens there"
        ),
        connected(_options(address="127.0.0.1:1")),
    ):
        pass
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with (
            pytest.raises(
                ConfigError, match=rf"--address is {address}, .* does not answer as a Ray head"
            ),
            connected(_options(address=address)),
        ):
            pass


@pytest.fixture
def two_cores_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Ray yet; one that is started has two cores."""
    has = {"CPU": 2.0}
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(ray, "cluster_resources", lambda: has)
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": has}])


@pytest.mark.usefixtures("two_cores_here")
@pytest.mark.parametrize("changes", [{"cpus_per_trial": 64}, {"gpus_per_trial": 0.5}])
def test_a_ray_that_is_started_here_never_grows(changes: dict[str, Any]) -> None:
    with (
        pytest.raises(ConfigError, match=r"no node has room for one; ask for less\.$"),
        connected(_options(max_concurrent_trials=2, **changes)),
    ):
        pass


@pytest.mark.usefixtures("two_cores_here")
def test_a_ray_that_is_started_here_without_a_gpu_learns_no_share_of_one() -> None:
    with connected(_options(max_concurrent_trials=2, gpus_per_trial="auto")) as slots:
        assert (slots.num, slots.learns, slots.runtime.compute.device) == (2, False, "cpu")


def test_room_is_counted_node_by_node(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"Alive": True, "Resources": {"CPU": 6.0}}
    dead = {"Alive": False, "Resources": {"CPU": 64.0}}
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 12.0})
    monkeypatch.setattr(ray, "nodes", lambda: [small, small, dead])
    with connected(_options(cpus_per_trial=4, store="s3://bucket")) as slots:
        assert slots.num == 2
    with (
        pytest.raises(ConfigError, match=r"a trial asks for 8 CPUs .* no node has room"),
        connected(_options(cpus_per_trial=8, store="s3://bucket")),
    ):
        pass


def _nodes(monkeypatch: pytest.MonkeyPatch, *are_alive: bool) -> None:
    nodes = [{"Alive": is_alive, "Resources": {"CPU": 2.0}} for is_alive in are_alive]
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0 * sum(are_alive)})
    monkeypatch.setattr(ray, "nodes", lambda: nodes)


@pytest.mark.parametrize("store", ["/some/store", "file:///some/store", "~/store"])
def test_a_folder_is_no_store_of_several_nodes(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    _nodes(monkeypatch, True, True, False, True)
    with (
        pytest.raises(
            ConfigError,
            match=rf"--store is the folder {store}, but the cluster has 3 nodes, .*--shared-store",
        ),
        connected(_options(store=store)),
    ):
        pass


@pytest.mark.parametrize(
    ("changes", "are_alive"),
    [
        ({"is_shared": True}, (True, True)),
        ({"store": "s3://bucket/prefix"}, (True, True)),
        ({}, (True, False)),
    ],
    ids=["shared", "s3", "one node alive"],
)
def test_a_store_that_all_nodes_reach_is_taken(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], are_alive: tuple[bool, ...]
) -> None:
    _nodes(monkeypatch, *are_alive)
    with connected(_options(**changes)) as slots:
        assert slots.num == 2 * sum(are_alive)


def test_a_trial_is_told_its_store_and_its_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    slots = _slots(monkeypatch, _options(), CPU=2)
    assert (slots.runtime.store, slots.runtime.cache) == ("/nowhere/store", CACHE)


def test_a_share_of_several_gpus_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--gpus-per-trial is 1\.5, but must be a share of one"):
        _options(gpus_per_trial=1.5)
