"""A user's own detectors: which they are, where their modules lie, whether a worker has them."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from agad.config import Candidate, DetectorConfig, Grid, Study, registry
from agad.detectors import Agad, DeepSvdd, Pca
from agad.errors import ConfigError
from agad.executor.tune.own_detectors import code_folders, import_error, own_detectors

OWN = """
from dataclasses import dataclass
from typing import ClassVar

from agad import Pca


@dataclass(frozen=True, kw_only=True)
class Own(Pca):
    name: ClassVar[str] = "own"
"""


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Import from the test's folder, and forget its modules and detectors after the test."""
    monkeypatch.setattr(registry, "_used", dict(registry._used))
    monkeypatch.syspath_prepend(tmp_path)


def import_own(monkeypatch: pytest.MonkeyPatch, file: Path, module: str) -> type[DetectorConfig]:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(OWN)
    importlib.invalidate_caches()
    found: type[DetectorConfig] = importlib.import_module(module).Own
    for name in (module, module.partition(".")[0]):
        monkeypatch.setitem(sys.modules, name, sys.modules[name])
    return found


def study_of(*detectors: DetectorConfig) -> Study:
    return Study(
        name="own",
        cells=Grid(dataset="digits", normal_class=0),
        detectors=[Candidate(one, space={}) for one in detectors],
    )


def test_a_detector_that_comes_with_agad_is_not_a_users_own() -> None:
    assert own_detectors(study_of(Agad(), Pca(), DeepSvdd())) == ()


def test_a_users_own_detector_is_imported_from_the_folder_of_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = import_own(monkeypatch, tmp_path / "own_file.py", "own_file")
    assert own_detectors(study_of(Pca(), own())) == (own,)
    assert code_folders([own]) == (str(tmp_path),)


def test_a_users_own_detector_is_imported_from_the_folder_of_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = import_own(monkeypatch, tmp_path / "own_package" / "inside.py", "own_package.inside")
    assert code_folders([own, own]) == (str(tmp_path),)


def test_an_installed_package_needs_no_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "site-packages"
    monkeypatch.syspath_prepend(folder)
    own = import_own(monkeypatch, folder / "own_installed.py", "own_installed")
    assert code_folders([own]) == ()


@pytest.mark.parametrize("module", ["__main__", "agad_study"])
def test_a_detector_that_is_written_in_the_study_is_refused(module: str) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Own(Pca):
        name: ClassVar[str] = "own"

    Own.__module__ = module
    with pytest.raises(ConfigError, match=r"Own is written in the study itself.*my_detector\.py"):
        own_detectors(study_of(Own()))


def test_a_module_that_cannot_be_imported_is_told_with_its_error(tmp_path: Path) -> None:
    (tmp_path / "own_broken.py").write_text("1 / 0")
    importlib.invalidate_caches()
    assert import_error(["json"]) == ""
    assert import_error(["json", "own_broken"]) == "own_broken: ZeroDivisionError: division by zero"
    assert import_error(["own_nowhere"]).startswith("own_nowhere: ModuleNotFoundError: No module")
