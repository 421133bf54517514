"""The wheel: what it holds, what it asks for, and that it runs without the checkout."""

from __future__ import annotations

import email
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of what git tracks, with the setuptools that is installed."""
    pytest.importorskip("setuptools", reason="setuptools, which builds the wheel, is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("agad", "LICENSE", "README.md", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    for cache in folder.rglob("__pycache__"):
        shutil.rmtree(cache)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    alone = ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, *alone, "--wheel-dir", str(folder), str(folder)], check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    package = ROOT / "agad"
    files = {
        str(path.relative_to(ROOT))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == files
    assert {"agad/py.typed", "agad/report/html/style.css"} <= names


def test_the_wheel_asks_for_ranges_that_the_tested_versions_are_in(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (place,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(place))
    assert metadata["Requires-Python"] == ">=3.11"
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M))
    tested = {name.lower().replace("_", "-"): pin for name, pin in pins.items()}
    asked = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    needed = [one for one in asked if one.marker is None]
    assert len(needed) == len(_dependencies())
    assert [one.name for one in needed if "==" in str(one.specifier)] == []
    outside = [
        str(one) for one in needed if not one.specifier.contains(tested[one.name.replace("_", "-")])
    ]
    assert outside == []


_ELSEWHERE = """
import agad, sys
from agad.cli import load_study
from pathlib import Path
assert agad.__file__.startswith(sys.argv[1]), agad.__file__
print(load_study(Path(sys.argv[2])).name)
"""


def test_the_wheel_runs_where_no_checkout_is(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    file = tmp_path / "mine" / "study.py"
    file.parent.mkdir()
    shutil.copy(ROOT / "studies/digits_quickstart.py", file)
    installed = str(tmp_path / "installed")
    done = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE, installed, str(file)],
        env={"PYTHONPATH": installed, "HOME": str(tmp_path)},
        cwd=file.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "digits-quickstart\n"


def _dependencies() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    dependencies: list[str] = project["dependencies"]
    return dependencies
