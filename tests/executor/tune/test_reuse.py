"""The fifth trial of a worker equals the same trial in a fresh process, bit for bit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import ray.tune.trainable.trainable
import torch

from agad.config import Asha, Confirm, Grid, LogUniform, Search, Study
from agad.data import PARTS, Library, NodeCache, open_images
from agad.detectors import Agad
from agad.detectors.agad.training import AgadDetector
from agad.errors import GpuMemoryError
from agad.executor.tune.worker import Objective, Order
from agad.objects import open_objects
from agad.study.cell_data import find_cell_data
from agad.study.running import Launch
from agad.trial import CheckpointPlan, EpochResult, Runtime, TrialSpec, train_trial

if TYPE_CHECKING:
    from agad.data import Manifest

STUDY = Study(
    name="reuse",
    cells=Grid(dataset="digits", normal_class=8, anomaly_ratio=0.1),
    detector=Agad(base_width=4, discriminator_width=4, batch_size=32, min_batch_anomalies=16),
    search=Search(space={"lr": LogUniform(1e-4, 5e-3)}, trials_per_cell=2),
    scheduler=Asha(max_epochs=3, grace_period=1, reduction_factor=3),
    confirm=Confirm(seeds=1),
)

_FRESH = """
import sys
from pathlib import Path
from tests.executor.tune import test_reuse
test_reuse.print_results(*sys.argv[1:])
"""


def _order(library: Library, cache: NodeCache, store: str) -> Order:
    """Return the trial that is compared: confirmed, with a model, pictures and test scores."""
    (cell_data,) = find_cell_data(STUDY, library).values()
    spec = cell_data.spec("confirm", 0, {"lr": 0.001})
    runtime = Runtime(
        store=store,
        cache=cache,
        models="reuse/models",
        pictures="reuse/pictures",
        checkpoints=CheckpointPlan(prefix="reuse/checkpoints", milestones=(1,)),
    )
    launch = Launch(spec=spec, attempt=0)
    return Order(launch=launch, runtime=runtime, train=train_trial, scheduler=STUDY.scheduler)


def _results(objective: Objective, order: Order) -> dict[str, Any]:
    """Return every number that the trial gives, and every byte that it keeps."""
    steps: list[dict[str, Any]] = []
    while not steps or not steps[-1]["done"]:
        steps.append(objective.step())
    results: list[EpochResult] = [one for step in steps for one in step["progress"].epochs]
    test = results[-1].test
    assert test is not None
    objects = open_objects(order.runtime.store)
    (model,) = objects.list("reuse/models/")
    return {
        "epochs": [[one.epoch, one.objective.hex(), _hex(one.losses)] for one in results],
        "test": [test.auroc.hex(), test.average_precision.hex(), test.scores.tobytes().hex()],
        "model": objects.get(model).hex(),
        "pictures": [objects.get(key).hex() for key in objects.list("reuse/pictures/")],
    }


def _hex(losses: dict[str, float]) -> dict[str, str]:
    return {name: value.hex() for name, value in losses.items()}


def print_results(library_uri: str, cache_folder: str, store: str, log_folder: str) -> None:
    """Train the trial first thing in this process, and print what it gave."""
    pytest.MonkeyPatch().setattr(ray.tune.trainable.trainable, "DEFAULT_STORAGE_PATH", log_folder)
    order = _order(Library(open_objects(library_uri)), NodeCache(folder=cache_folder), store)
    results = _results(Objective(config={"order": order}), order)
    sys.stdout.write(json.dumps(results))


def _exceeds_memory(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    """Run out of memory in the middle of a step of the second epoch."""

    def exceed(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")

    epochs = train_trial(spec, runtime)
    yield next(epochs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AgadDetector, "update", exceed)
        yield from epochs


def _others(last: Order) -> list[Order]:
    """Return a trial of other settings, one that diverges, one without memory, one cut short."""
    spec, runtime = last.launch.spec, last.runtime
    naive = replace(STUDY.detector, backbone="naive", base_width=2, lr=0.01)
    assert isinstance(naive, Agad)
    settings = replace(
        runtime.compute, precision="bfloat16", compilation="default", channels_last=False
    )
    specs = (
        replace(spec, phase="search", detector=naive, seed=5, max_epochs=1),
        replace(spec, phase="search", detector=replace(spec.detector, lr=1e30), seed=6),
        replace(spec, phase="search", seed=7),
        replace(spec, phase="search", seed=8, max_epochs=9),
    )
    runtimes = (replace(runtime, compute=settings, num_threads=2), runtime, runtime, runtime)
    trains = (train_trial, train_trial, _exceeds_memory, train_trial)
    return [
        replace(last, launch=Launch(spec=one, attempt=0), runtime=run_on, train=train)
        for one, run_on, train in zip(specs, runtimes, trains, strict=True)
    ]


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.usefixtures("one_thread")
@pytest.mark.filterwarnings("ignore")  # Torch's compiler warns of torch's own code.
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles with g++, which is absent")
def test_the_fifth_trial_of_a_worker_equals_the_same_trial_in_a_fresh_process(
    digits: Manifest,
    digits_library: Library,
    session_cache: NodeCache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for part in PARTS:  # The stores of this test hold no data set.
        open_images(digits, part, store=digits_library.uri, cache=session_cache)
    monkeypatch.setattr(ray.tune.trainable.trainable, "DEFAULT_STORAGE_PATH", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    last = _order(digits_library, session_cache, str(tmp_path / "used"))
    other, diverging, exceeding, stopped = _others(last)

    used = Objective(config={"order": other})
    assert used.step()["done"]
    used.reset_config({"order": diverging})
    assert "epoch 0" in used.step()["progress"].diverged
    used.reset_config({"order": exceeding})
    used.step()
    with pytest.raises(GpuMemoryError, match="does not fit the memory of cpu"):
        used.step()
    used.reset_config({"order": stopped})
    assert not used.step()["done"]
    used.reset_config({"order": last})
    results = _results(used, last)

    places = (digits_library.uri, session_cache.folder, tmp_path / "fresh", tmp_path)
    fresh = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FRESH, *map(str, places)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert fresh.returncode == 0, fresh.stderr
    assert json.loads(fresh.stdout) == results
    assert len(results["epochs"]) == 3
    assert len(results["pictures"]) == 16
    assert len(np.frombuffer(bytes.fromhex(results["test"][2]), np.float32)) > 100
