"""The command ``agad``, also as ``python -m agad``, where the console script is not on the path."""

import sys
from typing import NoReturn

from agad.errors import NotInstalledError, naming_missing_package


def entry() -> NoReturn:
    """Run the command line, or say on one line which package is not installed."""
    try:
        with naming_missing_package():
            from agad.cli import entry as run
    except NotInstalledError as error:
        sys.exit(f"agad: {error}")
    run()


if __name__ == "__main__":
    entry()
