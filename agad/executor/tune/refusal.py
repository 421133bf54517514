"""A worker's refusal of its order, which ends the study: no other attempt would do better."""

from __future__ import annotations

import logging

from ray.exceptions import RayTaskError

from agad.errors import ConfigError, DataError


def refused_on(node: str, error: ConfigError | DataError) -> ConfigError | DataError:
    """Return a worker's error with the address of its node."""
    kind = DataError if isinstance(error, DataError) else ConfigError
    return kind(f"on the node {node}: {error}")


def refusal_of(error: BaseException | None) -> ConfigError | DataError | None:
    """Return the error of configuration or data that a worker raised; None after another error."""
    cause = error.cause if isinstance(error, RayTaskError) else None
    return cause if isinstance(cause, ConfigError | DataError) else None


def is_no_refusal(record: logging.LogRecord) -> bool:
    """Whether Tune may log a record: a refusal is one line of the study, without a traceback."""
    error = record.exc_info[1] if record.exc_info else None
    return refusal_of(error) is None
