"""Records about models: a bundle, the evidence about it, a release and its going live."""

from dataclasses import dataclass, field
from datetime import datetime

from tidemill.records.evidence import BehaviourCheck, Rehearsal
from tidemill.records.figures import Decision, MetricValue, Record
from tidemill.records.search import Parameters, SearchReport

__all__ = ["Answer", "BundleRef", "DeploymentRef", "EvaluationReport", "ReleaseRef"]


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
    parameters: Parameters = field(default_factory=dict)
    """Settings that differ from the estimator's defaults, by name."""
    search: SearchReport | None = None
    """How they were found, if they were searched for."""


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
    """True if the champion was trained on some of the rows that it is compared on."""
    n_test: int
    """Rows of the test set."""
    uri: str
    """Folder with plots, relative to the storage root."""
    search_gain: MetricValue | None = None
    """Candidate minus the same estimator with its defaults in the acceptance metric; None if nothing else was found."""
    n_test_blocks: int | None = None
    """Blocks of time (partitions) of the test set; None in older records."""
    champion_problem: str = ""
    """Why the champion could not be compared, in a sentence; empty if it was, or if there is none."""
    champion_slices: tuple[MetricValue, ...] = ()
    """Candidate minus champion in the acceptance metric, one per value of the declared slices."""
    churn: MetricValue | None = None
    """How far the candidate's answers are from the champion's on the same rows; 0 if they are the same."""
    mean_change: MetricValue | None = None
    """Mean absolute difference of the candidate's and the champion's scores."""
    behaviour: tuple[BehaviourCheck, ...] = ()
    """What the candidate does with reordered, broken and unheard-of rows."""
    rehearsal: Rehearsal | None = None
    """The candidate in a clean process."""
    threshold: float | None = None
    """Score from which a row counts as positive; None but for ``binary``."""
    threshold_criterion: str = ""
    """How the threshold was chosen, e.g. ``best F1 on 900 validation rows: 0.512``."""
    calibration: str = ""
    """How scores were calibrated, e.g. ``isotonic on 2100 validation rows``; empty if they were not."""
    unlabelled_share: float | None = None
    """Share of the rows of the three sets that have no label, 0 to 1; None in older records."""
    unmatched_label_share: float | None = None
    """Share of the known labels whose key belongs to no row, 0 to 1; None in older records."""
    champion_unlabelled_share: float | None = None
    """The champion's ``unlabelled_share``; None without a champion, and in older records."""


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
    """True if the release saw data after the partition's cutoff, as allowed by the run."""
    token: int = 0
    """Claim on the partition, taken when this answer was given; 0 in a dry run, which claims nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Record):
    """What a person said about a model that the gate accepts."""

    approved: bool
    """Yes or no; no answer counts as a refusal."""
    by: str
    """Who; empty if the time ran out."""
    at: datetime
    """When."""
    comment: str = ""
    """Why, in the person's words."""


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
    mirror_problem: str = ""
    """Why MLflow does not show it yet; empty if it does, or there is no MLflow."""
    waiting: bool = False
    """True if the gate accepts, and a person has yet to approve."""
    approval: Decision | None = None
    """The person's decision, where one was asked for."""
