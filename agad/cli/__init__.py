"""The command line: parses arguments, connects the layers, prints."""

from agad.cli.entry import entry, main

__all__ = ["entry", "main"]
