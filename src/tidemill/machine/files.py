"""Files that only their owner can read, written whole, and the end of a log."""

import json
import os
from pathlib import Path
from typing import Any

from tidemill.errors import StackError

__all__ = ["last_lines", "read_json", "write_private"]


def write_private(path: Path, content: str) -> None:
    """Replace a file in one step, with mode 0600 from its first byte.

    Parameters
    ----------
    path : Path
        A file in an existing folder.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def read_json(path: Path) -> Any:
    """Read a JSON file; return None if it does not exist.

    Raises
    ------
    StackError
        If the file exists and is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise StackError(
            f"'{path}' is not JSON: {error}.", "Stop the stack, remove the file and start again."
        ) from error


def last_lines(path: Path) -> str:
    """Return the last 15 lines of a log, or a note that there are none."""
    if not path.exists():
        return "(no log)"
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 64_000))  # bytes; far more than the lines need
        lines = stream.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-15:]) or "(empty log)"
