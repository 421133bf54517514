"""How a command ends where it is neither done nor given something wrong."""

INTERRUPTED = 130
"""Exit code of Ctrl-C."""

OTHER_DRIVER = 3
"""Exit code where another driver works on the study."""
