"""What the flags and the environment of ``agad run`` say of where it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

import pytest

import agad.executor.tune
from agad.config import Study
from agad.data import NodeCache
from agad.executor.tune import ClusterOptions

if TYPE_CHECKING:
    from tests.cli.conftest import RunAgad, WriteStudy

OptionsOf: TypeAlias = Callable[..., ClusterOptions]


@pytest.fixture
def options_of(
    run_agad: RunAgad, write_study: WriteStudy, monkeypatch: pytest.MonkeyPatch
) -> OptionsOf:
    """Return where ``agad run`` with some flags would run its study."""
    seen: list[ClusterOptions] = []

    def note(_study: Study, _store: object, options: ClusterOptions, **_: object) -> None:
        seen.append(options)

    monkeypatch.setattr(agad.executor.tune, "run_study", note)

    def run(*flags: object) -> ClusterOptions:
        run_agad("run", write_study(), *flags)
        return seen.pop()

    return run


def test_without_flags_the_environment_says_where(options_of: OptionsOf, tmp_path: Path) -> None:
    options = options_of()
    assert options == ClusterOptions(
        store=str(tmp_path / "store"), cache=NodeCache(folder=str(tmp_path / "cache"))
    )
    assert not options.is_shared


def test_a_flag_goes_before_the_environment(options_of: OptionsOf, tmp_path: Path) -> None:
    cache, store = tmp_path / "c", tmp_path / "s"
    options = options_of("--store", store, "--cache", cache, "--cache-gib", 2.5, "--shared-store")
    assert (options.store, options.is_shared) == (str(store), True)
    assert options.cache == NodeCache(folder=str(cache), max_gib=2.5)


def test_how_to_compute_is_said_by_flags(options_of: OptionsOf) -> None:
    options = options_of(
        *("--device", "mps", "--precision", "bfloat16"), "--channels-last", "--compile", "default"
    )
    assert (options.device, options.precision) == ("mps", "bfloat16")
    assert (options.channels_last, options.compilation) == (True, "default")


def test_the_layout_of_the_device_can_be_refused_by_a_flag(options_of: OptionsOf) -> None:
    assert options_of("--no-channels-last").channels_last is False
    assert options_of().channels_last is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("run", "--precision", "float16"),
            "--precision is 'float16', but must be one of: float32, bfloat16.",
        ),
        (
            ("plan", "--precision", "float16"),
            "--precision is 'float16', but must be one of: float32, bfloat16.",
        ),
        (("run", "--device", "tpu"), "--device is 'tpu', but must be cpu, cuda or mps."),
        (
            ("run", "--compile", "max"),
            "--compile is 'max', but must be one of: off, default, cuda-graphs.",
        ),
        (
            ("run", "--device", "cpu", "--compile", "cuda-graphs"),
            "--compile is cuda-graphs, but the device is cpu, and only cuda has them; "
            "use --compile default there.",
        ),
    ],
    ids=["precision-run", "precision-plan", "device-run", "compile-run", "cuda-graphs-run"],
)
def test_a_wrong_way_to_compute_is_refused_on_one_line(
    run_agad: RunAgad, write_study: WriteStudy, arguments: tuple[str, ...], message: str
) -> None:
    command, *flags = arguments
    ended = run_agad(command, write_study(), *flags)
    assert (ended.code, ended.err) == (2, f"agad: {message}\n")


@pytest.mark.parametrize("name", ["a-folder", "./a-folder", "../here/a-folder"])
def test_a_relative_folder_is_one_of_this_machine_in_full(
    options_of: OptionsOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    options = options_of("--store", name, "--cache", name)
    for folder in (options.store, options.cache.folder):
        assert Path(folder).is_absolute()
        assert Path(folder).resolve() == tmp_path / "here/a-folder"


def test_the_cache_at_home_is_that_of_each_nodes_home(
    options_of: OptionsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AGAD_CACHE")
    assert options_of().cache.folder == "~/.agad/cache"
    assert options_of("--cache", "~/mine").cache.folder == "~/mine"


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_cache_in_an_unknown_home_is_refused_on_one_line(
    run_agad: RunAgad, write_study: WriteStudy, command: str
) -> None:
    ended = run_agad(command, write_study(), "--cache", "~nobody-of-this-name/cache")
    assert (ended.code, ended.err) == (
        2,
        "agad: --cache is '~nobody-of-this-name/cache', but must be in a home that is known; "
        "name it in full.\n",
    )


def test_trackers_are_named_by_flags(
    options_of: OptionsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mlflow", "wandb"):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    assert options_of("--log-to", "mlflow", "--log-to", "wandb").log_to == ("mlflow", "wandb")


def test_a_tracker_that_is_unknown_is_refused_before_any_work(
    run_agad: RunAgad, write_study: WriteStudy
) -> None:
    ended = run_agad("run", write_study(), "--log-to", "tensorboard")
    assert ended.code == 2
    assert "--log-to is 'tensorboard', but must be one of: mlflow, wandb." in ended.err
