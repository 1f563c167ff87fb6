"""Records about the state of models: what serves, what was published, found, and has failed."""

from dataclasses import dataclass
from datetime import datetime

from tidemill.records.alerts import OpenAlert
from tidemill.records.figures import MetricValue, Record, Severity, Verdict

__all__ = [
    "MOST_UNEXAMINED",
    "FailedStep",
    "ModelDetails",
    "ModelState",
    "PublishedPartition",
    "RetrainDecision",
    "StandingRelease",
]

MOST_UNEXAMINED = 2
"""Published partitions that may wait for monitoring: it follows the newest, and one may be late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingRelease(Record):
    """A release, with what the gate said of it and whether it has served."""

    release_id: int
    """Row in ``tidemill.release``."""
    estimator: str
    """What was fitted."""
    partition: str
    """Partition as of which it was trained."""
    metric: str
    """Acceptance metric."""
    metric_value: float
    """Its figure on the test set."""
    accepted_value: float
    """The same as a mean over the test set's partitions where that is on record: what later partitions compare with."""
    verdict: str
    """The gate's: ``accept``, ``reject`` or ``not_enough_evidence``."""
    live_from: datetime | None
    """Model time from which it serves, or has served; None if it never went live."""
    approved_by: str | None
    """By whose word it went live."""
    reason: str | None
    """Why it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPartition(Record):
    """One published partition, and its figures from monitoring."""

    partition: str
    """Key."""
    n_rows: int
    """Rows published."""
    release_id: int
    """Release that scored them."""
    simulated: bool
    """Whether the release knew more than it could have known then."""
    published_at: datetime
    """When readers first saw them."""
    realised: MetricValue | None
    """The acceptance metric, once labels have matured."""
    estimated: MetricValue | None
    """The same as estimated before labels."""
    drift_share: float | None
    """Share of features that have drifted, 0 to 1."""
    monitoring: str | None
    """Folder of its newest monitoring page, relative to the storage root."""
    contract: str | None
    """Folder of its newest contract page, relative to the storage root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedStep(Record):
    """A step that has failed, and has not succeeded since."""

    chain: str
    """``train``, ``predict``, ``monitor`` or ``retrain``."""
    step: str
    """Name of the step."""
    partition: str
    """Key."""
    error: str
    """What it said."""
    ended_at: datetime
    """When."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainDecision(Record):
    """Whether a model was to be trained again."""

    partition: str
    """Partition as of which it was asked."""
    verdict: Verdict
    """The answer."""
    reasons: tuple[str, ...]
    """One sentence for each thing that was weighed, decisive ones first."""


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
    """The acceptance metric over the newest matured partitions, or of only the newest; None if none has matured."""
    matured: str | None
    """Newest of them."""
    examined: str | None
    """Newest partition that monitoring has looked at."""
    n_unexamined: int
    """Published partitions after it."""
    alerts: tuple[OpenAlert, ...]
    """Open alerts, those that need action first."""
    failures: tuple[FailedStep, ...]
    """Newest first."""

    @property
    def severity(self) -> Severity | None:
        """What it asks of a person: ``fail`` action, ``warn`` a look, None nothing."""
        if self.failures or any(item.alert.severity is Severity.FAIL for item in self.alerts):
            return Severity.FAIL
        unwatched = self.n_unexamined > MOST_UNEXAMINED
        return Severity.WARN if self.alerts or unwatched or self.champion is None or self.newest is None else None


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
