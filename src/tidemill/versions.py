"""Which code and which packages are running: recorded with every step, so that it can be run again."""

import hashlib
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import distributions, version
from pathlib import Path

from tidemill import __version__

__all__ = ["LIBRARIES", "code_version", "environment", "lock_digest", "packages"]

LIBRARIES = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops", "xgboost")
"""What the bits of a model depend on, beside the interpreter and the machine."""


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
def packages() -> str:
    """Give all installed packages, one ``name==version`` a line; of two with one name, that which Python finds."""
    found: dict[str, str] = {}
    for item in distributions():
        found.setdefault(item.metadata["Name"].lower(), item.version)
    return "\n".join(f"{name}=={found[name]}" for name in sorted(found))


@cache
def lock_digest() -> str:
    """SHA-256 over the names and versions of all installed packages."""
    return hashlib.sha256(packages().encode()).hexdigest()


def environment() -> dict[str, str]:
    """Give the versions of `LIBRARIES` and of Python, and the platform: what a bundle's manifest says of its making."""
    versions = {library: version(library) for library in LIBRARIES}
    return versions | {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-c", f"safe.directory={root}", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
