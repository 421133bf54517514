"""The rooms of ``agad/``: which room knows which, and where each heavy library lives."""

from __future__ import annotations

import ast
import importlib.metadata
import itertools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import agad

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "agad"

ROOMS = (
    "version",
    "errors",
    "config",
    "records",
    "objects",
    "data",
    "encoders",
    "detectors",
    "search",
    "trial",
    "study",
    "store",
    "executor",
    "report",
    "reading",
    "clusterfiles",
    "cli",
    "__init__",
    "__main__",
)
"""From left to right: a module imports from its own room and from rooms to its left."""

INNER_DOORS = {
    "agad.detectors.compute",
    "agad.encoders.features",
    "agad.encoders.networks",
    "agad.executor.jobs",
    "agad.executor.tune",
}
"""Rooms inside others that other rooms import by name: to submit a study needs no torch, and to
name a detector or an encoder needs none."""

HOMES = {
    "torch": {"data", "encoders", "detectors", "trial"},
    "ray": {"executor", "clusterfiles"},
    "optuna": {"search"},
    "cmaes": {"search"},
    "boto3": {"objects"},
    "botocore": {"objects", "clusterfiles"},
    "google": {"objects"},
    "pyarrow": {"data", "store"},
    "rich": {"report", "cli"},
    "sklearn": {"data", "detectors"},
    "PIL": {"data", "report"},
    "safetensors": {"encoders", "trial"},
    "yaml": {"clusterfiles"},
    "jsonschema": {"clusterfiles"},
    "msgspec": {"config"},
    "googleapiclient": {"clusterfiles"},
}
"""The rooms that may import each heavy library."""


@dataclass(frozen=True)
class Import:
    """One import statement of one module."""

    path: Path
    """The module that imports, relative to ``agad/``."""

    module: str
    """What it imports, such as ``agad.config`` or ``torch.nn``."""

    names: tuple[str, ...]
    """What it takes from there, such as ``Study``; empty for ``import torch``."""

    is_for_types: bool
    """Whether a type checker alone runs the statement."""

    @property
    def room(self) -> str:
        """The room of the module that imports."""
        return self.path.parts[0].removesuffix(".py")

    @property
    def imported_room(self) -> str:
        """The room of ``module``, which is a module of ``agad``."""
        return [*self.module.split("."), "__init__"][1]

    def __str__(self) -> str:
        return f"agad/{self.path} imports {self.module}"


def imports_in(path: Path) -> Iterator[Import]:
    """Yield every import statement of a file."""
    tree = ast.parse(path.read_text())
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        guard = id(node) in guarded
        inside = path.relative_to(PACKAGE)
        if isinstance(node, ast.Import):
            yield from (Import(inside, alias.name, (), guard) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            taken = tuple(alias.name for alias in node.names)
            yield Import(inside, node.module or "", taken, guard)


def name_of(path: Path) -> str:
    """Return the name of the module that a file below ``agad/`` is."""
    parts = ("agad", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {name_of(path) for path in FILES}
IMPORTS = [one for path in FILES for one in imports_in(path)]
OWN = [one for one in IMPORTS if one.module.split(".")[0] == "agad"]


def test_every_file_lies_in_a_known_room() -> None:
    assert {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES} == set(ROOMS)
    beside = {path.stem for path in PACKAGE.glob("*.py")}
    assert beside == {"__init__", "__main__", "errors", "version"}


def test_a_module_imports_from_its_own_room_and_from_rooms_to_its_left() -> None:
    backwards = [one for one in OWN if ROOMS.index(one.imported_room) > ROOMS.index(one.room)]
    assert list(map(str, backwards)) == []


def test_another_room_is_imported_by_its_package_name() -> None:
    past_the_door = [
        one
        for one in OWN
        if one.imported_room not in {one.room, "__init__"}
        and one.module.count(".") > 1
        and one.module not in INNER_DOORS
    ]
    assert list(map(str, past_the_door)) == []


@pytest.mark.parametrize("library", HOMES)
def test_a_heavy_library_is_imported_in_its_home_only(library: str) -> None:
    strays = [
        one
        for one in IMPORTS
        if one.module.split(".")[0] == library
        and not one.is_for_types
        and one.room not in HOMES[library]
    ]
    assert list(map(str, strays)) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle_of(neighbours()) == []


def test_circle_of_finds_a_circle() -> None:
    assert circle_of({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert circle_of({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def neighbours() -> dict[str, set[str]]:
    """Return which modules of its own room each module imports, imports for types included."""
    found: dict[str, set[str]] = {name_of(path): set() for path in FILES}
    for one in OWN:
        if one.room == one.imported_room:
            targets = {f"{one.module}.{name}" for name in one.names} & MODULES or {one.module}
            found[name_of(PACKAGE / one.path)] |= targets
    return found


def circle_of(arrows: dict[str, set[str]]) -> list[str]:
    """Return the nodes of all circles, and those on a way from one circle to another."""
    left = {node: set(targets) for node, targets in arrows.items()}
    while True:
        targets_left = set().union(*left.values())
        ends = {node for node in left if not left[node] or node not in targets_left}
        if not ends:
            return sorted(left)
        left = {node: targets - ends for node, targets in left.items() if node not in ends}


@pytest.mark.parametrize(
    "module",
    [
        *("agad", "agad.cli", "agad.detectors", "agad.encoders", "agad.executor.jobs"),
        *("agad.report", "agad.store"),
    ],
)
def test_importing_is_light(module: str) -> None:
    code = (
        f"import sys, {module}; print([m for m in ('torch', 'ray', 'optuna') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


NUMERIC = {"numpy", "scikit-learn", "scipy", "torch"}
"""The packages that are enough to train a detector."""

_FIT_BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Blocked())

import numpy as np
import torch
from agad.data import FitBatches, on_device
from agad.detectors import Agad, DeepSvdd, Pca
from agad.detectors.compute import Compute

pixels = np.random.default_rng(0).integers(0, 256, (40, 1, 32, 32), dtype=np.uint8)
agad = Agad(base_width=2, discriminator_width=4, batch_size=16, min_batch_anomalies=8)
for config in (agad, Pca(), DeepSvdd(pretrain_epochs=1)):
    taken = config.input()
    detector = config.build(taken.shape((1, 32, 32)), torch.Generator().manual_seed(0), Compute())
    batches = FitBatches(
        normals=on_device(pixels, np.arange(40), torch.device("cpu"), taken),
        anomalies=on_device(pixels, np.arange(8), torch.device("cpu"), taken),
        num_normals=20,
        num_anomalies=4,
    )
    for stage in config.stages:
        detector.begin_stage(stage, batches)
        detector.fit_epoch(stage, batches, np.random.default_rng(0))
    assert detector.score(next(batches.all_normals())).isfinite().all()
"""


def others() -> set[str]:
    """Return the top modules of every package that agad asks for, but of the numeric ones."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    named = {re.split(r"[^\w.-]", one)[0].lower().replace("_", "-") for one in asked}
    return {
        module
        for module, packages in importlib.metadata.packages_distributions().items()
        for package in packages
        if package.lower().replace("_", "-") in named - NUMERIC - {"agad"}
    }


def test_every_built_in_detector_trains_with_numeric_packages_alone() -> None:
    blocked = others()
    assert {"PIL", "boto3", "msgspec", "optuna", "pyarrow", "ray", "rich", "yaml"} <= blocked
    assert blocked.isdisjoint({"agad", "numpy", "scipy", "sklearn", "torch"})
    code = f"BLOCKED = {blocked!r}\n{_FIT_BLOCKED}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_name_that_is_imported_late_is_known_to_type_checkers_and_to_dir() -> None:
    known = {
        name: one.module
        for one in OWN
        if one.path.name == "__init__.py" and len(one.path.parts) == 1 and one.is_for_types
        for name in one.names
    }
    assert known == vars(agad)["_LATER"]
    assert set(agad.__all__) <= set(dir(agad))
    for name in agad.__all__:
        assert getattr(agad, name) is not None
    with pytest.raises(AttributeError, match="module 'agad' has no attribute 'studies'"):
        getattr(agad, "studies")  # noqa: B009  A type checker knows that there is none.


def test_a_private_part_of_ray_is_imported_in_a_function_that_a_guard_surrounds() -> None:
    at_top = [
        f"{path.relative_to(PACKAGE)} imports {ast.unparse(node)}"
        for path in FILES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        and re.search(r"\bray\.(\S+\.)?_|\bray\.core\b|ray\..* import .*\b_", ast.unparse(node))
    ]
    # Imported by its one user, under a guard.
    allowed = "executor/tune/wandb_runs.py imports from ray.air.integrations.wandb import "
    assert at_top == [f"{allowed}WandbLoggerCallback, _WandbLoggingActor"]
