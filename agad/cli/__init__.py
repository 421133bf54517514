"""The command line: parses arguments, connects the layers, prints."""

from agad.cli.entry import entry, main
from agad.cli.notebook import StudyHandle, start

__all__ = ["StudyHandle", "entry", "main", "start"]
