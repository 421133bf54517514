"""What Tune keeps of its experiment, on a real local Ray."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pytest
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial

from agad.config import Asha, Confirm, Grid, LogUniform, Search, Study
from agad.detectors import Agad
from agad.executor.tune import ClusterOptions, run_study
from agad.objects import open_objects
from agad.store import StudyStore

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("shared_ray")]


def test_tune_keeps_no_trial_that_ended(
    options: ClusterOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    written: list[dict[str, Any]] = []
    save: Any = TuneController.save_to_dir

    def save_and_read(controller: Any) -> None:  # noqa: ANN401
        save(controller)
        folder = Path(controller._storage.experiment_driver_staging_path)
        written.append(json.loads((folder / controller.experiment_state_file_name).read_text()))
        gc.collect()
        held.append(sum(isinstance(one, Trial) for one in gc.get_objects()))

    monkeypatch.setattr(TuneController, "save_to_dir", save_and_read)
    study = Study(
        name="forgetting",
        cells=Grid(dataset="digits", normal_class=0),
        detector=Agad(base_width=2, discriminator_width=4, batch_size=32, min_batch_anomalies=16),
        search=Search(space={"lr": LogUniform(1e-4, 5e-3)}, trials_per_cell=6),
        scheduler=Asha(max_epochs=2, grace_period=1, reduction_factor=2),
        confirm=Confirm(seeds=1),
    )
    store = StudyStore(open_objects(options.store), study.name)
    run_study(study, store, options)
    assert len(store.trials()) == 7
    assert len(written[-1]["trial_data"]) <= 4
    assert held[-1] <= 4
