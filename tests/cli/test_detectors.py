"""``agad detectors``, and a detector of a user's own from its file to the scores of pictures."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pytest
from PIL import Image

from agad.config import Registered, parameter_docs, registered, registry
from agad.objects import open_objects
from agad.store import StudyReader
from tests.cli.heads import environment

if TYPE_CHECKING:
    from tests.cli.conftest import Ended, RunAgad

WriteDetector: TypeAlias = Callable[..., Path]

EXAMPLES = Path(__file__).parents[2] / "examples"
OWN = f"{EXAMPLES / 'my_detector.py'}:MyDetector"
BIN = Path(sys.executable).parent


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> Iterator[None]:  # noqa: ARG001
    """Forget the modules, the path and the detectors of a test after the test."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(registry, "_used", dict(registry._used))
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if not name.startswith(("agad", "tests")):
            file = getattr(sys.modules[name], "__file__", None) or ""
            if "pytest-" in file or str(EXAMPLES) in file:
                del sys.modules[name]


@pytest.fixture
def write_detector(tmp_path: Path) -> WriteDetector:
    """Write the example's detector, with one text in it replaced by another."""

    def write(old: str = "", new: str = "", *, name: str = "a_detector.py") -> Path:
        text = (EXAMPLES / "my_detector.py").read_text()
        assert old in text
        path = tmp_path / name
        path.write_text(text.replace(old, new) if old else text)
        return path

    return write


def assert_one_line(ended: Ended, message: str) -> None:
    assert (ended.code, ended.out) == (2, "")
    (line,) = ended.err.splitlines()
    assert line.startswith("agad: ")
    assert message in line


# The list, and one of it.


def test_every_registered_detector_is_listed(run_agad: RunAgad) -> None:
    ended = run_agad("detectors")
    assert (ended.code, ended.err) == (0, "")
    for name in registered():
        assert name in ended.out
    assert "pretrain 50, train 27" in ended.out
    assert "labels if there are any" in ended.out
    assert "Ruff et al., Deep One-Class Classification, ICML 2018." in ended.out
    assert "an object that moved is an anomaly to it." in ended.out


def test_a_plug_in_that_cannot_be_imported_is_listed_with_its_error(
    run_agad: RunAgad, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Registered(name="zany", target="no_such_package:Zany", provider="zany-detectors 1.2")
    with_broken = registered() | {"zany": broken}
    monkeypatch.setattr(registry, "registered", lambda: with_broken)
    ended = run_agad("detectors")
    assert (ended.code, ended.err) == (0, "")
    assert "pretrain 50, train 27" in ended.out
    assert "zany cannot be used: " in ended.out
    assert "of zany-detectors 1.2 cannot be used: no_such_package:Zany: No module" in ended.out


def test_one_detector_is_shown_with_what_each_parameter_means(run_agad: RunAgad) -> None:
    ended = run_agad("detectors", "pca")
    assert (ended.code, ended.err) == (0, "")
    assert "Detector pca, version 1, of agad" in ended.out
    assert "Uniform(low=0.5, high=0.99)" in ended.out
    assert "Share of the variance of the normal images" in ended.out
    assert "Given: nothing." in ended.out
    assert "NoStopping(max_epochs=1)" in ended.out


def test_a_detector_of_ones_own_is_shown(run_agad: RunAgad) -> None:
    ended = run_agad("detectors", OWN)
    assert (ended.code, ended.err) == (0, "")
    assert "Detector my-detector, version 1" in ended.out
    assert "Added to the standard deviation of each pixel, above 0." in ended.out


@pytest.mark.parametrize("name", registered())
def test_every_parameter_of_a_registered_detector_says_what_it_means(name: str) -> None:
    detector = registered()[name].load()
    assert list(parameter_docs(detector)) == [field.name for field in fields(detector)]


# Checks.


def test_the_example_passes_every_check(run_agad: RunAgad) -> None:
    ended = run_agad("detectors", "check", OWN)
    assert (ended.code, ended.err) == (0, "")
    *checks, last = ended.out.splitlines()
    assert {line.split()[-1] for line in checks} == {"ok"}
    assert last == f"{OWN}: all {len(checks)} checks passed."


def test_a_failed_check_says_what_to_do(run_agad: RunAgad, write_detector: WriteDetector) -> None:
    path = write_detector("score = forward", "score = lambda self, x: -self(x)")
    ended = run_agad("detectors", "check", f"{path}:MyDetector")
    assert (ended.code, ended.err) == (1, "")
    lines = ended.out.splitlines()
    (line,) = (line for line in lines if line.startswith("easy anomalies"))
    assert "a higher score must mean a more anomalous image" in line
    (line,) = (line for line in lines if line.startswith("saved model"))
    assert "both must be equal" in line
    assert lines[-1] == f"{path}:MyDetector: 2 checks failed."


def test_checks_without_a_meaning_are_left_out(
    run_agad: RunAgad, write_detector: WriteDetector
) -> None:
    path = write_detector("normals = torch.cat", "raise KeyError('loss_g')\n        torch.cat")
    ended = run_agad("detectors", "check", f"{path}:MyDetector")
    assert (ended.code, ended.err) == (1, "")
    *_, failed, left_out, last = ended.out.splitlines()
    assert failed.startswith("fit without anomalies")
    assert "KeyError: 'loss_g' (a_detector.py, line 50); mend that." in failed
    assert left_out == "14 checks left out: mend the last one first."
    assert last == f"{path}:MyDetector: 1 check failed."


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("my_detector.py", "must be MODULE_OR_FILE:CLASS"),
        ("nothing.py:MyDetector", "nothing.py is no file"),
        ("no_such_module:MyDetector", "No module named 'no_such_module'"),
        (f"{EXAMPLES / 'my_detector.py'}:Nothing", "has no attribute 'Nothing'"),
        (f"{EXAMPLES / 'my_detector.py'}:MyModel", "is no dataclass"),
        ("agad.config:BatchPlan", "BatchPlan lacks name, version"),
    ],
)
def test_a_wrong_target_is_one_line(run_agad: RunAgad, target: str, message: str) -> None:
    assert_one_line(run_agad("detectors", "check", target), message)


def test_wrong_words_are_one_line(run_agad: RunAgad) -> None:
    assert_one_line(run_agad("detectors", "check"), "the class to check is missing")
    assert_one_line(
        run_agad("detectors", "padim"), "must be one of: agad, deep-svdd, iforest, knn, knn-"
    )
    assert_one_line(run_agad("detectors", "pca", "agad"), "'agad' is given beside 'pca'")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("json.py", "another module has the name 'json'"),
        ("a-b.py", "cannot be imported under its name"),
    ],
)
def test_a_file_that_cannot_be_imported_under_its_name_is_refused(
    run_agad: RunAgad, write_detector: WriteDetector, name: str, message: str
) -> None:
    path = write_detector(name=name)
    assert_one_line(run_agad("detectors", "check", f"{path}:MyDetector"), message)


def test_a_file_that_ends_the_program_is_one_line(
    run_agad: RunAgad, write_detector: WriteDetector
) -> None:
    path = write_detector("import torch\n", "import torch\n\nraise SystemExit(7)\n")
    assert_one_line(run_agad("detectors", "check", f"{path}:MyDetector"), "SystemExit: 7")


def test_a_detector_with_the_name_of_another_is_refused(
    run_agad: RunAgad, write_detector: WriteDetector
) -> None:
    path = write_detector('"my-detector"', '"pca"')
    ended = run_agad("detectors", "check", f"{path}:MyDetector")
    assert_one_line(ended, "give your detector a name of its own")


# In a study.


@pytest.mark.parametrize(("name", "limit"), [("my_detector.py", 60), ("my_study.py", 40)])
def test_an_example_is_short(name: str, limit: int) -> None:
    assert len((EXAMPLES / name).read_text().splitlines()) < limit


@pytest.mark.parametrize(
    "command",
    [("export", "store", "--out", "out.model"), ("score", "my.model", "."), ("diagnose", "store")],
    ids=lambda command: command[0],
)
def test_a_wrong_detector_flag_is_one_line(run_agad: RunAgad, command: tuple[str, ...]) -> None:
    ended = run_agad(*command, "--detector=nothing.py:MyDetector")
    assert_one_line(ended, "nothing.py is no file, but must hold the detector's class")


def test_a_detector_that_is_written_in_the_study_is_refused_before_ray_starts(
    run_agad: RunAgad, write_detector: WriteDetector
) -> None:
    text = (EXAMPLES / "my_study.py").read_text().replace("from my_detector import MyDetector", "")
    path = write_detector(name="my_whole_study.py")
    path.write_text(path.read_text() + text)
    ended = run_agad("run", path)
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert "move the class to a file of its own beside the study" in line


def _run(command: list[str], folder: Path, variables: dict[str, str]) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.cluster
@pytest.mark.nightly
def test_ones_own_detector_from_a_study_to_the_scores_of_pictures(
    tmp_path: Path, run_agad: RunAgad
) -> None:
    study, variables = str(EXAMPLES / "my_study.py"), environment(tmp_path)
    agad, store = str(BIN / "agad"), f"--store={tmp_path / 'store'}"
    # The folder of the study is not the one that the command runs in.
    planned = _run([agad, "plan", study, "--measure", store], tmp_path, variables)
    assert "my-detector" in planned
    out = _run([agad, "run", study, "--reduced", store], tmp_path, variables)
    assert "Study my-study-reduced" in out
    rows = StudyReader(open_objects(str(tmp_path / "store")), "my-study-reduced").trials()
    assert {row.detector for row in rows} == {"my-detector", "pca"}
    assert {row.state for row in rows} == {"finished"}

    cell = next(row.cell for row in rows if row.detector == "my-detector")
    model = tmp_path / "my.model"
    export = ("export", tmp_path / "store", "--cell", cell, "--out", model)
    assert_one_line(run_agad(*export), "name the class of your own detector by --detector")
    command = [agad, *map(str, export), "--pt2", str(tmp_path / "my.pt2"), f"--detector={OWN}"]
    assert "Written: " in _run(command, tmp_path, variables)
    (tmp_path / "pictures").mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        pixels = rng.integers(0, 256, size=(8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{number}.png")
    score = [agad, "score", str(model), str(tmp_path / "pictures"), f"--detector={OWN}"]
    assert "of 3 pictures above the threshold" in _run(score, tmp_path, variables)


@pytest.mark.cluster
@pytest.mark.nightly
def test_the_workers_of_a_job_import_ones_own_detector(
    tmp_path: Path, ray_head: dict[str, str]
) -> None:
    (tmp_path / "project" / "examples").mkdir(parents=True)
    for path in EXAMPLES.glob("*.py"):
        (tmp_path / "project" / "examples" / path.name).write_text(path.read_text())
    store = tmp_path / "store"
    command = ["ray", "job", "submit", "--working-dir=.", "--", "python", "examples/my_study.py"]
    _run([*command, f"--store={store}", "--reduced"], tmp_path / "project", ray_head)
    rows = StudyReader(open_objects(str(store)), "my-study-reduced").trials()
    assert {row.detector for row in rows} == {"my-detector", "pca"}
    assert {row.state for row in rows} == {"finished"}
