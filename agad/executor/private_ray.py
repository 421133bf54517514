"""Private parts of Ray, which another version of Ray may lack: agad then does without the part."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from agad.errors import ConfigError

logger = logging.getLogger(__name__)

TESTED = "2.58 to 2.60"
"""The versions of Ray that have every part, as ``pyproject.toml`` asks for them."""

_LACKING = (ImportError, AttributeError, TypeError)
"""What Python raises where a part is missing, or takes other arguments."""

_told: set[str] = set()
"""What this process has lost already, and said so."""


@dataclass(frozen=True, slots=True)
class stepping_aside:  # noqa: N801  It is called like a function, in a with statement.
    """Skip the rest of a block, with one warning, if a private part of Ray is missing or changed.

    The block holds the private part alone. Any error of another kind passes.

    Example:
        >>> with stepping_aside("the processes of workers do not name their trial"):
        ...     from ray._raylet import setproctitle
    """

    loss: str
    """What agad does without the part; the end of the warning. A process warns of a loss once."""

    def __enter__(self) -> None:
        """Do nothing."""

    # contextlib's decorator would tell a type checker that the block cannot be left early.
    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if not isinstance(error, _LACKING):
            return False
        if self.loss not in _told:
            _told.add(self.loss)
            logger.warning("%s", _text(error, self.loss))
        return True


@contextmanager
def refusing_without(loss: str) -> Iterator[None]:
    """Refuse what the user asked for, if a private part of Ray that it needs is missing or changed.

    Args:
        loss: What agad cannot do, and what else the user can do.

    Raises:
        ConfigError: The part is missing or changed.
    """
    try:
        yield
    except _LACKING as error:
        raise ConfigError(_text(error, loss)) from error


def _text(error: Exception, loss: str) -> str:
    import ray

    reason = " ".join(str(error).split())
    return (
        f"Ray {ray.__version__} lacks a part that agad uses ({reason}), so {loss}; Ray {TESTED} "
        "has the part."
    )
