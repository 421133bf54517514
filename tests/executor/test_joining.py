"""What keeps Ray from starting, and a token that cannot be found, are one line each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agad.errors import ConfigError
from agad.executor.joining import telling_start_faults
from tests.cli.heads import environment

START = """\
from agad.errors import ConfigError
from agad.executor.tune import ClusterOptions
from agad.executor.tune.cluster_options import connected

try:
    with connected(ClusterOptions(store="/nowhere")):
        print("started")
except ConfigError as error:
    print(error)
"""

FIND = """\
from agad.errors import ConfigError
from agad.executor import find_token

try:
    print(find_token())
except ConfigError as error:
    print(error)
"""


def outcome(script: str, folder: Path, **settings: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    return line


@pytest.mark.parametrize(
    ("settings", "reason", "advice"),
    [
        ({"TMPDIR": "{folder}/" + "x" * 90}, "AF_UNIX path length", "set RAY_TMPDIR to a folder"),
        *(
            pytest.param(*case, marks=pytest.mark.nightly)
            for case in (
                ({"RAY_TMPDIR": "/proc/none"}, "No such file", "set RAY_TMPDIR to a folder that"),
                ({"RAY_TMPDIR": "{folder}/file"}, "Not a directory", "set RAY_TMPDIR to a folder"),
                ({"HOME": "/proc/none"}, "No such file", "set HOME to a folder that can be"),
                ({"HOME": "{folder}/file"}, "Not a directory", "set HOME to a folder that can be"),
            )
        ),
        (
            {"RAY_AUTH_TOKEN_PATH": "/nowhere/token"},
            "cannot be opened or is empty: /nowhere/token",
            "then the file at RAY_AUTH_TOKEN_PATH",
        ),
    ],
    ids=["long path", "no folder", "a file", "no home", "a file as home", "no token"],
)
def test_what_keeps_ray_from_starting_is_one_line_with_what_to_set(
    tmp_path: Path, settings: dict[str, str], reason: str, advice: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / ("x" * 90)).mkdir()
    (tmp_path / "home").mkdir()
    filled = {name: value.format(folder=tmp_path) for name, value in settings.items()}
    line = outcome(START, tmp_path, **filled)
    assert line.startswith("Ray cannot start on this machine (")
    assert reason in line
    assert advice in line


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "False"),
        ({"RAY_AUTH_TOKEN": "a" * 64}, "True"),
        ({"RAY_AUTH_TOKEN_PATH": "{folder}/token"}, "True"),
        ({"HOME": "{folder}/with-token"}, "True"),
        ({"RAY_AUTH_TOKEN": "a" * 64, "RAY_AUTH_MODE": "disabled"}, "False"),
        ({"RAY_AUTH_MODE": "tokens"}, "RAY_AUTH_MODE is 'tokens', but must be token or disabled."),
    ],
    ids=["none", "variable", "path", "home", "disabled", "unknown mode"],
)
def test_the_token_is_found_where_ray_looks(
    tmp_path: Path, settings: dict[str, str], expected: str
) -> None:
    for name in ("token", "with-token/.ray/auth_token"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("b" * 64)
    filled = {name: value.format(folder=tmp_path) for name, value in settings.items()}
    assert outcome(FIND, tmp_path, **filled) == expected


def test_an_unreadable_token_is_named(tmp_path: Path) -> None:
    line = outcome(FIND, tmp_path, RAY_AUTH_TOKEN_PATH="/nowhere/token")
    assert line.startswith("Ray's token cannot be read (RAY_AUTH_TOKEN_PATH is set but")


def test_a_start_that_takes_too_long_is_one_line() -> None:
    ray_says = "The current node timed out during startup. This could happen because some failed."
    with (
        pytest.raises(ConfigError, match="run the same command again when it is less so") as raised,
        telling_start_faults(),
    ):
        raise Exception(ray_says)  # As Ray does.
    assert str(raised.value).startswith(
        "Ray cannot start on this machine (The current node timed out during startup."
    )
