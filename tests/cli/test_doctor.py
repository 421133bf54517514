"""A running cluster is looked over: what is well, and what is not."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli import heads

if TYPE_CHECKING:
    from tests.cli.conftest import RunAgad

BIN = Path(sys.executable).parent
CHECKS = {"store", "cache", "python", "agad", "ray", "torch", "clock"}
CHECKS |= {"authentication", "dashboard", "detectors"}


@pytest.fixture(scope="module")
def head() -> Iterator[dict[str, str]]:
    with heads.ray_head() as variables:
        yield variables


def examine(
    variables: dict[str, str], address: str, store: Path, *flags: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "agad"), "doctor", f"--address={address}", f"--store={store}", *flags],
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def levels_of(text: str) -> dict[str, set[str]]:
    levels: dict[str, set[str]] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) > 2 and words[0] in ("ok", "warning", "fault"):
            levels.setdefault(words[1], set()).add(words[0])
    return levels


@pytest.mark.cluster
@pytest.mark.parametrize("way", ["AGAD_TEST_GCS", "RAY_API_SERVER_ADDRESS"], ids=["ray", "job"])
def test_a_cluster_that_is_well_passes_every_check(
    head: dict[str, str], tmp_path: Path, way: str
) -> None:
    done = examine(head, head[way], tmp_path / "store")
    assert done.returncode == 0, done.stdout + done.stderr
    levels = levels_of(done.stdout)
    levels.pop("gpu", None)  # Of the machine that this runs on.
    assert levels == {check: {"ok"} for check in CHECKS}
    left = [path.name for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert [name.startswith("passed-") for name in left] == [True]


@pytest.mark.cluster
@pytest.mark.nightly
def test_what_is_wrong_with_a_cluster_is_a_fault_that_says_what_to_do(tmp_path: Path) -> None:
    store = tmp_path / "a-file"
    store.touch()
    with heads.ray_head("--num-gpus=99", auth="disabled") as variables:
        done = examine(variables, variables["AGAD_TEST_GCS"], store, f"--cache={store}/cache")
    assert done.returncode == 1, done.stdout + done.stderr
    levels = levels_of(done.stdout)
    assert {check for check, found in levels.items() if "fault" in found} == {
        "store",
        "cache",
        "gpu",
        "authentication",
    }
    assert "Ray counts 99 GPUs on " in done.stdout
    assert re.search(
        rf"on \S+ \(\w{{6}}\): {store}/cache cannot be written as uid \d+ \(Not a directory\)",
        done.stdout,
    )
    assert "set RAY_AUTH_MODE=token" in done.stdout


def test_a_cluster_that_is_not_there_is_one_clear_error(run_agad: RunAgad) -> None:
    ended = run_agad("doctor", "--address=http://127.0.0.1:1")
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert "the job server http://127.0.0.1:1 does not answer" in line
