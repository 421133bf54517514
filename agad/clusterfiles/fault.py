"""A fault that a check finds: a file, a line, the problem and its fix."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    file: str

    line: int
    """Counted from 1."""

    text: str
    """The problem and its fix, in one or two sentences. The text never holds a secret."""

    is_warning: bool = False
    """Whether the file may still be used: the fault only costs money or strength."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {'warning: ' if self.is_warning else ''}{self.text}"
