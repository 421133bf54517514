"""What Tune writes of its experiment, on a real local Ray."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.tune.execution.tune_controller import TuneController

from agad.config import Agad, Asha, Confirm, Grid, LogUniform, Search, Study
from agad.data import NodeCache
from agad.objects import open_objects
from agad.store import StudyStore
from agad.study import Where, run_study

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def local_ray() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_tunes_own_state_of_a_study_does_not_grow_with_its_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[dict[str, Any]] = []
    save: Any = TuneController.save_to_dir

    def save_and_read(controller: Any) -> None:  # noqa: ANN401
        save(controller)
        folder = Path(controller._storage.experiment_driver_staging_path)
        written.append(json.loads((folder / controller.experiment_state_file_name).read_text()))

    monkeypatch.setattr(TuneController, "save_to_dir", save_and_read)
    study = Study(
        name="snapshots",
        cells=Grid(dataset="digits", normal_class=0),
        detector=Agad(base_width=2, discriminator_width=4, batch_size=32, min_batch_anomalies=16),
        search=Search(space={"lr": LogUniform(1e-4, 5e-3)}, trials_per_cell=4),
        scheduler=Asha(max_epochs=2, grace_period=1, reduction_factor=2),
        confirm=Confirm(seeds=1),
    )
    where = Where(store=str(tmp_path / "store"), cache=NodeCache(folder=str(tmp_path / "cache")))
    store = StudyStore(open_objects(where.store), study.name)
    run_study(study, store, where)
    assert len(store.trials()) == 5
    assert written
    assert all(state["trial_data"] == [] for state in written)
    assert TuneController._get_trial_checkpoints.__name__ == "_get_trial_checkpoints"
