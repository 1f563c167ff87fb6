"""The workspace: where a process finds its models, SQL, storage, connections and MLflow.

Environment variables are the only configuration. ``make up`` writes them to ``.tidemill/environment``;
the CLI reads that file for variables that are not set, so that it works in any shell.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tidemill.errors import SettingsError, SpecError

if TYPE_CHECKING:
    from tidemill.spec import ModelSpec

__all__ = ["Workspace", "channel_from_environment", "connection_from_environment", "read_environment_file"]

SOURCE = "warehouse"  # connection of the reader: what specs name unless they name another
LEDGER = "tidemill"  # connection of the writer: runs, snapshots, predictions, metrics
PROMOTER = "tidemill_promoter"  # connection of the promoter: releases, deployments, champion
_MLFLOW = "MLFLOW_TRACKING_URI"


def connection_from_environment(name: str) -> str:
    """Return the URL of a connection from ``TIDEMILL_CONN_<NAME>``; the ledger's fall back on that of the warehouse.

    Raises
    ------
    SettingsError
        If the variable is not set.
    """
    variable = f"TIDEMILL_CONN_{name.upper()}"
    url = os.environ.get(variable)
    if not url and name in (LEDGER, PROMOTER):
        url = os.environ.get(f"TIDEMILL_CONN_{SOURCE.upper()}")  # one login that has all three roles
    if not url:
        raise SettingsError(
            f"Connection {name!r} is not configured: {variable} is not set.",
            "Start the local stack with 'make up', or set the variable to a postgresql:// URL; to file:// or s3:// for files.",
        )
    return url


def channel_from_environment(name: str) -> str:
    """Return the address of a channel for alerts from ``TIDEMILL_ALERT_<NAME>``.

    Raises
    ------
    SettingsError
        If the variable is not set.
    """
    variable = f"TIDEMILL_ALERT_{name.upper()}"
    url = os.environ.get(variable)
    if not url:
        raise SettingsError(
            f"Channel {name!r} has no address: {variable} is not set.",
            "Set it to an smtp:// address, or to one of Apprise's; or take the channel out of the spec.",
        )
    return url


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """The places that a step reads from and writes to."""

    models: Path
    """Folder of spec files, e.g. ``dags/models``."""
    sql: Path
    """Folder of the models' queries, e.g. ``sql``."""
    storage: Path
    """Root of snapshots, bundles and reports; with a bucket, this machine's copy of what it has used of it."""
    tracking_uri: str | None
    """MLflow server; None if there is none."""
    connection: Callable[[str], str] = connection_from_environment
    """Turns a connection's name into its URL."""
    channel: Callable[[str], str] = channel_from_environment
    """Turns the name of a channel for alerts into its address."""
    pages: str | None = None
    """Where a browser finds the storage, e.g. ``https://tidemill.example.com/pages``; None for the path on disk."""
    runbook: str = "docs/runbook.md"
    """Where the runbook is."""
    bucket: str | None = None
    """URL of the object store that holds what lies below ``storage``, ``s3://bucket/prefix``; None if a folder does."""

    @classmethod
    def from_environment(
        cls,
        connection: Callable[[str], str] = connection_from_environment,
        channel: Callable[[str], str] = channel_from_environment,
        *,
        dags: Path = Path("dags"),
        reads_only: bool = False,
    ) -> Self:
        """Build the workspace from ``TIDEMILL_MODELS``, ``TIDEMILL_SQL``, ``TIDEMILL_STORAGE``, ``MLFLOW_TRACKING_URI``.

        An empty variable counts as not set.

        Parameters
        ----------
        connection : callable
            Turns a connection's name into its URL.
        channel : callable
            Turns a channel's name into its address.
        dags : Path, default ``dags``
            Folder of the DAG files: specs are in ``models`` in it, queries in ``sql`` beside it, unless variables say so.
        reads_only : bool, default False
            Whether specs and queries are all that is needed; then nothing else has to be configured.

        Raises
        ------
        SettingsError
            If the storage is not configured.
        """
        storage = os.environ.get("TIDEMILL_STORAGE") or (".tidemill/storage" if reads_only else "")
        if not storage:
            raise SettingsError(
                "No storage is configured: TIDEMILL_STORAGE is not set.",
                "Start the local stack with 'make up', or set it to a folder or to s3://bucket/prefix.",
            )
        return cls(
            models=Path(os.environ.get("TIDEMILL_MODELS") or dags / "models"),
            sql=Path(os.environ.get("TIDEMILL_SQL") or dags.parent / "sql"),
            storage=_copy(storage) if "://" in storage else Path(storage),
            bucket=storage if "://" in storage else None,
            tracking_uri=os.environ.get(_MLFLOW) or None,
            connection=connection,
            channel=channel,
            pages=os.environ.get("TIDEMILL_PAGES") or None,
            runbook=os.environ.get("TIDEMILL_RUNBOOK") or "docs/runbook.md",
        )

    def page(self, uri: str) -> str:
        """Return where a person finds a stored page."""
        if self.pages:
            return f"{self.pages.rstrip('/')}/{uri}/"
        return (
            f"{self.bucket.partition('?')[0].rstrip('/')}/{uri}/index.html"
            if self.bucket
            else str(self.storage / uri / "index.html")
        )

    def spec(self, model: str) -> "ModelSpec":
        """Read the spec of a model.

        Raises
        ------
        SpecError
            If there is no such file, or it has problems.
        """
        from tidemill.spec_file import read_spec  # loads pydantic and yaml, which many commands do not need

        self.make_importable()
        return read_spec(self.models / f"{model}.yaml")

    def specs(self) -> "tuple[ModelSpec, ...]":
        """Read all specs."""
        from tidemill.spec_file import load_specs

        self.make_importable()
        return load_specs(self.models)

    def make_importable(self) -> None:
        """Let specs name functions of modules beside the folder of specs, where Airflow's workers find DAG files, too."""
        folder = str(self.models.resolve().parent)
        if folder not in sys.path:
            sys.path.append(folder)  # last, so that no file there hides a package

    def query(self, file: str) -> str:
        """Read one of the models' queries.

        Raises
        ------
        SpecError
            If the file is missing, or not UTF-8.
        """
        path = self.sql / file
        if not path.is_file():
            raise SpecError(f"The query {path} does not exist.", "Write it, or correct 'source' in the spec.")
        try:
            return path.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
        except UnicodeDecodeError as error:
            raise SpecError(f"The query {path} is not UTF-8: {error}.", "Save it as UTF-8.") from None
        except OSError as error:
            raise SpecError(f"The query {path} cannot be read: {error.strerror}.", "Let its user read it.") from None


def _copy(url: str) -> Path:
    """Return the folder of this machine's copy of a bucket: below ``TIDEMILL_CACHE``, one for each bucket."""
    given = os.environ.get("TIDEMILL_CACHE")
    parent = Path(given) if given else Path.home() / ".cache" / "tidemill"
    return parent / hashlib.sha256(url.partition("?")[0].encode()).hexdigest()[:16]


def read_environment_file(path: Path) -> None:
    """Set the variables of a ``KEY=VALUE`` file that are not set yet; a missing file sets none.

    The file's MLflow login belongs to the file's server, and is not set for another server.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    values = {key: value for key, _, value in pairs}
    own_server = os.environ.get(_MLFLOW, values.get(_MLFLOW)) == values.get(_MLFLOW)
    for key, value in values.items():
        if own_server or not key.startswith("MLFLOW_TRACKING_"):
            os.environ.setdefault(key, value)
