"""A study whose cluster has no GPU until a trial waits for one, and none after the last."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from agad.objects import open_objects
from agad.store import StudyStore
from tests.clusterfiles import rays

HEAD_NODE = "f" * 51 + "00000"

PROVIDER = '''"""Ray's nodes that are processes; their own type is not in Ray's wheel whole."""

from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider


class LocalProvider(FakeMultiNodeProvider):
    pass
'''

DRIVER = '''"""Run a study, and write how many GPU nodes there were, and what trained where."""

import dataclasses
import json
import os
import sys
import threading
import time
from pathlib import Path

import ray
import torch

from agad import Agad, Asha, Confirm, Grid, LogUniform, Search, Study
from agad.data import Library, NodeCache, find_manifest
from agad.detectors.compute import Compute
from agad.executor.tune import ClusterOptions, run_study
from agad.objects import open_objects
from agad.store import StudyStore
from agad.trial import train_trial

folder, address = Path(sys.argv[1]), sys.argv[2]

STUDY = Study(
    name="scaled",
    cells=Grid(dataset="digits", normal_class=0),
    detector=Agad(base_width=2, discriminator_width=4, batch_size=32, min_batch_anomalies=16),
    search=Search(space={"lr": LogUniform(1e-4, 5e-3)}, trials_per_cell=8),
    scheduler=Asha(max_epochs=2, grace_period=1, reduction_factor=2),
    confirm=Confirm(seeds=1),
)


def on_a_gpu_that_is_not_there(spec, runtime):
    """Train on the CPU, slowly, and note the share of which GPU of which node it was given."""
    torch.cuda.get_device_name = lambda _: "a GPU that is not there"
    node, start_s = ray.get_runtime_context().get_node_id(), time.time()
    cpu = dataclasses.replace(runtime, compute=Compute(device="cpu"), gpus=0.0)
    for result in train_trial(spec, cpu):
        time.sleep(1.0)
        note = {
            "node": node,
            "gpu": os.environ["CUDA_VISIBLE_DEVICES"],
            "share": runtime.gpus,
            "start_s": start_s,
            "end_s": time.time(),
        }
        (folder / f"trained-{spec.phase}-{spec.number}.json").write_text(json.dumps(note))
        yield result


def num_gpu_nodes():
    return sum(node["Alive"] and node["Resources"].get("GPU", 0) > 0 for node in ray.nodes())


def watch():
    while True:
        counts.append(num_gpu_nodes())
        time.sleep(0.5)


find_manifest(Library(open_objects(str(folder / "store"))), "digits")
options = ClusterOptions(
    store=str(folder / "store"),
    cache=NodeCache(folder=str(folder / "cache")),
    is_shared=True,
    gpus_per_trial=0.5,
    max_concurrent_trials=4,
)
ray.init(address=address, log_to_driver=False)
counts = [num_gpu_nodes()]
threading.Thread(target=watch, daemon=True).start()
store = StudyStore(open_objects(options.store), STUDY.name)
run_study(STUDY, store, options, train=on_a_gpu_that_is_not_there)
counts.append(num_gpu_nodes())
end_s = time.monotonic() + 120
while num_gpu_nodes() and time.monotonic() < end_s:
    time.sleep(0.5)
(folder / "counts.json").write_text(json.dumps([*counts, num_gpu_nodes()]))
'''


@pytest.fixture
def autoscaled(tmp_path: Path) -> Iterator[rays.Head]:
    """A head without a slot, which may start 2 nodes of 1 GPU."""
    (tmp_path / "localprov.py").write_text(PROVIDER)
    config = tmp_path / "autoscaling.json"

    def variables(address: str) -> dict[str, str]:
        config.write_text(json.dumps(_autoscaling(address)))
        return {
            "RAY_FAKE_CLUSTER": "1",
            "RAY_enable_autoscaler_v2": "1",
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "RAY_CLOUD_INSTANCE_ID": HEAD_NODE,
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_NODE,
            "PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}",
        }

    flags = ("--num-cpus=0", "--num-gpus=0", f"--autoscaling-config={config}")
    with rays.ray_head(*flags, with_variables=variables) as head:
        yield head


def _autoscaling(address: str) -> dict[str, object]:
    node = {"node_config": {}, "min_workers": 0}
    return {
        "cluster_name": "scaled",
        "max_workers": 2,
        "idle_timeout_minutes": 0.1,
        "provider": {
            "type": "external",
            "module": "localprov.LocalProvider",
            "launch_multiple": True,
            "gcs_address": address,
            "head_node_id": HEAD_NODE,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "available_node_types": {
            "ray.head.default": node | {"resources": {"CPU": 0}, "max_workers": 0},
            "gpu": node | {"resources": {"CPU": 2, "GPU": 1}, "max_workers": 2},
        },
        "head_node_type": "ray.head.default",
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "rsync_exclude": [],
        "rsync_filter": [],
        "initialization_commands": [],
        "setup_commands": [],
        "head_setup_commands": [],
        "worker_setup_commands": [],
        "head_start_ray_commands": [],
        "worker_start_ray_commands": [],
        "auth": {},
    }


def _most_at_once(notes: list[dict[str, float]]) -> int:
    starts = [note["start_s"] for note in notes]
    return max(sum(note["start_s"] <= at < note["end_s"] for note in notes) for at in starts)


@pytest.mark.cluster
@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.timeout(500)
def test_gpu_nodes_come_for_waiting_trials_that_share_them_and_go_when_idle(
    autoscaled: rays.Head, tmp_path: Path
) -> None:
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER)
    rays.run([sys.executable, str(driver), str(tmp_path), autoscaled.address], autoscaled, 400)

    counts = json.loads((tmp_path / "counts.json").read_text())
    assert (counts[0], max(counts), counts[-1]) == (0, 2, 0)
    rows = StudyStore(open_objects(str(tmp_path / "store")), "scaled").trials()
    assert Counter(row.phase for row in rows) == {"search": 8, "confirm": 1}
    assert {row.attempt for row in rows} == {0}
    assert {row.state for row in rows} <= {"finished", "pruned"}
    notes = [json.loads(path.read_text()) for path in tmp_path.glob("trained-*.json")]
    assert {(note["gpu"], note["share"]) for note in notes} == {("0", 0.5)}
    assert len({note["node"] for note in notes}) == 2
    assert _most_at_once(notes) > 2  # More trials than GPUs.
