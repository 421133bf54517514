"""A user's own detectors on the workers, which import them from a module as the driver does."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from types import ModuleType

from agad.config import STUDY_MODULE, DetectorConfig, Study, registered
from agad.errors import ConfigError
from agad.executor.tune.each_node import ask_each_node


def own_detectors(study: Study) -> tuple[type[DetectorConfig], ...]:
    """Return the classes of a study's detectors that no installed package registers.

    Raises:
        ConfigError: A class is written in the study itself, from which no worker can import it.
    """
    targets = {one.target for one in registered().values()}
    classes = dict.fromkeys(type(entry.candidate.detector) for entry in study.entries)
    own = tuple(one for one in classes if not _is_installed(one, targets))
    for one in own:
        if one.__module__ in ("__main__", STUDY_MODULE):
            raise ConfigError(
                f"the detector {one.__qualname__} is written in the study itself, where no worker "
                "can import it; move the class to a file of its own beside the study, such as "
                "my_detector.py."
            )
    return own


def _is_installed(detector: type[DetectorConfig], targets: Collection[str]) -> bool:
    is_registered = f"{detector.__module__}:{detector.__qualname__}" in targets
    return is_registered or detector.__module__.startswith("agad.")


def code_folders(detectors: Iterable[type[DetectorConfig]]) -> tuple[str, ...]:
    """Return the folders from which this process imported the detectors' modules.

    Folders of installed packages are left out: every node has its own.
    """
    folders = [
        str(folder.absolute())
        for one in detectors
        for folder in _folders_of(sys.modules[one.__module__.partition(".")[0]])
        if not {"site-packages", "dist-packages"}.intersection(folder.parts)
    ]
    return tuple(dict.fromkeys(folders))


def _folders_of(module: ModuleType) -> list[Path]:
    """Return the folders that hold a module's file, or a package's folder."""
    if hasattr(module, "__path__"):
        return [Path(path).parent for path in module.__path__]
    return [Path(module.__file__).parent] if module.__file__ else []


def detectors_of_packages(study: Study) -> tuple[type[DetectorConfig], ...]:
    """Return the classes of a study's detectors that another package than agad brings."""
    own = own_detectors(study)
    classes = dict.fromkeys(type(entry.candidate.detector) for entry in study.entries)
    return tuple(
        one for one in classes if one not in own and not one.__module__.startswith("agad.")
    )


def check_importable(detectors: Iterable[type[DetectorConfig]]) -> None:
    """Have every node of the connected cluster import the detectors' modules.

    Raises:
        ConfigError: A node cannot; the error says why.
    """
    modules = sorted({one.__module__ for one in detectors})
    if not modules:
        return
    for address, error in ask_each_node(import_error, modules):
        if error:
            raise ConfigError(
                f"the node {address} cannot import a detector of the study ({error}); put its file "
                "beside the study and submit both by agad submit, or install its package on every "
                "node."
            )


def import_error(modules: list[str]) -> str:
    """Return why a module cannot be imported in this process; empty if all can be."""
    for module in modules:
        try:
            importlib.import_module(module)
        # A user's module may raise anything while it is imported.
        except Exception as error:  # noqa: BLE001
            return f"{module}: {type(error).__name__}: {' '.join(str(error).split())}"
    return ""
