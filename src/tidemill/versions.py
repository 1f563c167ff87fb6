"""Which code and which packages are running: recorded with every step, so that it can be run again."""

import hashlib
import os
import subprocess
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

from tidemill import __version__

__all__ = ["code_version", "lock_digest"]


@cache
def code_version() -> str:
    """Give the version of Tidemill's code: ``TIDEMILL_CODE_VERSION``, or the release and, in a checkout, its commit.

    A checkout with changes that are not committed ends in ``+dirty``.
    """
    given = os.environ.get("TIDEMILL_CODE_VERSION")
    if given:
        return given
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return __version__
    commit = _git(root, "rev-parse", "--short=12", "HEAD")
    dirty = _git(root, "status", "--porcelain", "--untracked-files=no")
    return f"{__version__}-{commit or 'unborn'}{'+dirty' if dirty else ''}"


@cache
def lock_digest() -> str:
    """SHA-256 over the names and versions of all installed packages."""
    found = sorted({f"{item.metadata['Name'].lower()}=={item.version}" for item in distributions()})
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-c", f"safe.directory={root}", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
