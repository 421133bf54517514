"""A study whose trials pause and are promoted, on a real local Ray, interrupted once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from agad.config import Confirm, Grid, LogUniform, Search, Study, SuccessiveHalving
from agad.detectors import Agad
from agad.executor.tune import ClusterOptions, run_study
from agad.objects import open_objects
from agad.records import StudyStatus
from agad.store import StudyStore

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("shared_ray")]


@pytest.mark.nightly
def test_paused_trials_are_promoted_and_outlive_an_interrupted_driver(
    options: ClusterOptions, tmp_path: Path
) -> None:
    study = Study(
        name="halving",
        cells=Grid(dataset="digits", normal_class=0),
        detector=Agad(base_width=2, discriminator_width=4, batch_size=32, min_batch_anomalies=16),
        search=Search(space={"lr": LogUniform(1e-4, 5e-3)}, trials_per_cell=6),
        scheduler=SuccessiveHalving(max_epochs=4, grace_period=1, reduction_factor=2),
        confirm=Confirm(seeds=1),
    )
    store = StudyStore(open_objects(options.store), study.name, tmp_path / "spool")

    def interrupt(_: StudyStatus) -> None:
        if len(store.pauses({claim.trial_key for claim in store.claims()})) >= 3:
            raise KeyboardInterrupt

    # A notebook keeps an exception, and with it all that Tune holds of the interrupted experiment:
    # its workers must end nevertheless, or the second run would wait for their slots for ever.
    with pytest.raises(KeyboardInterrupt) as kept:
        run_study(study, store, options, watch=interrupt)
    store.flush()
    paused = store.pauses({claim.trial_key for claim in store.claims()})
    assert len(paused) >= 3

    run_study(study, store, options)

    assert kept.value.__traceback__ is not None
    rows = [row for row in store.trials() if row.phase == "search"]
    assert len(rows) == 6
    states = Counter(row.state for row in rows)
    assert states["finished"] >= 1
    assert states["finished"] + states["pruned"] == 6
    finished = next(row for row in rows if row.state == "finished")
    assert finished.epochs == 4
    assert finished.attempt >= 2
    seen = [row.epoch for row in store.epochs() if row.trial_key == finished.trial_key]
    assert seen == [0, 1, 2, 3]
    assert all(row.stop_reason.startswith("successive halving") for row in rows if row.epochs < 4)
    assert [row.phase for row in store.trials()].count("confirm") == 1
