"""``python -m agad``, where the console script is not on the path."""

from agad.cli import entry

if __name__ == "__main__":
    entry()
