"""Which code and which packages are running: recorded with every step, so that it can be run again."""

import hashlib
import importlib
import os
import platform
import re
import shutil
import subprocess
from functools import cache, lru_cache
from importlib.metadata import Distribution, distributions, version
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from tidemill._version import __version__
from tidemill.errors import IncompatibleVersions, SpecError

__all__ = [
    "LIBRARIES",
    "OPTIONAL_LIBRARIES",
    "code_version",
    "count_locked",
    "drifted",
    "environment",
    "load_library",
    "lock_digest",
    "lock_file",
    "packages",
    "refuse_drift",
]

LIBRARIES = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops", "xgboost")
"""Packages that the bits of a model depend on, besides the interpreter and the machine."""
OPTIONAL_LIBRARIES = ("catboost", "lightgbm")
"""Packages that only the models of one estimator depend on; estimator and extra have the same name."""

SHOWN = 5  # packages named in an error
_FIELD = re.compile(r"^(Name|Version): *(\S+)", re.MULTILINE)


@cache
def code_version() -> str:
    """Return the version of Tidemill's code: ``TIDEMILL_CODE_VERSION``, or the release with a commit or a digest.

    A checkout adds its commit, and ``+dirty`` with changes that are not committed; without Git it ends in ``+unknown``. An
    installed package, such as a wheel, adds a digest of its files.
    """
    given = os.environ.get("TIDEMILL_CODE_VERSION")
    if given:
        return given
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return f"{__version__}-{_digest_of(Path(__file__).parent)[:12]}"
    if shutil.which("git") is None:
        return f"{__version__}+unknown"
    commit = _git(root, "rev-parse", "--short=12", "HEAD")
    dirty = _git(root, "status", "--porcelain", "--untracked-files=no")
    return f"{__version__}-{commit or 'unborn'}{'+dirty' if dirty else ''}"


def _digest_of(folder: Path) -> str:
    """Return the SHA-256 over the names and contents of a package's files; compiled copies do not count."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()


@cache
def packages() -> str:
    """Return all installed packages, one ``name==version`` per line; of duplicates, the one that Python imports."""
    found: dict[str, str] = {}
    for item in distributions():
        name, number = _named(item)
        found.setdefault(name.lower(), number)
    return "\n".join(f"{name}=={found[name]}" for name in sorted(found))


@cache
def lock_digest() -> str:
    """Return the SHA-256 over the names and versions of all installed packages."""
    return hashlib.sha256(packages().encode()).hexdigest()


def lock_file() -> Path:
    """Return the path of the lock, whether it exists or not: ``requirements.txt`` of the checkout or image."""
    return Path(os.environ.get("TIDEMILL_LOCK") or Path(__file__).parents[2] / "requirements.txt")


def drifted(lock: Path) -> tuple[str, ...]:
    """Return the packages that are installed in another version than the lock says; missing ones do not count.

    Parameters
    ----------
    lock : Path
        Lines ``name==version ; marker``; other lines are ignored.
    """
    installed = _installed()
    return tuple(
        f"{name} is {installed[name]}, locked {wanted}"
        for name, wanted in _locked(lock.read_text(encoding="utf-8"))
        if installed.get(name, wanted) != wanted
    )


def count_locked(lock: Path) -> tuple[int, int]:
    """Return the number of packages that the lock requires on this machine, and how many of them are missing."""
    names = [name for name, _ in _locked(lock.read_text(encoding="utf-8"))]
    return len(names), len(set(names) - _installed().keys())


def refuse_drift(lock: Path) -> None:
    """Raise if packages differ from those that were tested together.

    Raises
    ------
    IncompatibleVersions
        If any is installed in another version than the lock says.
    """
    apart = drifted(lock) if lock.is_file() else ()
    if apart:
        more = f" and {len(apart) - SHOWN} more" if len(apart) > SHOWN else ""
        raise IncompatibleVersions(
            f"What is installed is not what {lock} says: {'; '.join(apart[:SHOWN])}{more}.",
            "Install the lock again: 'make setup', or 'pip install --require-hashes -r requirements.txt'.",
        )


@cache
def _installed() -> dict[str, str]:
    pairs = (line.split("==", 1) for line in packages().splitlines())
    return {canonicalize_name(name): version for name, version in pairs}


@lru_cache(maxsize=1)  # each step of a chain asks
def _locked(lock: str) -> tuple[tuple[str, str], ...]:
    """Return name and version of each package that the text of a lock requires on this machine."""
    found = []
    for line in lock.splitlines():
        if not line[:1].isalnum():
            continue  # a hash, a comment, an option
        try:
            wanted = Requirement(line.rstrip("\\ "))
        except InvalidRequirement:
            continue  # a line that somebody added
        exact = [item.version for item in wanted.specifier if item.operator == "=="]
        if exact and (wanted.marker is None or wanted.marker.evaluate()):
            found.append((canonicalize_name(wanted.name), exact[0]))
    return tuple(found)


def environment(*more: str) -> dict[str, str]:
    """Return the versions of `LIBRARIES` and of Python, and the platform, as a bundle's manifest records them.

    Parameters
    ----------
    *more : str
        Further packages; one that is not installed is left out.
    """
    found = _installed()
    versions = {library: version(library) for library in LIBRARIES} | {
        name: found[name] for name in more if name in found
    }
    return versions | {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}


def _named(item: Distribution) -> tuple[str, str]:
    """Return a package's name and version from the head of its metadata: parsing all of it costs a second for 300 packages."""
    head = (item.read_text("METADATA") or item.read_text("PKG-INFO") or "").partition("\n\n")[0]
    said = dict(_FIELD.findall(head)[::-1])  # of several, the first
    return (said["Name"], said["Version"]) if len(said) == 2 else (item.metadata["Name"], item.version)


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-c", f"safe.directory={root}", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def load_library(name: str) -> Any:
    """Import an optional library.

    Raises
    ------
    SpecError
        If it is not installed, or cannot be loaded.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:  # OSError: a shared library that the package needs is missing
        raise SpecError(
            f"Estimator {name!r} needs the package {name}, which cannot be imported: {error}.",
            f"Install it wherever Tidemill trains and scores: pip install 'tidemill[{name}]'.",
        ) from error
