"""Checkpoints: whole or refused, and never executed."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from agad.errors import CheckpointError
from agad.trial.checkpoint import read_checkpoint, write_checkpoint

_MAGIC = b"agad checkpoint 1\n"


def _state() -> dict[str, Any]:
    rng = torch.Generator().manual_seed(3)
    return {
        "trial_key": "0" * 32,
        "rng": "a number of 128 bits: " + str(2**127 + 1),
        "history": [{"epoch": 0, "val_auroc": 0.1 + 0.2, "losses": {"con": 1e-300}, "test": None}],
        "detector": {
            "weights": {"conv.weight": torch.randn(3, 2, 4, 4, generator=rng)},
            "moments": {0: {"step": torch.tensor(7.0), "betas": (0.5, 0.999)}},
            "rng": rng.get_state(),
        },
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A checkpoint, alone in its folder."""
    path = tmp_path / "folder" / "trial.ckpt"
    path.parent.mkdir()
    write_checkpoint(path, _state())
    return path


def _with_digest(body: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(body).digest() + body


def test_read_checkpoint_returns_what_was_written_bit_for_bit(path: Path) -> None:
    state = read_checkpoint(path)
    expected = _state()
    tensors = [one.pop("detector") for one in (state, expected)]
    assert state == expected
    torch.testing.assert_close(tensors[0], tensors[1], rtol=0, atol=0)


def test_a_checkpoint_is_its_magic_line_the_digest_of_its_body_and_the_body(path: Path) -> None:
    data = path.read_bytes()
    body = data[len(_MAGIC) + 32 :]
    assert data == _with_digest(body)


def test_write_checkpoint_replaces_the_one_before(path: Path) -> None:
    write_checkpoint(path, {"epoch": 5})
    assert read_checkpoint(path) == {"epoch": 5}
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("share", [0.0001, 0.002, 0.01, 0.3, 0.5, 0.9, 0.999], ids=str)
def test_read_checkpoint_refuses_a_truncated_file(share: float, path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(
        CheckpointError, match=f"{re.escape(str(path))} is (truncated|no checkpoint)"
    ):
        read_checkpoint(path)


@pytest.mark.parametrize("num_missing", [1, 2, 32, 100])
def test_read_checkpoint_refuses_a_file_whose_last_bytes_are_missing(
    num_missing: int, path: Path
) -> None:
    path.write_bytes(path.read_bytes()[:-num_missing])
    with pytest.raises(CheckpointError, match=f"{re.escape(str(path))} is truncated or damaged"):
        read_checkpoint(path)


def test_read_checkpoint_refuses_a_file_cut_anywhere_in_its_header(path: Path) -> None:
    data = path.read_bytes()
    for size in range(len(_MAGIC) + 32 + 1):
        path.write_bytes(data[:size])
        with pytest.raises(CheckpointError, match=re.escape(str(path))):
            read_checkpoint(path)


@pytest.mark.parametrize("place", [0, 16, 18, 49, 50, 51, 500, 1000, -500, -1])
def test_read_checkpoint_refuses_a_file_of_which_one_byte_was_flipped(
    place: int, path: Path
) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x40
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=re.escape(str(path))):
        read_checkpoint(path)


def test_read_checkpoint_refuses_bytes_after_the_end(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(CheckpointError, match=f"{re.escape(str(path))} is truncated or damaged"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"PK\x03\x04 a zip of torch", b"agad checkpoint 2\n" + bytes(64), bytes(1000)],
    ids=["empty", "a-line", "torch's-own", "a-later-version", "zeros"],
)
def test_read_checkpoint_refuses_a_file_of_another_kind(data: bytes, path: Path) -> None:
    path.write_bytes(data)
    message = f"{re.escape(str(path))} is no checkpoint of this version; remove it"
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)


def test_read_checkpoint_names_a_file_that_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "missing"
    message = f"{re.escape(str(path))} cannot be read .No such file"
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)


def test_read_checkpoint_names_a_folder(tmp_path: Path) -> None:
    message = f"{re.escape(str(tmp_path))} cannot be read .Is a directory"
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(tmp_path)


class _Touches:
    """Unpickled, makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("is_torchs_own", [True, False], ids=["torch's-own", "bare-pickle"])
def test_read_checkpoint_executes_nothing_of_a_file_with_code_in_it(
    is_torchs_own: bool, path: Path, tmp_path: Path
) -> None:
    touched = tmp_path / "touched"
    buffer = io.BytesIO()
    save = torch.save if is_torchs_own else partial(pickle.dump, protocol=2)
    save({"trial_key": _Touches(touched)}, buffer)
    path.write_bytes(_with_digest(buffer.getvalue()))
    message = f"{re.escape(str(path))} holds what no checkpoint holds"
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)
    assert not touched.exists()


@pytest.mark.parametrize("body", [b"", b"no archive", b"PK\x03\x04", bytes(100)])
def test_read_checkpoint_refuses_a_body_that_is_no_archive(body: bytes, path: Path) -> None:
    path.write_bytes(_with_digest(body))
    message = f"{re.escape(str(path))} holds what no checkpoint holds"
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)


def test_read_checkpoint_refuses_a_body_that_is_no_dictionary(path: Path) -> None:
    buffer = io.BytesIO()
    torch.save([1, 2], buffer)
    path.write_bytes(_with_digest(buffer.getvalue()))
    message = f"{re.escape(str(path))} holds what no checkpoint holds"
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)


@pytest.mark.parametrize("step", ["fsync", "replace", "save"])
def test_a_failure_while_writing_leaves_the_old_file_and_nothing_beside_it(
    step: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    place = {"fsync": (os, "fsync"), "replace": (Path, "replace"), "save": (torch, "save")}[step]
    monkeypatch.setattr(*place, fail)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint(path, {"epoch": 5})
    monkeypatch.undo()
    assert read_checkpoint(path)["trial_key"] == "0" * 32
    assert list(path.parent.iterdir()) == [path]


def test_a_checkpoint_is_on_the_disk_before_it_takes_its_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    old = path.read_bytes()

    def note(descriptor: int) -> None:
        assert path.read_bytes() == old
        sizes.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fsync", note)
    write_checkpoint(path, _state() | {"more": torch.zeros(1000)})
    assert sizes == [path.stat().st_size]
    assert sizes[0] > len(old)
