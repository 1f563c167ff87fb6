"""The small, frozen values that pass between steps, into the ledger and through XCom.

A record holds names, digests, counts and verdicts; frames and estimators never travel in one.
``to_dict`` gives JSON types alone, and ``from_dict`` refuses unknown keys by name.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from pydantic import ConfigDict, TypeAdapter

__all__ = [
    "Alert",
    "AlertsRef",
    "BundleRef",
    "CheckReport",
    "CheckResult",
    "CollectedRef",
    "Decision",
    "DeploymentRef",
    "EvaluationReport",
    "MetricValue",
    "MonitorRef",
    "PageRef",
    "PredictionRef",
    "ProfileRef",
    "Record",
    "ReleaseRef",
    "Severity",
    "SnapshotRef",
    "SplitRef",
    "Verdict",
]


class Severity(StrEnum):
    """How bad a broken expectation or an alert is."""

    FAIL = "fail"
    WARN = "warn"


class Verdict(StrEnum):
    """The outcome of a decision."""

    ACCEPT = "accept"
    REJECT = "reject"
    NOT_ENOUGH_EVIDENCE = "not_enough_evidence"


class Record:
    """Base of all records: plain data that turns into JSON types and back."""

    __slots__ = ()
    # Infinity and NaN are not JSON, and Postgres refuses them: they travel as words.
    __pydantic_config__ = ConfigDict(extra="forbid", ser_json_inf_nan="strings")

    def to_dict(self) -> dict[str, Any]:
        """Give the record as JSON types.

        Examples
        --------
        >>> MetricValue(name="roc_auc", value=0.75, low=0.73, high=0.77, n=900).to_dict()["value"]
        0.75
        """
        values: dict[str, Any] = json.loads(TypeAdapter(type(self)).dump_json(self))
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild a record.

        Raises
        ------
        pydantic.ValidationError
            If a key is unknown or missing, or a value has the wrong type.
        """
        record: Self = TypeAdapter(cls).validate_python(values)
        return record


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRef(Record):
    """An immutable data set on the artifact store."""

    model: str
    """Name of the model, e.g. ``flight_delays``."""
    purpose: str
    """``train`` (many partitions, with labels), ``score`` (one partition) or ``labels``."""
    partition: str
    """Key of the partition that the work is for, e.g. ``2013-07-01``."""
    digest: str
    """SHA-256 of the content, 64 hexadecimal digits; also the folder's name."""
    uri: str
    """Folder, relative to the storage root, e.g. ``flight_delays/snapshots/ab12…``."""
    n_rows: int
    """Rows of features."""
    size_bytes: int
    """Bytes of all files."""
    start: datetime
    """First instant of the data, inclusive."""
    end: datetime
    """First instant after the data."""
    cutoff: datetime
    """Instant as of which the newest partition's features, and all labels, are known."""
    query_digest: str
    """SHA-256 of the SQL that was run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult(Record):
    """One expectation held against one snapshot."""

    expectation: str
    """Great Expectations name, e.g. ``expect_column_values_to_not_be_null``."""
    column: str | None
    """Column that it speaks of, or None for the whole table."""
    severity: Severity
    """``fail`` stops the run, ``warn`` is recorded."""
    success: bool
    """True if the expectation holds."""
    observed: str
    """What was found, in words, e.g. ``12 of 966 values are null``."""
    n_unexpected: int = 0
    """Rows that break the expectation."""
    failure_cases: tuple[str, ...] = ()
    """Up to 10 offending values, as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport(Record):
    """The contract held against one snapshot."""

    snapshot_digest: str
    """Digest of the snapshot."""
    n_expectations: int
    """Expectations evaluated."""
    n_failed: int
    """Broken expectations of severity ``fail``."""
    n_warned: int
    """Broken expectations of severity ``warn``."""
    report_uri: str
    """HTML page, relative to the storage root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRef(Record):
    """The profile of a training snapshot."""

    snapshot_digest: str
    """Digest of the snapshot."""
    uri: str
    """Folder with the page and its pictures, relative to the storage root."""
    n_columns: int
    """Columns profiled."""
    findings: tuple[str, ...]
    """What a person should look at, one sentence each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRef(Record):
    """A training snapshot cut by time into train, validation and test."""

    snapshot_digest: str
    """Digest of the snapshot that was cut."""
    digest: str
    """SHA-256 of the three sets."""
    uri: str
    """Folder, relative to the storage root."""
    n_train: int
    """Labelled rows to fit on."""
    n_validation: int
    """Labelled rows to choose on."""
    n_test: int
    """Labelled rows that nothing was fitted or chosen on."""
    n_unlabelled: int
    """Rows left out because no label was known at the cutoff."""
    n_immature: int
    """Rows left out because their partition had not matured at the cutoff."""
    train_start: datetime
    """First instant of the train set."""
    validation_start: datetime
    """First instant of the validation set, and the end of the train set."""
    test_start: datetime
    """First instant of the test set, and the end of the validation set."""
    test_end: datetime
    """First instant after the test set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRef(Record):
    """A fitted model on the artifact store."""

    estimator: str
    """Name of the estimator, e.g. ``xgboost``."""
    digest: str
    """SHA-256 of the bundle's manifest."""
    uri: str
    """Folder, relative to the storage root."""
    size_bytes: int
    """Bytes of all files."""
    fit_s: float
    """Seconds of fitting."""
    baseline: bool
    """True for the trivial models that a candidate has to beat."""
    validation_score: float
    """The acceptance metric on the validation set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricValue(Record):
    """One figure with its uncertainty."""

    name: str
    """Name, e.g. ``roc_auc`` or ``psi``."""
    value: float
    """The figure."""
    low: float | None = None
    """Lower end of its 95 % interval."""
    high: float | None = None
    """Upper end of its 95 % interval."""
    n: int | None = None
    """Rows behind it."""
    feature: str | None = None
    """Feature that it speaks of, if any."""
    slice: str | None = None
    """Slice that it speaks of, e.g. ``origin=EWR``; None for all rows."""
    label_coverage: float | None = None
    """Share of rows whose label is known, 0 to 1; None where no label is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationReport(Record):
    """The evidence about the best candidate, on the untouched test set."""

    estimator: str
    """Name of the candidate's estimator."""
    bundle: BundleRef
    """The candidate."""
    candidates: tuple[BundleRef, ...]
    """All estimators and baselines that were trained."""
    metrics: tuple[MetricValue, ...]
    """All metrics of the task, whole set first, then slices."""
    importance: tuple[MetricValue, ...]
    """What the candidate loses in the test set when a feature is shuffled, one a feature."""
    baselines: tuple[MetricValue, ...]
    """Candidate minus baseline in the acceptance metric, one per baseline; ``slice`` names the baseline."""
    champion_release: int | None
    """Release that was compared on the same rows, if there is one."""
    champion_difference: MetricValue | None
    """Candidate minus champion in the acceptance metric, paired."""
    champion_saw_test: bool
    """True if the champion was trained on some of the test rows."""
    n_test: int
    """Rows of the test set."""
    uri: str
    """Folder with plots, relative to the storage root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Record):
    """A recorded yes or no with its reasons."""

    kind: str
    """``accept`` (a model) or ``retrain``."""
    verdict: Verdict
    """The outcome."""
    reasons: tuple[str, ...]
    """One sentence for each thing that was weighed, decisive ones first."""
    decision_id: int | None = None
    """Row in ``tidemill.decision`` once it is recorded."""

    @property
    def accepted(self) -> bool:
        """True for ``accept`` alone: everything unclear is a no."""
        return self.verdict is Verdict.ACCEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRef(Record):
    """A registered bundle, resolved once at the start of a run."""

    model: str
    """Name of the model."""
    release_id: int
    """Row in ``tidemill.release``."""
    bundle_digest: str
    """Digest of its bundle."""
    bundle_uri: str
    """Folder, relative to the storage root."""
    snapshot_digest: str
    """Training snapshot."""
    known_until: datetime
    """Cutoff of its training: nothing learnt later went into it."""
    partition: str
    """Key of the partition that this answer is for."""
    simulated: bool = False
    """True if the release saw data after the partition's cutoff and the run says so."""
    token: int = 0
    """Claim on the partition, taken when this answer was given; 0 in a dry run, which claims nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRef(Record):
    """The outcome of ``register``."""

    model: str
    """Name of the model."""
    decision: Decision
    """The gate's decision."""
    release_id: int | None
    """The new release, or None in a dry run."""
    promoted: bool
    """True if it is the champion now."""
    mlflow_run_id: str | None
    """Run in MLflow that shows this training."""
    mlflow_version: str | None
    """Version in MLflow's registry, or None in a dry run."""


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
    mean_score: float
    """Mean of the scores."""
    published: bool = False
    """True once this run is the visible one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert(Record):
    """Something that a person should look at."""

    rule: str
    """Stable name of the rule, e.g. ``drift:dep_hour``; one open alert a model and rule."""
    severity: Severity
    """``fail`` needs action today, ``warn`` a look."""
    message: str
    """What, how bad and what to do, in one or two sentences."""
    value: float
    """Observed figure."""
    threshold: float
    """Figure that it crossed."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsRef(Record):
    """The outcome of ``alert``."""

    alerts: tuple[Alert, ...]
    """Alerts raised for the partition."""
    n_open: int
    """Alerts of the model that are open now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRef(Record):
    """A page on the artifact store."""

    uri: str
    """Folder with ``index.html``, relative to the storage root."""
