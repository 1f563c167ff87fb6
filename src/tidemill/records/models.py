"""Records about models: a bundle, its evidence, a release and its promotion."""

from dataclasses import dataclass, field
from datetime import datetime

from tidemill.records.evidence import BehaviourCheck, FeatureGroup, Rehearsal, SliceSearch
from tidemill.records.figures import Decision, MetricValue, Record
from tidemill.records.search import Parameters, SearchReport

__all__ = ["Answer", "BundleRef", "DeploymentRef", "EvaluationReport", "Refit", "ReleaseRef"]


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
    """Fit time in seconds."""
    baseline: bool
    """True for the trivial models that a candidate must beat."""
    validation_score: float
    """Acceptance metric on the validation set."""
    parameters: Parameters = field(default_factory=dict)
    """Settings that differ from the estimator's defaults, by name."""
    search: SearchReport | None = None
    """The search that found them, if any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit(Record):
    """The candidate fitted again on all labelled rows, with the settings and the number of rounds that were judged."""

    judged: BundleRef
    """The fit on the train set, which all figures are about."""
    n_rows: int
    """Labelled rows that it was fitted on."""
    behaviour: tuple[BehaviourCheck, ...]
    """Its behaviour checks."""
    rehearsal: Rehearsal
    """Its scores in a clean process."""
    churn: MetricValue
    """Difference between its answers and the judged bundle's on the test rows; 0 if they are equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationReport(Record):
    """Evidence about the best candidate on the untouched test set."""

    estimator: str
    """Name of the candidate's estimator."""
    bundle: BundleRef
    """The candidate, or its fit on all labelled rows if there is one."""
    candidates: tuple[BundleRef, ...]
    """All trained estimators and baselines."""
    metrics: tuple[MetricValue, ...]
    """All metrics of the task: the whole set first, then slices."""
    importance: tuple[MetricValue, ...]
    """Permutation importance of each feature on the test set."""
    baselines: tuple[MetricValue, ...]
    """Candidate minus baseline in the acceptance metric, one per baseline; ``slice`` names the baseline."""
    champion_release: int | None
    """Champion compared on the same rows, if any."""
    champion_difference: MetricValue | None
    """Candidate minus champion in the acceptance metric, paired."""
    champion_saw_test: bool
    """True if the champion was trained on some of the compared rows."""
    n_test: int
    """Rows of the test set."""
    uri: str
    """Folder with the plots, relative to the storage root."""
    search_gain: MetricValue | None = None
    """Candidate minus the same estimator with defaults in the acceptance metric; None if the defaults won."""
    n_test_blocks: int | None = None
    """Blocks of time (partitions) of the test set; None in older records."""
    champion_problem: str = ""
    """Why the champion could not be compared, in one sentence; empty if it was, or if there is none."""
    champion_slices: tuple[MetricValue, ...] = ()
    """Candidate minus champion in the acceptance metric, one per value of the declared slices."""
    churn: MetricValue | None = None
    """Difference between the candidate's and the champion's answers on the same rows; 0 if they are equal."""
    mean_change: MetricValue | None = None
    """Mean absolute difference of the candidate's and the champion's scores."""
    behaviour: tuple[BehaviourCheck, ...] = ()
    """Behaviour checks with reordered, broken and unseen rows."""
    rehearsal: Rehearsal | None = None
    """Scores of the candidate in a clean process."""
    threshold: float | None = None
    """Score from which a row counts as positive; only for ``binary``."""
    threshold_criterion: str = ""
    """Origin of the threshold, e.g. ``best F1 on 900 validation rows: 0.512``."""
    calibration: str = ""
    """How scores were calibrated, e.g. ``isotonic on 2100 validation rows``; empty if they were not."""
    unlabelled_share: float | None = None
    """Share of the rows of the three sets that have no label, 0 to 1; None in older records."""
    unmatched_label_share: float | None = None
    """Share of the known labels whose key belongs to no row, 0 to 1; None in older records."""
    near_match_share: float = 0.0
    """Share of the rows whose key differs from that of an unmatched label only in blanks, case, leading zeros or ``.0``."""
    champion_unlabelled_share: float | None = None
    """The champion's ``unlabelled_share``; None without a champion, and in older records."""
    champion_looks: int = 1
    """Trainings that were compared with this champion, this one included."""
    anchor_release: int | None = None
    """Champion of some promotions ago that was compared as well; None unless ``accept.anchor`` asks for it and there is one."""
    anchor_difference: MetricValue | None = None
    """Candidate minus that release in the acceptance metric, paired."""
    anchor_problem: str = ""
    """Why it could not be compared, in one sentence; empty if it was."""
    gaps: tuple[MetricValue, ...] = ()
    """Figures of each group of the audit columns minus those of the other test rows; ``slice`` names the group."""
    feature_groups: tuple[FeatureGroup, ...] = ()
    """Gain and cost of groups of features; empty unless ``train.leave_out`` asks for it."""
    slice_search: SliceSearch | None = None
    """The search for weak slices; None if the evaluation is not shown, and in older records."""
    metric_source: str = ""
    """SHA-256 of the file that defines the metric that decides, if it is a user's function."""
    explained: BehaviourCheck | None = None
    """Whether the candidate's scores could be explained by feature; None if the evaluation is not shown."""
    strong_columns: tuple[str, ...] = ()
    """A sentence about each column that predicts the label very well by itself and is not in ``train.known_ahead``."""
    refit: Refit | None = None
    """The fit on all labelled rows; None unless ``train.refit`` asks for it and the gate accepts the candidate."""

    @property
    def judged(self) -> BundleRef:
        """The bundle that was measured."""
        return self.bundle if self.refit is None else self.refit.judged


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRef(Record):
    """A registered bundle, resolved once per run."""

    model: str
    release_id: int
    """Row in ``tidemill.release``."""
    bundle_digest: str
    bundle_uri: str
    """Folder, relative to the storage root."""
    snapshot_digest: str
    """Training snapshot."""
    known_until: datetime
    """Cutoff of its training: it knows nothing observed later."""
    partition: str
    """Key of the partition to score."""
    simulated: bool = False
    """True if the release saw data after the partition's cutoff and the run allows it."""
    token: int = 0
    """Claim on the partition; 0 in a dry run, which claims nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Record):
    """A person's answer about a model that the gate accepts."""

    approved: bool
    """Approved or refused; no answer counts as refused."""
    by: str
    """Person; empty if the time ran out."""
    at: datetime
    comment: str = ""
    """Reason in the person's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRef(Record):
    """The outcome of ``register``."""

    model: str
    decision: Decision
    """The gate's decision."""
    release_id: int | None
    """The new release, or None in a dry run."""
    promoted: bool
    """True if it is the champion now."""
    mlflow_run_id: str | None
    """MLflow run of this training."""
    mlflow_version: str | None
    """Version in MLflow's model registry, or None in a dry run."""
    mirror_problem: str = ""
    """Why MLflow does not show it yet; empty if it does, or without MLflow."""
    waiting: bool = False
    """True if the gate accepts, and a person has yet to approve."""
    approval: Decision | None = None
    """The person's decision, if one was required."""
    in_shadow: bool = False
    """True if it now scores in the shadow of the champion."""
