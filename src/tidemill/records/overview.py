"""Records about the state of models: releases, published partitions, alerts and failures."""

from dataclasses import dataclass
from datetime import datetime

from tidemill.records.alerts import OpenAlert
from tidemill.records.figures import MetricValue, Record, Severity, Verdict
from tidemill.records.score import RecordedScore
from tidemill.records.shadow import Shadow

__all__ = [
    "MOST_UNEXAMINED",
    "FailedStep",
    "FeatureDrift",
    "Hold",
    "ModelDetails",
    "ModelState",
    "PublishedPartition",
    "RetrainDecision",
    "RowDecision",
    "StandingRelease",
    "Timeliness",
    "UnrecordedFailure",
]

MOST_UNEXAMINED = 2
"""Published partitions that may wait for monitoring: the newest, and one late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingRelease(Record):
    """A release with the gate's verdict and its promotion."""

    release_id: int
    """Row in ``tidemill.release``."""
    estimator: str
    partition: str
    """Partition as of which it was trained."""
    metric: str
    """Acceptance metric."""
    metric_value: float
    """Acceptance metric on the test set."""
    accepted_value: float
    """Mean over the test set's partitions, if recorded, with which later partitions are compared."""
    verdict: str
    """Verdict of the gate: ``accept``, ``reject`` or ``not_enough_evidence``."""
    live_from: datetime | None
    """Model time from which it serves, or has served; None if it never went live."""
    approved_by: str | None
    """Who or what promoted it."""
    reason: str | None
    """Reason of the promotion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPartition(Record):
    """A published partition with its monitoring figures."""

    partition: str
    n_rows: int
    n_set_aside: int = 0
    """Rows that are in quarantine instead."""
    release_id: int
    """Release that scored them."""
    simulated: bool
    """Whether the release saw data after the partition's cutoff."""
    published_at: datetime
    """Instant of the publication."""
    realised: MetricValue | None
    """Acceptance metric, once labels have matured."""
    estimated: MetricValue | None
    """Acceptance metric estimated before labels arrive."""
    drift_share: float | None
    """Share of features that have drifted, 0 to 1."""
    monitoring: str | None
    """Folder of its newest monitoring page, relative to the storage root."""
    contract: str | None
    """Folder of its newest contract page, relative to the storage root."""
    withheld: bool = False
    """Whether newer rows wait for a person."""
    marked: bool = False
    """Whether these rows were withheld, and published because nobody decided in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedStep(Record):
    """A failed step that has neither succeeded since nor been dismissed."""

    run_id: int
    """Row of the newest attempt in ``tidemill.run``."""
    chain: str
    """``train``, ``predict``, ``monitor`` or ``retrain``."""
    step: str
    partition: str
    error: str
    """Error message."""
    ended_at: datetime
    by_schedule: bool
    """Whether the schedule started any of the attempts; if not, people or a look back started all of them."""
    dag_id: str | None = None
    """DAG of the newest attempt; None if the command line ran it."""
    dag_run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None
    """Index of a mapped task; -1 or None if it is not mapped."""
    try_number: int | None = None
    """Attempt, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnrecordedFailure(Record):
    """A failed run of a DAG of which the ledger has no failed step: it ended before its first step, or was killed."""

    dag_id: str
    """DAG, e.g. ``flight_delays_predict``."""
    dag_run_id: str
    partition: str | None
    """Key; None if the run names none."""
    ended_at: datetime
    by_schedule: bool
    """Whether the schedule started it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeliness(Record):
    """Whether what is due has been published."""

    message: str
    """What was found, in one sentence."""
    severity: Severity | None = None
    """``fail`` if the newest due partition is missing, ``warn`` for a gap, None if nothing is late."""
    remedy: str = ""
    """What to do about it; empty if nothing is late."""
    missing: tuple[str, ...] = ()
    """Due partitions that are not published, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDecision(Record):
    """A decision about the rows of a partition: withheld, or then published or discarded."""

    partition: str
    kind: str
    """``inspect`` if rows were withheld, ``publish`` if somebody decided about them."""
    verdict: Verdict
    """``accept`` if they were published, ``reject`` if they were withheld or discarded."""
    reasons: tuple[str, ...]
    """One sentence per finding, or who decided and why."""
    decided_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainDecision(Record):
    """A decision whether to retrain a model."""

    partition: str
    """Partition as of which it was made."""
    verdict: Verdict
    reasons: tuple[str, ...]
    """One sentence per criterion, decisive ones first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState(Record):
    """State of a model according to the ledger."""

    model: str
    champion: StandingRelease | None
    """Release that serves the newest partitions."""
    newest: PublishedPartition | None
    quality: MetricValue | None
    """Acceptance metric over the newest matured partitions, or of only the newest; None if none has matured."""
    matured: str | None
    """Newest matured partition."""
    examined: str | None
    """Newest partition examined by monitoring."""
    n_unexamined: int
    """Published partitions that monitoring has not examined."""
    alerts: tuple[OpenAlert, ...]
    """Open alerts, those that need action first."""
    failures: tuple[FailedStep, ...]
    """Open failures, those of scheduled runs first, then newest first."""
    timeliness: Timeliness | None = None
    """What is due; None if no schedule is on record."""
    floor: float | None = None
    """Minimum of the acceptance metric for a single partition, a maximum for an error; None if there is none."""
    withheld: tuple[str, ...] = ()
    """Partitions whose newest rows wait for a person, newest first."""
    unrecorded: tuple[UnrecordedFailure, ...] = ()
    """Failed runs that the ledger does not know, newest first."""
    obstacles: tuple[str, ...] = ()
    """What keeps Airflow from running the model's DAGs, one sentence each."""

    @property
    def severity(self) -> Severity | None:
        """Required attention: ``fail`` for action today, ``warn`` for a look, None for nothing.

        A failure outside the schedule only asks for a look, because it does not affect the scheduled runs. An
        alert that somebody has acknowledged asks for nothing until it gets worse.
        """
        new = {item.alert.severity for item in self.alerts if item.acknowledged_by is None}
        late = self.timeliness.severity if self.timeliness else None
        failed = {item.by_schedule for item in self.failures} | {item.by_schedule for item in self.unrecorded}
        if Severity.FAIL in new or True in failed or self.obstacles or late is Severity.FAIL:
            return Severity.FAIL
        idle = self.champion is not None and self.newest is None
        watched = not idle and self.n_unexamined <= MOST_UNEXAMINED
        look = new or failed or late or not watched
        return Severity.WARN if look else None

    @property
    def draft(self) -> bool:
        """Whether nothing has been promoted yet and nothing needs attention."""
        return self.champion is None and self.severity is None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureDrift(Record):
    """A feature's distance from the training data in one partition."""

    feature: str
    partition: str
    distance: float
    """Population stability index; 0 for equal distributions."""
    threshold: float
    """Distance above which the feature counts as drifted."""
    importance: float
    """Share of the model's importance, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Record):
    """One thing that retention must not collect."""

    model: str
    what: str
    """``release``, ``prediction_run``, ``partition`` or ``snapshot``."""
    name: str
    """Number, key or digest."""
    why: str
    held_by: str
    """Person who asked for it; the login role if none was named."""
    held_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDetails(Record):
    """A model's state with its recent past."""

    state: ModelState
    n_published: int
    """Published partitions."""
    partitions: tuple[PublishedPartition, ...]
    """Newest first."""
    releases: tuple[StandingRelease, ...]
    """Newest first."""
    decisions: tuple[RetrainDecision, ...]
    """Newest first."""
    drift: tuple[FeatureDrift, ...] = ()
    """Of the newest partitions, in no order."""
    row_decisions: tuple[RowDecision, ...] = ()
    """About withheld rows of the newest partitions, oldest first."""
    score: RecordedScore | None = None
    """Its newest ML Test Score on record; None before its first monitoring page."""
    held: tuple[Hold, ...] = ()
    """What retention must not collect."""
    shadow: Shadow | None = None
    """What scores in the shadow of its champion now."""
