"""Whatever is wrong is said on one line, with exit code 2, before Ray starts."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agad.objects import open_objects
from agad.store import list_studies

if TYPE_CHECKING:
    from tests.cli.conftest import Ended, FillStore, RunAgad, WriteStudy

ROOT = Path(__file__).parents[2]

IN_THE_FILE = {
    "data set": (
        'dataset="digits"',
        'dataset="imagenet"',
        "data set 'imagenet' is not in .*import it: agad data import imagenet --from PATH",
    ),
    "class": ("normal_class=0", "normal_class=10", "normal_class holds 10, .*classes 0 0, 1 1"),
    "class name": (
        "normal_class=0",
        'normal_class="cat"',
        "cells.normal_class holds 'cat', but digits has the classes",
    ),
    "no class": ("normal_class=0", "", "line 5: cells must have normal_class, .* or anomalous_cl"),
    "two protocols": (
        "normal_class=0",
        "normal_class=0, anomalous_class=1",
        "line 5: cells must have normal_class, .* one of them, not both",
    ),
    "labelled classes": (
        "normal_class=0",
        "normal_class=0, labelled_classes=(0, 1)",
        r"labelled_classes holds \(0, 1\), but must name anomalous classes alone",
    ),
    "pollution too high": (
        "normal_class=0",
        "normal_class=0, pollution_ratio=0.95",
        r"cell 'digits class=0 ratio=0 pollution=0\.95', seed 0: cells\.pollution_ratio is 0\.95",
    ),
    "ratio of 1": (
        "normal_class=0",
        "normal_class=0, anomaly_ratio=1.0",
        r"line 5: cells\.anomaly_ratio holds 1, but must be in \[0, 1\)",
    ),
    "ratio too high": (
        "normal_class=0",
        "normal_class=0, anomaly_ratio=0.95",
        r"anomaly_ratio is 0\.95.*use a ratio of at most",
    ),
    "detector": ("name=", 'detector="foo", name=', r"study\.detector is 'foo'.*Agad"),
    "import": (
        "import Grid",
        "import Grid, Nowhere",
        "line 1: ImportError: cannot import name 'Nowhere'",
    ),
    "backbone": (
        "Study(\n",
        'Study(detector=__import__("agad").Agad(backbone="vit"),\n',
        r"Agad\.backbone is 'vit'.*naive, unet, unet\+\+",
    ),
    "parameter": ('"lr"', '"learning_rate"', "'learning_rate' is no parameter of Agad.*lr"),
    "value in the space": ("LogUniform(1e-4, 1e-2)", "LogUniform(0, 1)", "low must be above 0"),
    "empty space": ('{"lr": LogUniform(1e-4, 1e-2)}', "{}", r"search\.space is empty"),
    "no trials": ("trials_per_cell=2", "trials_per_cell=0", "trials_per_cell is 0"),
    "name": ('"tiny"', '"../tiny"', r"study\.name is '\.\./tiny'"),
    "no study": ("STUDY =", "OTHER =", r"defines no study; give it a line STUDY = Study"),
    "no Study": ("STUDY = Study(", "STUDY = dict(", "defines no study"),
    "syntax": ('name="tiny",', 'name="tiny"', "line 4: SyntaxError:"),
    "any error": ("STUDY = ", "1 / 0\nSTUDY = ", "line 3: ZeroDivisionError: division by zero"),
    "argument": ("trials_per_cell", "trials", "TypeError:.*trials"),
}


def _assert_one_line(ended: Ended) -> None:
    assert ended.code == 2
    assert ended.err.startswith("agad: ")
    assert ended.err.endswith("\n")
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("name", IN_THE_FILE)
def test_what_is_wrong_in_a_study_file_is_said_on_one_line(
    run_agad: RunAgad, write_study: WriteStudy, command: str, name: str
) -> None:
    old, new, message = IN_THE_FILE[name]
    ended = run_agad(command, write_study(old, new))
    _assert_one_line(ended)
    assert re.search(message, ended.err)


@pytest.mark.parametrize("name", ["data set", "class", "ratio too high", "pollution too high"])
def test_a_study_that_does_not_fit_its_data_leaves_no_study_in_the_store(
    run_agad: RunAgad, write_study: WriteStudy, tmp_path: Path, name: str
) -> None:
    run_agad("run", write_study(*IN_THE_FILE[name][:2]))
    assert list_studies(open_objects(str(tmp_path / "store"))) == []


def test_the_line_of_an_error_is_named_for_a_relative_path_too(
    run_agad: RunAgad, write_study: WriteStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_study(*IN_THE_FILE["ratio of 1"][:2])
    monkeypatch.chdir(path.parent)
    ended = run_agad("run", path.name)
    assert ended.err.startswith("agad: a_study.py, line 5: cells.anomaly_ratio holds 1")


def test_an_error_of_several_lines_is_said_on_one(
    run_agad: RunAgad, write_study: WriteStudy
) -> None:
    path = write_study("STUDY = ", 'raise RuntimeError("first\\nsecond")\nSTUDY = ')
    ended = run_agad("run", path)
    _assert_one_line(ended)
    assert "RuntimeError: first second" in ended.err


@pytest.mark.parametrize("name", ["nothing.py", "folder.py", "study.txt"])
def test_a_path_that_is_no_python_file_is_refused(
    run_agad: RunAgad, tmp_path: Path, name: str
) -> None:
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "study.txt").write_text("STUDY = 1")
    ended = run_agad("run", tmp_path / name)
    _assert_one_line(ended)
    assert "must be an existing Python file (.py)" in ended.err


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("dataset", ["mnist", "my-photos"])
def test_a_missing_data_set_is_named_with_the_command_that_imports_it(
    run_agad: RunAgad, write_study: WriteStudy, tmp_path: Path, command: str, dataset: str
) -> None:
    store = tmp_path / "elsewhere"
    ended = run_agad(command, write_study('"digits"', f'"{dataset}"'), "--store", store)
    _assert_one_line(ended)
    assert f"data set '{dataset}' is not in {store}, which holds: none; " in ended.err
    assert f"agad data import {dataset} --from PATH --store {store}\n" in ended.err
    assert not store.exists()


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("size", ["0", "-1", "nan", "inf"])
def test_a_cache_that_can_hold_nothing_is_refused(
    run_agad: RunAgad, write_study: WriteStudy, command: str, size: str
) -> None:
    ended = run_agad(command, write_study(), "--cache-gib", size)
    _assert_one_line(ended)
    assert f"--cache-gib is {size}, but must be above 0 and finite." in ended.err


def test_a_cache_that_is_too_small_for_the_data_is_named(
    run_agad: RunAgad, write_study: WriteStudy, tmp_path: Path
) -> None:
    ended = run_agad("plan", write_study(), "--measure", "--cache-gib", "1e-6")
    _assert_one_line(ended)
    assert f"does not fit the cache {tmp_path / 'cache'} of 1e-06 GiB" in ended.err


def test_a_cache_that_is_a_file_is_refused(
    run_agad: RunAgad, write_study: WriteStudy, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    ended = run_agad("plan", write_study(), "--measure", "--cache", tmp_path / "file")
    _assert_one_line(ended)
    assert "name another folder with --cache" in ended.err


@pytest.mark.parametrize("store", ["ftp://x", "s3://", "http://bucket/x", "file://host/x"])
@pytest.mark.parametrize("command", ["run", "report"])
def test_a_store_of_another_kind_is_refused(
    run_agad: RunAgad, write_study: WriteStudy, command: str, store: str
) -> None:
    arguments = (write_study(), "--store", store) if command == "run" else (store,)
    ended = run_agad(command, *arguments)
    _assert_one_line(ended)
    assert f"store is {store!r}, but must be a folder" in ended.err


def test_a_store_that_is_a_file_is_refused(
    run_agad: RunAgad, write_study: WriteStudy, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    _assert_one_line(run_agad("run", write_study(), "--store", tmp_path / "file"))


@pytest.mark.usefixtures("aws_environment")
@pytest.mark.parametrize("command", ["run", "report"])
def test_an_s3_server_that_does_not_answer_is_named(
    run_agad: RunAgad,
    write_study: WriteStudy,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    store = "s3://bucket/prefix"
    arguments = (write_study(), "--store", store) if command == "run" else (store,)
    ended = run_agad(command, *arguments)
    _assert_one_line(ended)
    assert f"{store} cannot be reached at {endpoint}" in ended.err


def test_a_bucket_that_does_not_exist_is_named(
    run_agad: RunAgad,
    write_study: WriteStudy,
    aws_environment: None,  # noqa: ARG001
) -> None:
    ended = run_agad("run", write_study(), "--store", "s3://no-such-bucket-here/x")
    _assert_one_line(ended)
    assert "s3://no-such-bucket-here" in ended.err


@pytest.mark.parametrize(
    ("command", "flag", "value"),
    [
        ("run", "--cpus-per-trial", "0"),
        ("run", "--cpus-per-trial", "-1"),
        ("run", "--gpus-per-trial", "-0.5"),
        ("run", "--gpus-per-trial", "nan"),
        ("run", "--max-concurrent-trials", "0"),
        ("plan", "--cpus-per-trial", "0"),
        ("plan", "--cpus-per-trial", "-1"),
        ("plan", "--max-concurrent-trials", "0"),
        ("plan", "--max-concurrent-trials", "-2"),
    ],
)
def test_resources_that_no_trial_can_have_are_refused(
    run_agad: RunAgad, write_study: WriteStudy, command: str, flag: str, value: str
) -> None:
    ended = run_agad(command, write_study(), flag, value)
    _assert_one_line(ended)
    assert f"{flag} is {value}, but must be at least" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["run"],
        ["run", "a.py", "--trials", "3"],
        ["run", "a.py", "--data", "x"],
        ["run", "a.py", "--cache-gib", "much"],
        ["run", "a.py", "--cpus-per-trial", "many"],
        ["report", "--format", "html"],
    ],
    ids=[
        "none",
        "command",
        "no file",
        "flag",
        "flag of an earlier version",
        "no size",
        "no number",
        "report flag",
    ],
)
def test_a_wrong_flag_exits_with_2(run_agad: RunAgad, arguments: list[str]) -> None:
    ended = run_agad(*arguments)
    assert ended.code == 2
    assert ended.err.splitlines()[-1].startswith("agad")


def test_a_report_of_an_empty_store_says_so(run_agad: RunAgad, tmp_path: Path) -> None:
    ended = run_agad("report", tmp_path / "empty")
    _assert_one_line(ended)
    assert "holds no study; run one with --store, or name another" in ended.err


def test_a_report_of_an_unknown_study_names_the_known_ones(
    run_agad: RunAgad, fill_store: FillStore, tmp_path: Path
) -> None:
    ended = run_agad("report", fill_store(tmp_path / "filled"), "--study", "other")
    _assert_one_line(ended)
    assert "--study is 'other', but" in ended.err
    assert "holds: tiny." in ended.err


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder that holds one folder."""
    (tmp_path / "here" / "a-folder").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.mark.parametrize("flag", ["--md", "--csv"])
@pytest.mark.parametrize("name", ["no/such/folder/report", ".", "a-folder"])
def test_a_report_that_cannot_be_written_leaves_nothing_behind(
    run_agad: RunAgad, fill_store: FillStore, here: Path, flag: str, name: str
) -> None:
    ended = run_agad("report", fill_store(here.parent / "filled"), flag, name)
    _assert_one_line(ended)
    assert "cannot be written" in ended.err
    assert [path.name for path in here.iterdir()] == ["a-folder"]


def test_a_study_that_was_changed_is_refused_with_the_difference(
    run_agad: RunAgad, fill_store: FillStore, write_study: WriteStudy, tmp_path: Path
) -> None:
    fill_store(tmp_path / "store")
    ended = run_agad("run", write_study())
    _assert_one_line(ended)
    assert "study 'tiny' is stored already and was another one: cells.normal_class" in ended.err


def _run_script(path: Path) -> subprocess.CompletedProcess[str]:
    nowhere = str(path.parent / "nowhere")
    places = dict.fromkeys(("HOME", "AGAD_STORE", "AGAD_CACHE"), nowhere)
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | places
    return subprocess.run(
        [sys.executable, path.name],
        cwd=path.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_script_with_a_wrong_value_prints_one_line_and_exits_with_2(
    write_study: WriteStudy,
) -> None:
    done = _run_script(write_study(*IN_THE_FILE["ratio of 1"][:2]))
    assert done.returncode == 2
    assert re.fullmatch(
        r"agad: \S*a_study\.py, line 5: cells\.anomaly_ratio holds 1, .*\n", done.stderr
    )


def test_a_script_with_another_error_keeps_its_traceback(write_study: WriteStudy) -> None:
    done = _run_script(write_study("STUDY = ", "1 / 0\nSTUDY = "))
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_beginning_of_a_flag_is_no_flag(
    command: str, run_agad: RunAgad, write_study: WriteStudy
) -> None:
    ended = run_agad(command, write_study(), "--max-con", 2)
    assert ended.code == 2
    assert "unrecognized arguments: --max-con 2" in ended.err
