"""Records about predictions, and about watching them."""

from dataclasses import dataclass, field

from tidemill.records.alerts import Alert
from tidemill.records.figures import Record

__all__ = ["CollectedRef", "MonitorRef", "PageRef", "PredictionRef", "ScoresRef", "Shard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionRef(Record):
    """The rows of one prediction run."""

    model: str
    """Name of the model."""
    partition: str
    """Key of the partition."""
    prediction_run_id: int
    """Row in ``tidemill.prediction_run``."""
    release_id: int
    """Release that scored."""
    token: int
    """Claim on the partition; a newer one makes this run stale."""
    n_rows: int
    """Rows written."""
    checksum: str
    """Exclusive or of a hash of each key and score: the order of rows does not matter."""
    mean_score: float | None
    """Mean of the scores; None if there are no rows."""
    published: bool = False
    """True once this run is the visible one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard(Record):
    """Rows of a scoring snapshot that follow each other, to be scored by a task of their own."""

    start: int
    """First row, counted from 0 in the snapshot's order, which is that of the entity key."""
    stop: int
    """First row after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoresRef(Record):
    """What a release answers for one shard, on the artifact store."""

    shard: Shard
    """The rows."""
    snapshot_digest: str
    """Snapshot that they are of."""
    bundle_digest: str
    """Bundle that scored."""
    digest: str
    """SHA-256 of the content."""
    uri: str
    """Folder, relative to the storage root."""
    n_rows: int
    """Rows scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedRef(Record):
    """What monitoring looks at for a partition, resolved once at the start of a run."""

    model: str
    """Name of the model."""
    partition: str
    """Key of the partition."""
    prediction_run_id: int
    """Published prediction run of the partition."""
    release_id: int
    """Release that scored it."""
    snapshot_digest: str
    """Rows that were scored."""
    snapshot_uri: str
    """Folder of the snapshot, relative to the storage root."""
    evaluation_uri: str
    """Folder of the release's evidence, with the reference profile, relative to the storage root."""
    matured: tuple[str, ...]
    """Published partitions whose labels have had their time, oldest first; the newest few."""
    n_rows: int
    """Rows of the partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorRef(Record):
    """What one part of monitoring found for a partition."""

    part: str
    """``drift``, ``performance`` or ``compute``."""
    n_metrics: int
    """Figures written to ``tidemill.metric``."""
    alerts: tuple[Alert, ...]
    """What a person should look at."""
    empty: bool = False
    """True if the partition has no rows, so that there was nothing to measure."""
    ages: dict[str, float] = field(default_factory=dict)
    """Age of ``model``, ``data`` and ``labels`` in days; only of ``freshness``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRef(Record):
    """A page on the artifact store."""

    uri: str
    """Folder with ``index.html``, relative to the storage root."""
    mlflow_run_id: str | None = None
    """MLflow run that shows it too; None if it does not, or not yet."""
    mirror_problem: str = ""
    """Why it does not."""
