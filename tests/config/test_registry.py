"""Which detectors are installed, and what is said of those that cannot be used."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import pytest

from agad.config import (
    GROUP,
    DetectorDefaults,
    FixedEpoch,
    Grid,
    Study,
    check_class,
    detector_class,
    detector_versions,
    import_class,
    known_names,
    registered,
    registry,
)
from agad.detectors import (
    Agad,
    DeepSvdd,
    IsolationForest,
    Knn,
    KnnProbe,
    Lof,
    Mahalanobis,
    OneClassSvm,
    PatchKnn,
    PatchPca,
    Pca,
    Probe,
)
from agad.errors import ConfigError

BUILT_IN = {
    "agad": Agad,
    "deep-svdd": DeepSvdd,
    "iforest": IsolationForest,
    "knn": Knn,
    "knn-probe": KnnProbe,
    "lof": Lof,
    "mahalanobis": Mahalanobis,
    "ocsvm": OneClassSvm,
    "patch-knn": PatchKnn,
    "patch-pca": PatchPca,
    "pca": Pca,
    "probe": Probe,
}

Plugin: TypeAlias = Callable[..., None]

_OWN = """
from dataclasses import dataclass
from typing import ClassVar
from agad.config import DetectorDefaults

@dataclass(frozen=True, kw_only=True)
class {kind}(DetectorDefaults):
    name: ClassVar[str] = "{name}"
    version: ClassVar[int] = 3
    width: int = 4

    def build(self, image_shape, rng, compute):
        raise NotImplementedError

    def build_scorer(self, image_shape, weights):
        raise NotImplementedError
"""


@dataclass(frozen=True, kw_only=True)
class Mean(DetectorDefaults):
    """A detector that no package registers."""

    name: ClassVar[str] = "mean"
    version: ClassVar[int] = 1
    width: int = 4

    def build(self, *_: Any) -> Any:  # noqa: ANN401
        raise NotImplementedError

    def build_scorer(self, *_: Any) -> Any:  # noqa: ANN401
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let each test begin as a process that has used no detector."""
    monkeypatch.setattr(registry, "_used", {})
    registered.cache_clear()
    yield
    registered.cache_clear()


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugin:
    """Install a package of one module that registers detectors."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(module: str, text: str, **targets: str) -> None:
        (tmp_path / f"{module}.py").write_text(text)
        info = tmp_path / f"{module}-2.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 2.1\n")
        lines = [f"{name.replace('_', '-')} = {module}:{one}" for name, one in targets.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))

    return install


def test_the_built_in_detectors_are_found_by_their_names() -> None:
    assert {name: detector_class(name) for name in BUILT_IN} == BUILT_IN
    assert known_names() == sorted(registered())


def test_a_checkout_without_installed_metadata_finds_the_built_in_detectors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda **_: ())
    assert {name: detector_class(name) for name in registered()} == BUILT_IN


def test_pyproject_registers_the_built_in_detectors_as_a_plug_in_is_registered() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    listed = tomllib.loads(text)["project"]["entry-points"][GROUP]
    assert listed == {name: registered()[name].target for name in BUILT_IN}


def test_an_unknown_name_lists_the_known_ones() -> None:
    message = (
        "detector.name is 'padim', but must be one of: agad, deep-svdd, iforest, knn, knn-probe"
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        detector_class("padim")


def test_a_plug_in_is_found_with_its_package(plugin: Plugin) -> None:
    plugin("found_plugin", _OWN.format(kind="Own", name="own"), own="Own")
    assert registered()["own"].provider == "found_plugin 2.1"
    assert detector_class("own").__name__ == "Own"
    assert detector_versions()["own"] == 3


def test_a_plug_in_is_not_imported_before_it_is_asked_for(plugin: Plugin) -> None:
    plugin("idle_plugin", "raise RuntimeError('imported')", idle="Idle")
    assert "idle" in known_names()
    assert detector_class("pca") is Pca


def test_a_plug_in_that_fails_to_import_is_told_with_its_error_and_breaks_nothing(
    plugin: Plugin,
) -> None:
    plugin("broken_plugin", "import a_library_that_is_not_there", broken="Broken")
    message = (
        "the detector 'broken' of broken_plugin 2.1 cannot be used: broken_plugin:Broken: "
        "No module named 'a_library_that_is_not_there'"
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        detector_class("broken")
    assert detector_versions().keys() == BUILT_IN.keys()
    assert known_names() == sorted([*BUILT_IN, "broken"])


def test_a_plug_in_without_its_class_is_told(plugin: Plugin) -> None:
    plugin("empty_plugin", "", empty="Gone")
    with pytest.raises(ConfigError, match=r"'empty' of empty_plugin 2\.1 cannot be used: .*Gone"):
        detector_class("empty")


def test_a_plug_in_must_have_the_name_of_its_entry_point(plugin: Plugin) -> None:
    plugin("renamed_plugin", _OWN.format(kind="Own", name="own"), other="Own")
    message = "renamed_plugin:Own has the name 'own', but must have the name of its entry point"
    with pytest.raises(ConfigError, match=re.escape(message)):
        detector_class("other")


def test_a_plug_in_never_takes_the_name_of_a_built_in_detector(plugin: Plugin) -> None:
    plugin("thief_plugin", _OWN.format(kind="Own", name="pca"), pca="Own")
    assert detector_class("pca") is Pca


def test_a_class_without_registration_is_found_after_a_study_used_it() -> None:
    with pytest.raises(ConfigError, match=r"detector\.name is 'mean', but must be one of"):
        detector_class("mean")
    Study(
        name="own",
        cells=Grid(dataset="digits", normal_class=0),
        detector=Mean(),
        selection=FixedEpoch(epochs=1),
    )
    assert detector_class("mean") is Mean
    assert detector_versions()["mean"] == 1
    assert "mean" in known_names()


def test_a_class_that_is_named_by_its_module_is_found_afterwards(plugin: Plugin) -> None:
    plugin("named_plugin", _OWN.format(kind="Own", name="own"))
    found = import_class("named_plugin:Own")
    assert detector_class("own") is found


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("mean", "the detector is 'mean', but must be MODULE_OR_FILE:CLASS."),
        ("a b:Mean", "the detector is 'a b:Mean', but must be MODULE_OR_FILE:CLASS."),
        ("not_there:Mean", "not_there:Mean cannot be imported (ModuleNotFoundError: No module"),
        ("json:Mean", "json:Mean cannot be imported (AttributeError: module 'json' has no"),
        ("json:JSONDecoder", "<class 'json.decoder.JSONDecoder'> is no dataclass, but a detector"),
    ],
    ids=["no-class", "no-module", "missing-module", "missing-class", "no-detector"],
)
def test_a_class_that_cannot_be_named_so_is_refused(target: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        import_class(target)


def test_two_classes_of_one_name_are_refused() -> None:
    other = dataclasses.make_dataclass("Other", [], bases=(Mean,), frozen=True, kw_only=True)
    registry.remember_class(Mean)
    registry.remember_class(Mean)
    with pytest.raises(ConfigError, match=r"Other has the name 'mean', but .*Mean has it too"):
        registry.remember_class(other)


def test_a_class_with_the_name_of_a_registered_one_is_refused() -> None:
    thief = dataclasses.make_dataclass("Thief", [], bases=(Pca,), frozen=True, kw_only=True)
    with pytest.raises(ConfigError, match=r"Thief has the name 'pca', but .*Pca has it too"):
        registry.remember_class(thief)


@dataclass(kw_only=True)
class _Changeable(DetectorDefaults):
    name: ClassVar[str] = "changeable"
    version: ClassVar[int] = 1


@dataclass(frozen=True, kw_only=True)
class _Unbuilt(DetectorDefaults):
    name: ClassVar[str] = "unbuilt"
    version: ClassVar[int] = 1


@dataclass(frozen=True, kw_only=True)
class _BadName(Mean):
    name: ClassVar[str] = "Bad Name"


@dataclass(frozen=True, kw_only=True)
class _NoDefault(Mean):
    depth: int


@dataclass(frozen=True, kw_only=True)
class _ListDefault(Mean):
    widths: tuple[int, ...] = (1, 2)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (3, "3 is no dataclass, but a detector's configuration must be one."),
        (_Changeable, "_Changeable can be changed, but must be a frozen dataclass."),
        (_Unbuilt, "_Unbuilt lacks build, build_scorer; inherit from DetectorDefaults, and add"),
        (_BadName, "_BadName.name is 'Bad Name', but must start with a lower-case letter"),
        (_NoDefault, "_NoDefault.depth has no plain default, but every parameter must have one"),
        (_ListDefault, "_ListDefault.widths has no plain default"),
    ],
    ids=lambda one: one if isinstance(one, str) else getattr(one, "__name__", "number"),
)
def test_what_is_no_detectors_configuration_is_refused_and_says_why(
    kind: Any,  # noqa: ANN401
    message: str,
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        check_class(kind)
