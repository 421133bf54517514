"""Exit codes that several commands share, beside 0."""

from agad.errors import BAD_INPUT as BAD_INPUT

NO_READER = 1
"""The reader of what the command prints has ended, as in ``agad report | head -1``."""

OTHER_DRIVER = 3
"""Another driver works on the study."""

NOT_CONFIRMED = 4
"""The study is done, and a cell has no confirmed result."""

INTERRUPTED = 130
"""Ctrl-C."""
