"""The command line: parses arguments, connects the layers, prints."""

from agad.cli.entry import entry, main
from agad.cli.notebook.handle import StudyHandle
from agad.cli.notebook.start import start
from agad.cli.studyfile import load_study
