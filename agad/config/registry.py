"""The installed detectors, by name. A detector is imported only when somebody asks for it."""

from __future__ import annotations

import dataclasses
import importlib
import re
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from agad.config.detector import DetectorConfig, DetectorDefaults
from agad.errors import ConfigError

GROUP = "agad.detectors"
"""The group of entry points in which a package names its detectors."""

STUDY_MODULE = "agad_study"
"""The module name of every loaded study file, so that all ways to run the file are the same.
Workers cannot import this module."""

_BUILT_IN = {
    "agad": "agad.detectors:Agad",
    "deep-svdd": "agad.detectors:DeepSvdd",
    "iforest": "agad.detectors:IsolationForest",
    "knn": "agad.detectors:Knn",
    "knn-probe": "agad.detectors:KnnProbe",
    "lof": "agad.detectors:Lof",
    "mahalanobis": "agad.detectors:Mahalanobis",
    "ocsvm": "agad.detectors:OneClassSvm",
    "patch-knn": "agad.detectors:PatchKnn",
    "patch-pca": "agad.detectors:PatchPca",
    "pca": "agad.detectors:Pca",
    "probe": "agad.detectors:Probe",
}
"""The built-in detectors, as in ``pyproject.toml``. A checkout that is not installed has no entry
points."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")

_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A detector's entry point."""

    name: str
    target: str
    """Module and class, such as ``my_package.detectors:MyDetector``."""

    provider: str
    """Name and version of the package that brings the detector."""

    def load(self) -> type[DetectorConfig]:
        """Import the detector's class.

        Raises:
            ConfigError: The import fails, or finds no detector of this name.
        """
        try:
            found = EntryPoint(self.name, self.target, GROUP).load()
            check_class(found)
        # A foreign package may raise any error while it is imported.
        except Exception as error:
            raise ConfigError(
                f"the detector {self.name!r} of {self.provider} cannot be used: "
                f"{self.target}: {' '.join(str(error).split()) or type(error).__name__}"
            ) from error
        if found.name != self.name:
            raise ConfigError(
                f"the detector {self.name!r} of {self.provider} cannot be used: {self.target} has "
                f"the name {found.name!r}, but must have the name of its entry point."
            )
        return found  # type: ignore[no-any-return]


@cache
def registered() -> dict[str, Registered]:
    """Return every installed detector by its name, in order of the name; nothing is imported."""
    found = {
        name: Registered(name=name, target=target, provider="agad")
        for name, target in _BUILT_IN.items()
    }
    for one in entry_points(group=GROUP):
        provider = f"{one.dist.name} {one.dist.version}" if one.dist is not None else "unknown"
        if one.name not in found:  # Nobody takes the name of a built-in detector.
            found[one.name] = Registered(name=one.name, target=one.value, provider=provider)
    return dict(sorted(found.items()))


_used: dict[str, type[DetectorConfig]] = {}
"""Detector classes that this process's studies define, such as in a study file, by name."""


def remember_class(detector: type[DetectorConfig]) -> None:
    """Let ``detector_class`` find a class that no package registers.

    Raises:
        ConfigError: Another class has the name.
    """
    check_class(detector)
    known = _used.get(detector.name)
    if known is None and detector.name in registered():
        known = registered()[detector.name].load()
    if known is not None and _path(known) != _path(detector):
        raise ConfigError(
            f"{_path(detector)} has the name {detector.name!r}, but {_path(known)} has it too; "
            "give your detector a name of its own."
        )
    _used[detector.name] = detector


def _path(detector: type[DetectorConfig]) -> str:
    return f"{detector.__module__}:{detector.__qualname__}"


def detector_class(name: str) -> type[DetectorConfig]:
    """Return the configuration class of a name.

    Raises:
        ConfigError: No detector has the name, or its package cannot be imported.
    """
    if name in _used:
        return _used[name]
    if name not in registered():
        raise ConfigError(
            f"detector.name is {name!r}, but must be one of: {', '.join(known_names())}; upgrade "
            "agad, install the package that brings the detector, or name its class by --detector."
        )
    return registered()[name].load()


def known_names() -> list[str]:
    """Return the names of all detectors, including those that this process's studies define."""
    return sorted(registered().keys() | _used.keys())


def detector_versions() -> dict[str, int]:
    """Return the version of every detector that can be used here, by name."""
    versions = {}
    for name in known_names():
        try:
            versions[name] = detector_class(name).version
        except ConfigError:  # ``agad detectors`` shows the error.
            continue
    return versions


def check_class(found: Any) -> None:  # noqa: ANN401  Whatever a text names.
    """Refuse a value that is no configuration class of a detector.

    Raises:
        ConfigError: The value is no such class; the message says why.
    """
    is_dataclass = isinstance(found, type) and dataclasses.is_dataclass(found)
    if not is_dataclass:
        raise ConfigError(f"{found!r} is no dataclass, but a detector's configuration must be one.")
    if not found.__dataclass_params__.frozen:
        raise ConfigError(f"{found.__name__} can be changed, but must be a frozen dataclass.")
    names = [*DetectorConfig.__annotations__, *_METHODS]
    missing = [name for name in names if not hasattr(found, name)]
    if not getattr(found, "model_module", "none"):
        missing += [
            one for one in _BUILDERS if getattr(found, one) is getattr(DetectorDefaults, one)
        ]
    if missing:
        raise ConfigError(
            f"{found.__name__} lacks {', '.join(missing)}; inherit from DetectorDefaults, and add "
            "what is its own."
        )
    if not isinstance(found.name, str) or not _NAME.fullmatch(found.name):
        raise ConfigError(
            f"{found.__name__}.name is {found.name!r}, but must start with a lower-case letter and "
            "hold lower-case letters, digits and '-', at most 40 of them."
        )
    for one in dataclasses.fields(found):
        has_default = one.default is not dataclasses.MISSING
        if not has_default or not isinstance(one.default, bool | int | float | str | None):
            raise ConfigError(
                f"{found.__name__}.{one.name} has no plain default, but every parameter must have "
                "one: True or False, a number, a text or None."
            )


_BUILDERS = ("build", "build_scorer")
_METHODS = (
    *("supervision", "stages", "default_space", "default_scheduler", "input", "batches", "reduced"),
    *_BUILDERS,
)


def import_class(target: str) -> type[DetectorConfig]:
    """Return the class of ``MODULE:CLASS`` or ``FILE.py:CLASS``, and remember the class by name.

    A file is imported by its own name from its own folder. A study in the same folder and the
    workers import the file in the same way.

    Raises:
        ConfigError: The text has another form, the import fails, or the class is no detector.
    """
    source, _, name = target.rpartition(":")
    is_file = source.endswith(".py")
    if not name.isidentifier() or not (is_file or _MODULE.fullmatch(source)):
        raise ConfigError(f"the detector is {target!r}, but must be MODULE_OR_FILE:CLASS.")
    module = _module_of(Path(source)) if is_file else source
    try:
        imported = importlib.import_module(module)
        if is_file:
            _check_file(imported, Path(source))
        found = getattr(imported, name)
    except ConfigError:
        raise
    # A foreign module may raise any error, or end the program, while it is imported.
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"{target} cannot be imported ({type(error).__name__}: {' '.join(str(error).split())})."
        ) from error
    remember_class(found)
    return found  # type: ignore[no-any-return]


def _module_of(file: Path) -> str:
    """Return the name of a file's module, and add the module's folder to Python's path."""
    if not file.is_file():
        raise ConfigError(f"{file} is no file, but must hold the detector's class.")
    if not file.stem.isidentifier():
        raise ConfigError(
            f"{file} cannot be imported under its name; rename it, as my_detector.py."
        )
    folder = str(file.absolute().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    importlib.invalidate_caches()
    return file.stem


def _check_file(module: ModuleType, file: Path) -> None:
    """Refuse a file whose module's name belongs to another file."""
    if module.__file__ is None or not file.samefile(module.__file__):
        raise ConfigError(
            f"{file} cannot be imported, since another module has the name {module.__name__!r}; "
            "rename the file."
        )
