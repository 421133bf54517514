"""How a command warns."""

from __future__ import annotations

import sys

from agad.report import plain


def warn(text: str) -> None:
    """Print a warning on one line of stderr."""
    print(f"agad: warning: {plain(text)}", file=sys.stderr)
