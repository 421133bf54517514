"""A cluster whose GCS dies in the middle of a study, which another one finishes."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from agad.data import Library, find_manifest
from agad.objects import open_objects
from agad.store import StudyStore
from tests.clusterfiles import rays

STUDY = '''"""Does a study outlive its cluster?"""

from agad import Agad, Asha, Confirm, Grid, LogUniform, Search, Study

STUDY = Study(
    name="outlives",
    cells=Grid(dataset="digits", normal_class=0),
    detector=Agad(base_width=2, discriminator_width=4, batch_size=32, min_batch_anomalies=16),
    search=Search(space={"lr": LogUniform(1e-4, 5e-3)}, trials_per_cell=20),
    scheduler=Asha(max_epochs=30, grace_period=10, reduction_factor=3),
    confirm=Confirm(seeds=1),
)
'''


def _impatient(_address: str) -> dict[str, str]:
    return {"RAY_gcs_rpc_server_reconnect_timeout_s": "2"}


@pytest.mark.cluster
@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.timeout(500)
def test_a_study_whose_gcs_was_killed_is_finished_on_a_new_cluster_from_its_store(
    tmp_path: Path,
) -> None:
    study = tmp_path / "outlives.py"
    study.write_text(STUDY)
    uri = str(tmp_path / "store")
    find_manifest(Library(open_objects(uri)), "digits")
    store = StudyStore(open_objects(uri), "outlives")
    command = [str(rays.BIN / "agad"), "run", str(study), f"--store={uri}"]

    with rays.ray_head("--num-cpus=2", with_variables=_impatient) as first:
        driver = subprocess.Popen(
            [*command, f"--address={first.address}"], env=first.variables, stdout=subprocess.DEVNULL
        )
        rays.wait_until(lambda: bool(store.trials()), "a row")
        first.kill("gcs/gcs_server")
        assert driver.wait(90) != 0

    before = {row.trial_key: row for row in store.trials()}
    assert 1 <= len(before) < 21

    with rays.ray_head("--num-cpus=2") as second:
        rays.run([*command, f"--address={second.address}"], second, limit_s=300)

    after = {row.trial_key: row for row in store.trials()}
    assert Counter(row.phase for row in after.values()) == {"search": 20, "confirm": 1}
    assert {row.state for row in after.values()} <= {"finished", "pruned"}
    assert {key: after[key] for key in before} == before
    assert {claim.trial_key for claim in store.claims()} == set(after)
