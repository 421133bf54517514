"""Running studies from a notebook or a script: start, watch, interrupt, go on."""

from agad.cli.notebook.handle import StudyHandle
from agad.cli.notebook.start import start
