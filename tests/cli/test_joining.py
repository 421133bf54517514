"""Every way into a running Ray: with its token, without one, and where a node lacks agad."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli import heads

pytestmark = pytest.mark.cluster

AGAD = [sys.executable, "-m", "agad"]
STUDY = '''"""Which learning rate?"""

from agad import Agad, Asha, Confirm, Grid, LogUniform, Search, Study, main

STUDY = Study(
    name="joins",
    cells=Grid(dataset="digits", normal_class=0),
    detector=Agad(base_width=2, discriminator_width=4, batch_size=32, min_batch_anomalies=16),
    search=Search(space={"lr": LogUniform(1e-4, 5e-3)}, trials_per_cell=2),
    scheduler=Asha(max_epochs=1, grace_period=1, reduction_factor=2),
    confirm=Confirm(seeds=1),
)

if __name__ == "__main__":
    main(STUDY)
'''
START = """\
import sys

import agad

try:
    print(agad.start(sys.argv[1], address=sys.argv[2], gpus_per_trial=0).wait())
except agad.AgadError as error:
    sys.exit(f"agad: {error}")
"""
BLOCK = """\
import os
import sys


class Block:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ.get("AGAD_TEST_BLOCKED"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Block())
"""


_TROUBLES: dict[str, tuple[dict[str, str], str]] = {
    "none": ({}, "asks for a token, but none is known here. Ray reads RAY_AUTH_TOKEN, then"),
    "wrong": (
        {"RAY_AUTH_TOKEN": "0" * 64},
        "refuses the token that is known here; the cluster may be",
    ),
    "disabled": (
        {"RAY_AUTH_MODE": "disabled"},
        "asks for a token, but RAY_AUTH_MODE is disabled here",
    ),
}
"""What is set, and what is said of it."""


@pytest.fixture(scope="module")
def head() -> Iterator[dict[str, str]]:
    """A head that promises a GPU, which torch does not see."""
    with heads.ray_head("--num-gpus=1") as variables:
        yield variables


def study_file(folder: Path) -> str:
    path = folder / "joins.py"
    path.write_text(STUDY)
    (folder / "start.py").write_text(START)
    return str(path)


def command(way: str, folder: Path, address: str) -> list[str]:
    file, at = study_file(folder), f"--address={address}"
    return {
        "run": [*AGAD, "run", file, at, "--gpus-per-trial=0"],
        "file": [sys.executable, file, at, "--gpus-per-trial=0"],
        "start": [sys.executable, str(folder / "start.py"), file, address],
        "doctor": [*AGAD, "doctor", at],
        "drain-watch": [*AGAD, "drain-watch", "--cloud=kubernetes", "--within=1", at],
    }[way]


def ended(
    words: list[str], folder: Path, head: dict[str, str], **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run a command with a home and a store of its own, and of Ray's variables these alone."""
    kept = {name: value for name, value in head.items() if not name.startswith("RAY_")}
    places = {"HOME": str(folder), "AGAD_STORE": str(folder / "store")}
    return subprocess.run(
        words,
        env=kept | places | settings,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.parametrize(
    "way", ["run", *(pytest.param(way, marks=pytest.mark.nightly) for way in ("file", "start"))]
)
def test_a_study_joins_by_the_token_file_of_its_user(
    head: dict[str, str], tmp_path: Path, way: str
) -> None:
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray/auth_token").write_text(head["RAY_AUTH_TOKEN"])
    done = ended(command(way, tmp_path, head["AGAD_TEST_GCS"]), tmp_path, head)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("way", "trouble"),
    [
        *(("run", trouble) for trouble in _TROUBLES),
        *((way, "wrong") for way in ("start", "doctor")),
        *(
            pytest.param(way, trouble, marks=pytest.mark.nightly)
            for way in ("file", "start", "doctor", "drain-watch")
            for trouble in _TROUBLES
            if (way, trouble) not in {("start", "wrong"), ("doctor", "wrong")}
        ),
    ],
)
def test_a_token_that_does_not_do_is_one_line(
    head: dict[str, str], tmp_path: Path, way: str, trouble: str
) -> None:
    settings, message = _TROUBLES[trouble]
    done = ended(command(way, tmp_path, head["AGAD_TEST_GCS"]), tmp_path, head, **settings)
    assert done.returncode == (1 if way == "start" else 2)
    (line,) = done.stderr.splitlines()
    assert message in line


@pytest.fixture(scope="module")
def open_head() -> Iterator[dict[str, str]]:
    """A head that was started without a token."""
    with heads.ray_head(auth="disabled") as variables:
        yield variables


JOIN = """\
import sys

import ray

from agad.errors import ConfigError
from agad.executor.tune import ClusterOptions
from agad.executor.tune.cluster_options import connected


@ray.remote
class Worker:
    def answer(self):
        return "a worker answers"


try:
    with connected(ClusterOptions(store="s3://none/at-all", address=sys.argv[1])):
        print(ray.get(Worker.remote().answer.remote(), timeout=60))
except ConfigError as error:
    sys.exit(f"agad: {error}")
"""


@pytest.mark.parametrize(
    ("mode", "outcome"),
    [
        ({}, "a worker answers"),
        (
            {"RAY_AUTH_MODE": "token"},
            "was started without a token, but RAY_AUTH_MODE is token here; unset RAY_AUTH_MODE",
        ),
    ],
    ids=["no-mode", "token"],
)
def test_who_has_a_token_joins_a_cluster_without_one_unless_the_mode_asks_for_it(
    open_head: dict[str, str], tmp_path: Path, mode: dict[str, str], outcome: str
) -> None:
    words = [sys.executable, "-c", JOIN, open_head["AGAD_TEST_GCS"]]
    done = ended(words, tmp_path, open_head, RAY_AUTH_TOKEN="0" * 64, **mode)
    (line,) = (done.stdout + done.stderr).splitlines()
    assert outcome in line
    assert done.returncode == bool(mode)


@pytest.mark.nightly
def test_a_study_with_a_token_runs_on_a_cluster_without_one(
    open_head: dict[str, str], tmp_path: Path
) -> None:
    words = command("run", tmp_path, open_head["AGAD_TEST_GCS"])
    done = ended(words, tmp_path, open_head, RAY_AUTH_TOKEN="0" * 64)
    assert (done.returncode, done.stderr) == (0, "")


def test_doctor_without_an_address_that_meets_another_users_ray_is_one_line(
    head: dict[str, str], tmp_path: Path
) -> None:
    place = {"RAY_ADDRESS": head["AGAD_TEST_GCS"], "RAY_AUTH_TOKEN": "0" * 64}
    done = ended([*AGAD, "doctor"], tmp_path, head, **place)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "the cluster may be another user's" in line


def test_a_gpu_that_torch_does_not_see_ends_the_study_at_the_first_trial(
    head: dict[str, str], tmp_path: Path
) -> None:
    words = [*AGAD, "run", study_file(tmp_path), f"--address={head['AGAD_TEST_GCS']}"]
    done = ended(words, tmp_path, head, RAY_AUTH_TOKEN=head["RAY_AUTH_TOKEN"])
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "--device is cuda, but this machine has no cuda device" in line
    assert list((tmp_path / "store").glob("joins/trials/*/*")) == []


@pytest.mark.parametrize("missing", [pytest.param("rich", marks=pytest.mark.nightly), "agad"])
def test_a_head_whose_python_has_no_agad_is_one_line(tmp_path: Path, missing: str) -> None:
    (tmp_path / "block").mkdir()
    (tmp_path / "block/sitecustomize.py").write_text(BLOCK)
    project = tmp_path / "project"
    project.mkdir()
    file = study_file(project)
    root = Path(__file__).parents[2]
    blocked = {"AGAD_TEST_BLOCKED": missing, "PYTHONPATH": f"{tmp_path / 'block'}:{root}"}
    with heads.ray_head(**blocked) as variables:
        here = variables | {"PYTHONPATH": str(root)}
        token = {"RAY_AUTH_TOKEN": variables["RAY_AUTH_TOKEN"]}
        address = f"--address={variables['AGAD_TEST_GCS']}"
        ran = ended([*AGAD, "run", file, address], tmp_path, here, **token)
        url = f"--address={variables['RAY_API_SERVER_ADDRESS']}"
        job = [*AGAD, "submit", file, f"--project={project}", f"--store={tmp_path / 's'}", url]
        submitted = ended(job, tmp_path, here, **token)
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert f"cannot import agad (No module named '{missing}'" in line
    assert "install this version in the Python that runs 'ray start' there" in line
    assert submitted.returncode == 1
    assert "Traceback" not in submitted.stdout + submitted.stderr
    last = submitted.stderr.splitlines()[-1]
    assert last.startswith("agad: joins-1 failed;")
    assert "the Python that runs 'ray start'" in last.replace("The", "the")
