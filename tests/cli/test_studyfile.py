"""A study file is loaded under one name, wherever it lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agad.cli import load_study
from agad.errors import ConfigError

if TYPE_CHECKING:
    from tests.cli.conftest import WriteStudy


def test_load_study_returns_the_study_of_a_file(write_study: WriteStudy) -> None:
    assert load_study(write_study()).name == "tiny"


def test_load_study_reads_a_file_again(write_study: WriteStudy) -> None:
    load_study(write_study())
    # Of another size: Python trusts compiled code whose source has equal time and size.
    assert load_study(write_study('"tiny"', '"another-study"')).name == "another-study"


def test_load_study_loads_every_file_under_one_module_name(write_study: WriteStudy) -> None:
    path = write_study('"tiny"', "__name__.replace('_', '-')")
    assert load_study(path).name == "agad-study"


def test_load_study_does_not_run_what_is_for_a_script(write_study: WriteStudy) -> None:
    path = write_study("STUDY =", 'if __name__ == "__main__":\n    raise SystemExit(5)\nSTUDY =')
    assert load_study(path).name == "tiny"


@pytest.mark.parametrize("is_relative", [False, True], ids=["absolute", "relative"])
def test_load_study_names_the_line_of_the_file_that_is_wrong(
    write_study: WriteStudy, monkeypatch: pytest.MonkeyPatch, is_relative: bool
) -> None:
    path = write_study("trials_per_cell=2", "trials_per_cell=-2")
    monkeypatch.chdir(path.parent)
    with pytest.raises(ConfigError, match=r"a_study\.py, line 6: search\.trials_per_cell is -2"):
        load_study(Path(path.name) if is_relative else path)


@pytest.mark.parametrize("code", ["", "0", "3"], ids=["nothing", "0", "3"])
def test_load_study_refuses_a_file_that_ends_the_program(
    write_study: WriteStudy, code: str
) -> None:
    path = write_study("STUDY =", f"raise SystemExit({code})\nSTUDY =")
    with pytest.raises(ConfigError, match=r"a_study\.py, line 3: SystemExit"):
        load_study(path)


def test_load_study_names_the_line_of_a_syntax_error(write_study: WriteStudy) -> None:
    with pytest.raises(ConfigError, match=r"a_study\.py, line 4: SyntaxError:"):
        load_study(write_study('"tiny",', '"tiny"'))
