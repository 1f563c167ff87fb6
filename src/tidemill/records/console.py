"""Records behind the console's pages about one partition, one release and one row."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidemill.records.data import SnapshotRef
from tidemill.records.figures import Decision, Record, Severity
from tidemill.records.models import EvaluationReport
from tidemill.records.overview import PublishedPartition, RowDecision
from tidemill.records.revisions import RowChanges

__all__ = [
    "AskedRun",
    "FigureName",
    "FigureOfPartition",
    "PartitionAlert",
    "PartitionDetails",
    "ReleaseEvidence",
    "ReleaseOrigin",
    "RowLookup",
    "RowVersion",
    "StepOfPartition",
    "WantedFigure",
    "Wishes",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOfPartition(Record):
    """One execution of a step for a partition."""

    run_id: int
    """Row in ``tidemill.run``."""
    chain: str
    """Chain that it belongs to."""
    step: str
    status: str
    """``running``, ``succeeded`` or ``failed``."""
    error: str
    """Error message; empty if it did not fail."""
    started_at: datetime
    wall_s: float | None
    """Seconds; None while it runs."""
    n_rows: int | None
    """Rows worked on, if the step counts rows."""
    dag_id: str | None
    """DAG; None if the command line ran it."""
    dag_run_id: str | None
    task_id: str | None
    map_index: int | None
    """Index of a mapped task; -1 or None if it is not mapped."""
    try_number: int | None
    """Attempt, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionAlert(Record):
    """What happened to an alert in a partition."""

    alert_id: int
    """Row in ``tidemill.alert``."""
    rule: str
    event: str
    """``opened``, ``worsened``, ``reminded`` or ``resolved``."""
    severity: Severity
    """Severity at that time."""
    message: str
    """Finding at that time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionDetails(Record):
    """A partition and everything that happened to it."""

    model: str
    partition: str
    published: PublishedPartition | None
    """Its visible rows; None if there are none."""
    withheld: bool
    """Whether its newest rows wait for a person."""
    previous: str | None
    """Newest earlier partition that is published or withheld."""
    next: str | None
    """Oldest later one."""
    steps: tuple[StepOfPartition, ...]
    """Newest first."""
    alerts: tuple[PartitionAlert, ...]
    """Events of alerts in this partition, oldest first."""
    row_decisions: tuple[RowDecision, ...]
    """About its withheld rows, oldest first."""
    revision: RowChanges | None = None
    """Difference from the rows that were visible before; None if there were none, or they were not compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOrigin(Record):
    """Where a release can be looked up."""

    bundle_uri: str
    """Folder of its bundle, with the model card."""
    mlflow_run_id: str | None
    """MLflow run of its training."""
    mlflow_version: str | None
    """Version in MLflow's registry."""
    profile: str | None
    """Folder of the profile of its training data."""
    contract: str | None
    """Folder of the contract page of its training data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseEvidence(Record):
    """Snapshot, evaluation and decision behind a release."""

    snapshot: SnapshotRef
    """Its training data."""
    evaluation: EvaluationReport
    decision: Decision
    """The gate's decision."""
    settings: dict[str, Any]
    """The spec of its newest judgement, defaults included; empty if it is not on record."""
    origin: ReleaseOrigin
    """Where its card, pages and MLflow entries are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowVersion(Record):
    """What one run predicted for an entity."""

    partition: str
    prediction_run_id: int
    """Row in ``tidemill.prediction_run``."""
    release_id: int
    status: str
    """``published`` for what readers see, ``superseded`` for what they saw."""
    published_at: datetime
    """When it became visible."""
    simulated: bool
    """Whether the release saw data after the partition's cutoff."""
    score: float
    """Score, or the predicted number."""
    predicted: str | None
    """Predicted label; None for a regression."""
    low: float | None
    """Lower end of the interval; None without one."""
    high: float | None
    """Upper end of the interval; None without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLookup(Record):
    """An entity's newest published row, and its history."""

    model: str
    entity_key: str
    partition: str
    """Newest searched partition that has it."""
    trace: dict[str, Any]
    """The answer and everything behind it, by name, in order."""
    history: tuple[RowVersion, ...]
    """In every searched partition that has it: what readers see and saw, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRun(Record):
    """A DAG run that a person has opened from the console."""

    title: str
    """What it does."""
    dag_id: str
    dag_run_id: str
    """Run of the DAG."""
    state: str
    """State in Airflow: ``queued``, ``running``, ``success`` or ``failed``."""
    by: str
    reason: str
    at: datetime | None
    """When it was queued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes(Record):
    """What the reader of a model's page may ask for, and what has been asked for."""

    possible: frozenset[str] = frozenset()
    """Names of the actions that the reader may take."""
    asked: tuple[AskedRun, ...] = ()
    """Newest first."""
    waiting: tuple[str, ...] = ()
    """Runs of the training that wait for an answer, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureName(Record):
    """A figure that a model has over its partitions."""

    part: str
    """Part of monitoring: ``drift``, ``performance``, ``estimate``, ``compute``, ``freshness``, ``skew`` or ``labels``."""
    name: str
    slice: str | None
    """Slice, such as ``origin=JFK``; None for all rows."""
    by_feature: bool
    """Whether there is one for each feature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureOfPartition(Record):
    """A figure of one partition, as the newest run measured it."""

    partition: str
    value: float
    low: float | None
    """Lower end of the 95 % interval."""
    high: float | None
    """Upper end."""
    n: int | None
    """Rows behind it."""
    label_coverage: float | None
    """Share of rows with labels, 0 to 1; None where labels do not matter."""
    release_id: int | None
    """Release that scored the rows."""
    as_of: datetime
    """Instant as of which labels count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFigure(Record):
    """Which figure, of which rows, over which partitions."""

    part: str
    """Part of monitoring."""
    name: str
    slice: str | None = None
    """Slice; None for all rows."""
    feature: str | None = None
    """Feature; None for a figure of no feature."""
    first: str | None = None
    """First partition; None for the oldest."""
    last: str | None = None
    """Last partition, included; None for the newest."""
