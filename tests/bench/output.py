"""What benches print."""

import sys

__all__ = ["say"]


def say(line: str) -> None:
    """Write a line as soon as it is known."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
