"""What can be caught as what."""

from __future__ import annotations

import pickle

import pytest

from agad.errors import (
    AgadError,
    ConfigError,
    DataError,
    StoreError,
    StudyChangedError,
    TrialDivergedError,
)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (ConfigError, ValueError),
        (DataError, ValueError),
        (StoreError, OSError),
        (StudyChangedError, ConfigError),
        (TrialDivergedError, ArithmeticError),
    ],
)
def test_every_error_is_an_agad_error_and_the_builtin_it_resembles(
    error: type[Exception], builtin: type[Exception]
) -> None:
    assert issubclass(error, AgadError)
    assert issubclass(error, builtin)


@pytest.mark.parametrize(
    "error", [ConfigError, DataError, StoreError, StudyChangedError, TrialDivergedError]
)
def test_an_error_keeps_its_type_and_text_between_processes(error: type[Exception]) -> None:
    copy = pickle.loads(pickle.dumps(error("con is nan at epoch 3")))
    assert type(copy) is error
    assert str(copy) == "con is nan at epoch 3"
