"""Asking before something is removed for good."""

from __future__ import annotations

import argparse
import sys

from agad.errors import ConfigError
from agad.report import plain


def add_yes_flag(parser: argparse.ArgumentParser) -> None:
    """Add ``--yes``."""
    parser.add_argument("--yes", action="store_true", help="remove without asking")


def is_confirmed(arguments: argparse.Namespace, what: str) -> bool:
    """Whether the user wants something removed, by ``--yes`` or by an answer.

    Args:
        arguments: Those of a command with ``--yes``.
        what: What would be removed, such as ``study tiny with 12 objects``.

    Raises:
        ConfigError: ``--yes`` is missing, and there is no terminal to ask on.
    """
    if arguments.yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigError(
            f"--yes is missing, but must be given to remove {what} without a terminal to ask on."
        )
    try:
        answer = input(plain(f"Remove {what} for good? [y/N] "))
    except EOFError:
        answer = ""
    if answer.strip().casefold() in ("y", "yes"):
        return True
    print("Nothing was removed.")
    return False
