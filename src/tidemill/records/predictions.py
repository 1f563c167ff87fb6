"""Records about predictions and their monitoring."""

from dataclasses import dataclass, field

from tidemill.records.alerts import Alert
from tidemill.records.figures import Record

__all__ = ["CollectedRef", "MonitorRef", "PageRef", "PredictionRef", "ScoresRef", "Shard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionRef(Record):
    """The rows of one prediction run."""

    model: str
    partition: str
    prediction_run_id: int
    """Row in ``tidemill.prediction_run``."""
    release_id: int
    token: int
    """Claim on the partition; a newer claim makes this run stale."""
    n_rows: int
    """Rows written."""
    checksum: str
    """XOR of a hash of each key and score, independent of row order."""
    mean_score: float | None
    """Mean of the scores; None if there are no rows."""
    n_set_aside: int = 0
    """Rows of the partition that were set aside instead."""
    published: bool = False
    """True once this run is visible."""
    withheld: bool = False
    """True if it differs too much from the model's past, and waits for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard(Record):
    """Consecutive rows of a scoring snapshot that one task scores."""

    start: int
    """First row, from 0, in the snapshot's order by entity key."""
    stop: int
    """First row after the shard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoresRef(Record):
    """A release's scores of one shard, on the artifact store."""

    shard: Shard
    """The rows."""
    snapshot_digest: str
    """Digest of the scored snapshot."""
    bundle_digest: str
    """Digest of the bundle that scored."""
    digest: str
    """SHA-256 of the content."""
    uri: str
    """Folder, relative to the storage root."""
    n_rows: int
    """Rows scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedRef(Record):
    """Inputs of a partition's monitoring, resolved once per run."""

    model: str
    partition: str
    prediction_run_id: int
    """Published prediction run of the partition."""
    release_id: int
    snapshot_digest: str
    """Rows that were scored."""
    snapshot_uri: str
    """Folder of the snapshot, relative to the storage root."""
    evaluation_uri: str
    """Folder of the release's evidence, with the reference profile, relative to the storage root."""
    matured: tuple[str, ...]
    """The newest published partitions whose labels have had time to arrive, oldest first."""
    n_rows: int
    """Rows of the partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorRef(Record):
    """Result of one monitoring part for a partition."""

    part: str
    """``drift``, ``performance`` or ``compute``."""
    n_metrics: int
    """Figures written to ``tidemill.metric``."""
    alerts: tuple[Alert, ...]
    """Findings that need attention."""
    empty: bool = False
    """True if the partition has no rows to measure."""
    ages: dict[str, float] = field(default_factory=dict)
    """Age of ``model``, ``data`` and ``labels`` in days; only of ``freshness``."""
    measured_again: tuple[str, ...] = ()
    """Older partitions that were measured again because their labels or rows have changed; only of ``performance``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRef(Record):
    """A page on the artifact store."""

    uri: str
    """Folder with ``index.html``, relative to the storage root."""
    mlflow_run_id: str | None = None
    """MLflow run that also shows it; None if none does yet."""
    mirror_problem: str = ""
    """Why MLflow does not show it."""
    ml_test_score: dict[str, float] = field(default_factory=dict)
    """The model's ML Test Score when the page was written: points of each section; empty in older records."""
