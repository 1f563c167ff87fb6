"""The machine: specs, packages against the lock, who may read what, space on the disk, and whether MLflow answers."""

import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from psycopg2.extensions import parse_dsn

from tidemill.doctor.findings import Finding, judged
from tidemill.errors import SpecError
from tidemill.spec import ModelSpec
from tidemill.spec_file import read_spec, spec_paths
from tidemill.tracking import answers, is_reachable, without_login
from tidemill.versions import count_locked, drifted, lock_digest
from tidemill.workspace import Workspace

__all__ = [
    "check_disk",
    "check_packages",
    "check_permissions",
    "check_tracking",
    "free_and_total",
    "sound_specs",
]

LOW_BYTES, LOW_SHARE = 2 * 1024**3, 0.05  # below both, a few trainings no longer fit
FULL_BYTES = 256 * 1024**2  # below it a snapshot may fail half-way


def sound_specs(models: Path) -> tuple[tuple[ModelSpec, ...], Finding]:
    """Read every spec, and report the broken ones; a broken spec does not hide the others."""
    specs: list[ModelSpec] = []
    problems: list[str] = []
    try:
        for path in spec_paths(models):
            try:
                specs.append(read_spec(path))
            except SpecError as error:
                problems.append(error.problem.splitlines()[0].rstrip("."))
    except SpecError as error:  # the folder itself
        problems.append(error.problem.rstrip("."))
    return tuple(specs), judged(
        "specs", str(models), problems, f"{len(specs)} model(s) are declared.", "Fix the spec: 'tidemill check'."
    )


def check_packages(lock: Path) -> Finding:
    """Compare the installed packages with the lock.

    Parameters
    ----------
    lock : Path
        Lines ``name==version ; marker``; others are passed over.
    """
    digest = f"their digest is {lock_digest()[:12]}"
    if not lock.is_file():
        return Finding.ok("packages", "environment", f"There is no lock at {lock} to compare with; {digest}.")
    n_locked, n_missing = count_locked(lock)
    return judged(
        "packages",
        "environment",
        list(drifted(lock)),
        f"{n_locked - n_missing} packages are as locked, {n_missing} of the lock are not installed; {digest}.",
        "Install the lock again: 'make setup', or 'pip install --require-hashes -r requirements.txt'.",
    )


def check_permissions(workspace: Workspace, connections: Iterable[str]) -> Finding:
    """Check that only their owner can read secrets and change what is stored.

    Parameters
    ----------
    connections : iterable of str
        Connections whose password files are looked at.
    """
    files = {Path(found) for url in connections if (found := parse_dsn(url).get("passfile"))}
    environment = workspace.storage.parent / "environment"  # of the local stack
    private = [
        *sorted(files),
        *sorted({file.parent for file in files if file.parent.name == "secrets"}),
        *([environment] if environment.exists() else []),
    ]
    problems = [said for path in private for said in _readable(path)]
    problems += _changeable(workspace.storage)
    return judged(
        "permissions",
        "machine",
        problems,
        f"{len(private)} secret(s) can be read only by their owner.",
        "chmod go-rwx on what is named, and think about new passwords: somebody may have read them.",
    )


def check_disk(free_bytes: int, total_bytes: int, where: Path) -> Finding:
    """Return whether there is room for more artifacts.

    Examples
    --------
    >>> check_disk(100 * 1024**2, 50 * 1024**3, Path("storage")).severity.value
    'fail'
    """
    said, remedy = (
        f"{free_bytes / 1024**3:.1f} of {total_bytes / 1024**3:.1f} GiB are free.",
        "'tidemill gc', shorten 'retention' in the specs, or give it a larger disk.",
    )
    if free_bytes < FULL_BYTES:
        return Finding.fail("disk", str(where), said, remedy)
    if free_bytes < min(LOW_BYTES, total_bytes * LOW_SHARE):
        return Finding.warn("disk", str(where), said, remedy)
    return Finding.ok("disk", str(where), said)


def free_and_total(folder: Path) -> tuple[int, int]:
    """Return the free and all bytes of a folder's file system, whether or not the folder has been made yet."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    usage = shutil.disk_usage(existing)
    return usage.free, usage.total


def check_tracking(uri: str | None) -> Finding:
    """Return whether there is an MLflow to compare with, after one request with a time limit."""
    if uri is None:
        return Finding.warn("mlflow", "server", "No MLflow is configured.", "Set MLFLOW_TRACKING_URI if there is one.")
    if not is_reachable(uri):
        return Finding.warn(
            "mlflow",
            "server",
            f"Nothing answers at {without_login(uri)}.",
            "Predictions continue without it; start it again ('make up'), or correct MLFLOW_TRACKING_URI: http://host:port.",
        )
    if not answers(uri):
        return Finding.warn(
            "mlflow",
            "server",
            f"{without_login(uri)} accepts connections, but does not answer within 5 s.",
            "Predictions continue without it; look at its log, and start it again.",
        )
    return Finding.ok("mlflow", "server", "It answers.")


def _readable(path: Path) -> Iterator[str]:
    if not path.exists():
        yield f"{path} is missing"
    elif (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
        yield f"{path} has mode {mode:04o}: others can access it"


def _changeable(storage: Path) -> Iterator[str]:
    if storage.exists() and (mode := stat.S_IMODE(storage.stat().st_mode)) & stat.S_IWOTH:
        yield f"{storage} has mode {mode:04o}: anyone can change what is stored"
