"""Exit codes that several commands share, beside 0."""

NO_READER = 1
"""The reader of what the command prints has ended, as in ``agad report | head -1``."""

BAD_INPUT = 2
"""The command was given something wrong."""

OTHER_DRIVER = 3
"""Another driver works on the study."""

NOT_CONFIRMED = 4
"""The study is done, and a cell has no confirmed result."""

INTERRUPTED = 130
"""Ctrl-C."""
