"""A study started in each way, interrupted, and started again: the same trials, none twice."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agad.data import Library
from agad.objects import open_objects
from agad.store import StudyReader
from tests.cli.heads import environment

pytestmark = pytest.mark.cluster

STUDY = '''"""Does the way in change a trial?"""

from agad import Agad, Asha, Confirm, Grid, LogUniform, Search, Study, main

STUDY = Study(
    name="ways-in",
    cells=Grid(dataset="digits", normal_class=0),
    detector=Agad(base_width=2, discriminator_width=4, batch_size=32, min_batch_anomalies=16),
    search=Search(space={"lr": LogUniform(1e-4, 5e-3)}, trials_per_cell=TRIALS),
    scheduler=Asha(max_epochs=4, grace_period=1, reduction_factor=2),
    confirm=Confirm(seeds=1),
)

if __name__ == "__main__":
    main(STUDY)
'''
SERIAL = "--max-concurrent-trials=1"
BIN = Path(sys.executable).parent


def write_study(folder: Path, trials: int) -> Path:
    path = folder / "ways_in.py"
    path.write_text(STUDY.replace("TRIALS", str(trials)))
    return path


def trial_keys(store: Path) -> list[str]:
    rows = StudyReader(open_objects(str(store)), "ways-in").trials()
    return [row.trial_key for row in rows]


@pytest.mark.nightly
def test_three_ways_in_run_the_same_trials(tmp_path: Path, ray_head: dict[str, str]) -> None:
    path = write_study(tmp_path, trials=3)
    commands = {
        "python": [sys.executable, path.name],
        "agad": [str(BIN / "agad"), "run", path.name],
        "job": ["ray", "job", "submit", "--working-dir=.", "--", "python", path.name],
    }
    keys = {}
    for way, command in commands.items():
        store = tmp_path.with_name(f"{tmp_path.name}-{way}")  # Outside what the job uploads.
        done = subprocess.run(
            [*command, f"--store={store}", SERIAL],
            cwd=tmp_path,
            env=ray_head if way == "job" else environment(store),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Study ways-in" in done.stdout
        assert "(n=1)" in done.stdout
        keys[way] = trial_keys(store)
    assert len(keys["python"]) == 4
    assert keys["python"] == keys["agad"] == keys["job"]


@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(signal.SIGINT, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.nightly),
    ],
)
def test_an_interrupted_study_ends_within_10_s_and_goes_on(
    tmp_path: Path, stop: signal.Signals
) -> None:
    command = [str(BIN / "agad"), "run", str(write_study(tmp_path, trials=8))]
    command += [f"--store={tmp_path / 'store'}"]
    with subprocess.Popen(
        command,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts these tests in the background has them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as running:
        while len(list((tmp_path / "store").glob("ways-in/trials/*/*.parquet"))) < 3:
            assert running.poll() is None, running.communicate()
            time.sleep(0.1)
        start = time.monotonic()
        running.send_signal(stop)
        _, errors = running.communicate(timeout=60)
        seconds = time.monotonic() - start
    assert running.returncode == 130
    assert errors.strip() == "agad: interrupted; run the same command again to go on."
    assert seconds < 10
    stored = trial_keys(tmp_path / "store")
    assert 3 <= len(stored) < 9

    done = subprocess.run(
        command,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    keys = trial_keys(tmp_path / "store")
    assert len(keys) == 9
    assert set(stored) <= set(keys)


def test_a_study_keeps_its_rows_in_s3(tmp_path: Path, s3_uri: str) -> None:
    command = [str(BIN / "agad"), "run", str(write_study(tmp_path, trials=2)), f"--store={s3_uri}"]
    for _ in range(2):
        done = subprocess.run(
            command,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert len(StudyReader(open_objects(s3_uri), "ways-in").trials()) == 3
    assert Library(open_objects(s3_uri)).names() == ["digits"]
    assert len(list((tmp_path / "cache").glob("*.arrow"))) == 2
    assert not (tmp_path / "default-store").exists()
