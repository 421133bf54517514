"""What a check finds: a file, a line, and what to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    file: str

    line: int
    """Counted from 1."""

    text: str
    """What is wrong and what to do: one sentence or two. It never holds a secret."""

    is_warning: bool = False
    """It works, but costs money or strength: the file may still be used."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {'warning: ' if self.is_warning else ''}{self.text}"
