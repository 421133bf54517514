"""The direction of imports, and where each heavy library lives."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "agad"

LAYERS = (
    "version",
    "errors",
    "listening",
    "commit",
    "config",
    "status",
    "records",
    "diagnosis",
    "memory",
    "rungs",
    "told",
    "objects",
    "data",
    "detectors",
    "trial",
    "study",
    "store",
    "report",
    "studyfile",
    "reading",
    "jobs",
    "cluster",
    "cli",
    "__init__",
    "__main__",
)
"""From left to right: a module imports from its own layer and from those to its left."""

HOMES = {
    "torch": {"data", "detectors", "trial"},
    "ray": {"study", "jobs", "cluster"},
    "optuna": {"study", "told"},
    "cmaes": {"study"},
    "boto3": {"objects"},
    "botocore": {"objects", "cluster"},
    "google": {"objects"},
    "pyarrow": {"data", "store"},
    "rich": {"report", "cli"},
    "sklearn": {"data"},
    "PIL": {"data", "report"},
    "safetensors": {"trial"},
    "yaml": {"cluster"},
    "jsonschema": {"cluster"},
    "googleapiclient": {"cluster"},
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield each imported module, and whether it is for type checking alone."""
    tree = ast.parse(path.read_text())
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in guarded) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield node.module or "", id(node) in guarded


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_from_its_own_layer_and_those_to_its_left(path: Path) -> None:
    own = LAYERS.index(layer_of(path))
    for module, _ in imported_modules(path):
        if module.split(".")[0] == "agad":
            imported = [*module.split("."), "__init__"][1]
            assert LAYERS.index(imported) <= own, f"{path} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_another_layer_is_imported_by_its_package_name(path: Path) -> None:
    for module, _ in imported_modules(path):
        parts = module.split(".")
        if parts[0] == "agad" and len(parts) > 1 and parts[1] != layer_of(path):
            assert len(parts) == 2, f"{path} imports {module}, not its package"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_heavy_library_is_imported_in_its_home_only(path: Path) -> None:
    for module, is_for_types in imported_modules(path):
        library = module.split(".")[0]
        if library in HOMES and not is_for_types:
            assert layer_of(path) in HOMES[library], f"{path} imports {library}"


@pytest.mark.parametrize("module", ["agad", "agad.cli", "agad.jobs", "agad.report", "agad.store"])
def test_importing_is_light(module: str) -> None:
    code = (
        f"import sys, {module}; print([m for m in ('torch', 'ray', 'optuna') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_every_layer_is_in_the_order() -> None:
    assert {layer_of(path) for path in MODULES} == set(LAYERS)
