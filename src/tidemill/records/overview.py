"""Records about the state of models: releases, published partitions, alerts and failures."""

from dataclasses import dataclass
from datetime import datetime

from tidemill.records.alerts import OpenAlert
from tidemill.records.figures import MetricValue, Record, Severity, Verdict

__all__ = [
    "MOST_UNEXAMINED",
    "FailedStep",
    "FeatureDrift",
    "ModelDetails",
    "ModelState",
    "PublishedPartition",
    "RetrainDecision",
    "StandingRelease",
]

MOST_UNEXAMINED = 2
"""Published partitions that may wait for monitoring: the newest, and one late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingRelease(Record):
    """A release with the gate's verdict and its promotion."""

    release_id: int
    """Row in ``tidemill.release``."""
    estimator: str
    """Name of the estimator."""
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
    """Key."""
    n_rows: int
    """Rows published."""
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
    """Name of the step."""
    partition: str
    """Key."""
    error: str
    """Error message."""
    ended_at: datetime
    """When."""
    by_schedule: bool
    """Whether the schedule started any of the attempts; if not, people started all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainDecision(Record):
    """A decision whether to retrain a model."""

    partition: str
    """Partition as of which it was made."""
    verdict: Verdict
    """Verdict of the decision."""
    reasons: tuple[str, ...]
    """One sentence per criterion, decisive ones first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState(Record):
    """State of a model according to the ledger."""

    model: str
    """Name."""
    champion: StandingRelease | None
    """Release that serves the newest partitions."""
    newest: PublishedPartition | None
    """Newest published partition."""
    n_published: int
    """Partitions published."""
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

    @property
    def severity(self) -> Severity | None:
        """Required attention: ``fail`` for action today, ``warn`` for a look, None for nothing.

        A failure in runs that people started only asks for a look, because it does not affect the scheduled runs.
        """
        urgent = any(item.alert.severity is Severity.FAIL for item in self.alerts)
        if urgent or any(item.by_schedule for item in self.failures):
            return Severity.FAIL
        idle = self.champion is not None and self.newest is None
        look = self.alerts or self.failures or idle or self.n_unexamined > MOST_UNEXAMINED
        return Severity.WARN if look else None

    @property
    def draft(self) -> bool:
        """Whether nothing has been promoted yet and nothing needs attention."""
        return self.champion is None and self.severity is None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureDrift(Record):
    """A feature's distance from the training data in one partition."""

    feature: str
    """Name."""
    partition: str
    """Key."""
    distance: float
    """Population stability index; 0 for equal distributions."""
    threshold: float
    """Distance above which the feature counts as drifted."""
    importance: float
    """Share of the model's importance, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDetails(Record):
    """A model's state with its recent past."""

    state: ModelState
    """Its state."""
    partitions: tuple[PublishedPartition, ...]
    """Newest first."""
    releases: tuple[StandingRelease, ...]
    """Newest first."""
    decisions: tuple[RetrainDecision, ...]
    """Newest first."""
    drift: tuple[FeatureDrift, ...] = ()
    """Of the newest partitions, in no order."""
