"""How a command ends where it is neither done nor given something wrong."""

INTERRUPTED = 130
"""Exit code of Ctrl-C."""

NOT_CONFIRMED = 4
"""Exit code where a study is done, and a cell has no confirmed result."""

OTHER_DRIVER = 3
"""Exit code where another driver works on the study."""
