"""Builders of claims and rows, and stores that die, that count, and that are interfered with."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from agad.objects import ObjectStore, check_conditional_put
from agad.records import Claim, EpochRow, Pause, ScoreRow, TrialRow
from agad.store import StudyStore

Build = Callable[..., Any]
Rows = tuple[list[TrialRow], list[EpochRow], list[ScoreRow]]
Fill = Callable[..., Rows]

_EPOCH = EpochRow(
    study="study",
    cell="digits class=0 ratio=0.05",
    phase="search",
    trial_key="0" * 32,
    attempt=0,
    epoch=0,
    val_auroc=0.25,
    train_s=0.75,
    losses={"con": 1e-300, "adv": float("inf")},
)
_SCORE = ScoreRow(
    study="study",
    cell="digits class=0 ratio=0.05",
    trial_key="0" * 32,
    attempt=0,
    image=0,
    label=3,
    is_anomaly=True,
    score=0.1 + 0.2,
)
_CLAIM = Claim(
    trial_key="0" * 32,
    attempt=0,
    cell="digits class=0 ratio=0.05",
    phase="search",
    number=3,
    params={"lr": 2e-4, "backbone": "unet++", "flag": True},
    seeds=(1, 2),
)


@pytest.fixture
def trial_row(make_row: Build) -> Build:
    """A builder of rows of one trial, with values that are hard to keep exactly."""
    return partial(
        make_row,
        study="study",
        cell="digits class=0 ratio=0.05",
        trial_key="0" * 32,
        number=3,
        anomaly_ratio=0.05,
        settings='{"backbone": "unet++"}',
        seeds=(1, 2**62),
        params='{"lr": 0.0002}',
        error="Traceback:\n  naïve\0",
        epochs=2,
        gpu_s=0.1 + 0.2,
        val_auroc=1 / 3,
        work_flop=3_720_085_504,
        started_at=datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC),
    )


@pytest.fixture
def epoch_row() -> Build:
    return partial(replace, _EPOCH)


@pytest.fixture
def score_row() -> Build:
    return partial(replace, _SCORE)


@pytest.fixture
def pause(epoch_row: Build) -> Pause:
    return Pause(
        trial_key="0" * 32,
        attempt=0,
        started_at=datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC),
        seconds=0.1 + 0.2,
        gpu_s=0.0,
        hardware="a processor",
        peak_memory_bytes=2**40,
        peak_gpu_memory_bytes=None,
        epochs=(epoch_row(), epoch_row(epoch=1, val_auroc=1 / 3)),
    )


@pytest.fixture
def claim() -> Build:
    return partial(replace, _CLAIM)


def _place(row: TrialRow | EpochRow | ScoreRow) -> tuple[str, bool, str]:
    """Sort rows as a reader has them, those of a trial in their order."""
    return row.cell, getattr(row, "phase", "confirm") != "search", row.trial_key


@pytest.fixture
def joined() -> Callable[..., Rows]:
    """Join what several calls of ``fill`` returned, in the order that a reader has."""

    def join(*parts: Rows) -> Rows:
        return (
            sorted((row for trials, _, _ in parts for row in trials), key=_place),
            sorted((row for _, epochs, _ in parts for row in epochs), key=_place),
            sorted((row for _, _, scores in parts for row in scores), key=_place),
        )

    return join


@pytest.fixture
def fill(trial_row: Build, epoch_row: Build, score_row: Build, joined: Build) -> Fill:
    """Put trials of two cells, each with its epochs and the confirmed with scores; return them."""

    def put(objects: ObjectStore, numbers: range = range(4)) -> Rows:
        check_conditional_put(objects)  # As the study's driver did.
        store = StudyStore(objects, "study")
        parts: list[Rows] = []
        for number in numbers:
            names = {"cell": f"cell {number % 2}", "trial_key": f"{number:032x}"}
            is_confirmed = number % 4 == 3
            trial = trial_row(
                **names,
                number=number,
                phase="confirm" if is_confirmed else "search",
                params=json.dumps({"lr": 0.5 * number, "depth": number, "kind": "a"}),
            )
            epochs = [
                epoch_row(**names, phase=trial.phase, epoch=epoch) for epoch in range(number + 1)
            ]
            scores = [score_row(**names, image=image) for image in range(3 * is_confirmed)]
            store.put(trial, epochs, scores)
            parts.append(([trial], epochs, scores))
        rows: Rows = joined(*parts)
        return rows

    return put


@pytest.fixture
def mortal() -> type[Mortal]:
    return Mortal


@pytest.fixture
def counting() -> type[Counting]:
    return Counting


@pytest.fixture
def interfering() -> type[Interfering]:
    return Interfering


class Forwarding:
    """An object store that does what another one does."""

    def __init__(self, objects: ObjectStore) -> None:
        self._inner = objects

    @property
    def uri(self) -> str:
        return self._inner.uri

    @property
    def identity(self) -> str:
        return self._inner.identity

    def get(self, key: str) -> bytes:
        return self._inner.get(key)

    def open(self, key: str) -> BinaryIO:
        return self._inner.open(key)

    def get_file(self, key: str, path: Path) -> None:
        self._inner.get_file(key, path)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self._inner.put_if_absent(key, data)

    def put_file_if_absent(self, key: str, path: Path) -> bool:
        return self._inner.put_file_if_absent(key, path)

    def overwrite(self, key: str, data: bytes) -> None:
        self._inner.overwrite(key, data)

    def delete(self, key: str) -> None:
        self._inner.delete(key)

    def sizes(self, prefix: str) -> dict[str, int]:
        return self._inner.sizes(prefix)

    def list_folders(self) -> list[str]:
        return self._inner.list_folders()

    def list(self, prefix: str) -> list[str]:
        return self._inner.list(prefix)


class Mortal(Forwarding):
    """Dies in place of its n-th change, counted from 0, and counts the changes."""

    def __init__(self, objects: ObjectStore, lives: int | None = None) -> None:
        super().__init__(objects)
        self._lives = lives
        self._lock = threading.Lock()
        self.changes = 0

    def _change(self) -> None:
        with self._lock:
            if self._lives is not None and self.changes >= self._lives:
                raise SystemExit("killed")
            self.changes += 1

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self._change()
        return super().put_if_absent(key, data)

    def put_file_if_absent(self, key: str, path: Path) -> bool:
        self._change()
        return super().put_file_if_absent(key, path)

    def overwrite(self, key: str, data: bytes) -> None:
        self._change()
        super().overwrite(key, data)

    def delete(self, key: str) -> None:
        self._change()
        super().delete(key)


class Counting(Forwarding):
    """Counts the bytes that are read."""

    def __init__(self, objects: ObjectStore) -> None:
        super().__init__(objects)
        self.num_bytes = 0

    def get(self, key: str) -> bytes:
        data = super().get(key)
        self.num_bytes += len(data)
        return data

    def open(self, key: str) -> BinaryIO:
        return cast("BinaryIO", _CountingFile(super().open(key), self))


class _CountingFile(io.RawIOBase):
    def __init__(self, file: BinaryIO, counter: Counting) -> None:
        self._file = file
        self._counter = counter

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._counter.num_bytes += len(data)
        return data

    def close(self) -> None:
        self._file.close()
        super().close()


class Interfering(Forwarding):
    """Has something done once, just before the first read of an object with a part in its key."""

    def __init__(self, objects: ObjectStore, part: str, act: Callable[[], object]) -> None:
        super().__init__(objects)
        self._part = part
        self._act: Callable[[], object] | None = act

    def _interfere(self, key: str) -> None:
        if self._part in key and self._act is not None:
            act, self._act = self._act, None
            act()

    def get(self, key: str) -> bytes:
        self._interfere(key)
        return super().get(key)

    def open(self, key: str) -> BinaryIO:
        self._interfere(key)
        return super().open(key)

    def list(self, prefix: str) -> list[str]:
        self._interfere(prefix)
        return super().list(prefix)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self._interfere(f"put {key}")
        return super().put_if_absent(key, data)
