"""Records of one training for MLflow: plain, so that they can wait on disk while MLflow is down."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from tidemill.records import MetricValue, Record

__all__ = ["Child", "DataUsed", "StoragePlace", "Training"]


class StoragePlace(Protocol):
    """Storage of a training's files."""

    @property
    def root(self) -> Path:
        """Folder on this machine."""

    @property
    def place(self) -> str:
        """Address for everybody: the same folder, or a bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataUsed(Record):
    """A data set that a training read."""

    name: str
    """Name, e.g. ``flight_delays 2013-07-01 train``."""
    digest: str
    """SHA-256 of its content, or of its folder."""
    uri: str
    """File on the storage, relative to its root."""
    n_rows: int
    context: str
    """Its use: ``training``, ``validation``, ``test`` or ``snapshot``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child(Record):
    """A nested run: an estimator of a training, or a trial of an estimator."""

    path: str
    """Its place, e.g. ``xgboost`` or ``xgboost/07``."""
    params: dict[str, str]
    metrics: dict[str, float]
    steps: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Series of figures, such as one per fold."""
    tags: dict[str, str] = field(default_factory=dict)
    """Anything else, by name."""
    started_at: datetime
    """When it began."""
    seconds: float
    """How long it took."""

    @property
    def parent(self) -> str:
        """Path of its parent run; empty for the training itself."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training(Record):
    """One training."""

    key: str
    """Key of the training; showing the same key again adds what is missing and duplicates nothing."""
    model: str
    """Name of the model, of the experiment and of the registered model."""
    name: str
    """Name of the run, e.g. ``2013-07-01 xgboost``."""
    params: dict[str, str]
    metrics: tuple[MetricValue, ...]
    """Figures on the test set; intervals become ``<name>.low`` and ``<name>.high``."""
    tags: dict[str, str]
    """Digests, versions, verdict."""
    system: dict[str, float]
    """Its cost, under MLflow's names, e.g. ``system/cpu_seconds``."""
    data: tuple[DataUsed, ...]
    """What it read."""
    texts: dict[str, str]
    """Pages and cards by file name."""
    folders: dict[str, str]
    """Folders of pictures on the storage by artifact path."""
    note: str
    """Description of the run, in Markdown."""
    bundle_uri: str
    """Folder of the bundle, relative to the storage root."""
    bundle_digest: str
    release_id: int | None
    """Release that the bundle became; None in a dry run."""
    started_at: datetime
    """When its first step began."""
    children: tuple[Child, ...] = ()
    """Nested runs, each after its parent."""
