"""The steps, declared in the order in which the chains run them. A signature here is the promise; the module keeps it.

Inputs before ``*`` come from earlier steps: a chain passes the newest record of the declared type, or all of them where
the type is a tuple. Inputs after ``*`` are chosen by the person who starts the run, in a trigger form or by an option.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, Unpack

from tidemill.records import (
    AlertsRef,
    Answer,
    BundleRef,
    CheckReport,
    CollectedRef,
    Decision,
    DeploymentRef,
    EvaluationReport,
    LookedBack,
    ModelTests,
    MonitorRef,
    PageRef,
    PredictionRef,
    ProfileRef,
    Readiness,
    ReleaseRef,
    Reproduction,
    ScoresRef,
    SentRef,
    ShadowRef,
    Shard,
    SnapshotRef,
    SplitRef,
)
from tidemill.runtime.step import NO_ROWS, Batches, LaterSteps, Rows, Step, step

if TYPE_CHECKING:
    from tidemill.runtime.job import Job

__all__ = [
    "STEPS", "TrainingRecords", "alert", "analyse", "approve", "await_ready", "collect", "compute", "decide", "declaration",
    "drift", "evaluate", "extract", "freshness", "inspect", "look_back", "notify", "performance", "predict", "prepare",
    "producers", "publish", "record_outcome", "register", "report", "reproduce", "resolve_release", "run_tests", "score",
    "settle", "shadow", "steps_of", "train", "validate_data", "validate_model",
]  # fmt: skip

_QUICK, _HOUR = timedelta(minutes=10), timedelta(hours=1)


class TrainingRecords(TypedDict):
    """What the steps of a training have found, for its release."""

    snapshot: SnapshotRef
    profile: ProfileRef
    split: SplitRef
    evaluation: EvaluationReport
    decision: Decision
    approval: NotRequired[Decision | None]


@step(
    "steps.monitor.await_ready", chains=("train", "predict", "monitor"), limit=_QUICK, memory=NO_ROWS, airflow_only=True
)
def await_ready(job: "Job", chain: str, *, tick: datetime | None = None, missing: tuple[str, ...] = ()) -> Readiness:
    """Decide whether a run begins, waits for its data, or is skipped; waiting occupies no process."""


@step("steps.predict.resolve_release", chains=("predict",), limit=_QUICK, memory=NO_ROWS)
def resolve_release(
    job: "Job", *, release: int | None = None, policy: str = "live_then", simulate: bool = False, dry_run: bool = False
) -> ReleaseRef:
    """Decide once which release scores the partition."""


@step(
    "steps.data.extract",
    chains=("train", "predict"),
    limit=timedelta(hours=4),  # one statement gets half an hour, and a training window takes many
    memory=NO_ROWS,
)
def extract(job: "Job", purpose: str) -> SnapshotRef:
    """Take a snapshot of the source.

    With purpose ``score`` it holds the partition's rows, with ``train`` those of the training window before it.
    """


@step("steps.data.validate_data", chains=("train", "predict"), limit=_HOUR, memory=LaterSteps(chain="train"))
def validate_data(job: "Job", snapshot: SnapshotRef) -> CheckReport:
    """Check a snapshot against the model's contract."""


@step("steps.train.analyse", chains=("train",), limit=_HOUR, memory=Rows(times=4.0, extra_bytes=250))
def analyse(job: "Job", snapshot: SnapshotRef) -> ProfileRef:
    """Draw the profile of a training snapshot."""


@step("steps.train.prepare", chains=("train",), limit=_HOUR, memory=Rows(times=5.0, extra_bytes=250))
def prepare(job: "Job", snapshot: SnapshotRef) -> SplitRef:
    """Split a training snapshot by time into train, validation and test set, and look for leaks."""


@step(
    "steps.train.train",
    chains=("train",),
    limit=timedelta(hours=6),  # a training that takes longer needs a bigger machine or fewer trials
    memory=Rows(times=4.5, extra_bytes=60, without_test=True),
)
def train(job: "Job", split: SplitRef, estimator: str, *, trials: int | None = None) -> BundleRef:
    """Fit one estimator; map over ``estimator`` for several."""


@step(
    "steps.train.evaluate",
    chains=("train",),
    limit=timedelta(hours=2),  # the bootstrap scores every candidate
    memory=Rows(times=3.0, extra_bytes=60, whole_test=True, times_with_refit=5.5),  # the fit's 4.5, and the test set
)
def evaluate(job: "Job", split: SplitRef, bundles: tuple[BundleRef, ...], *, shown: bool = True) -> EvaluationReport:
    """Measure the best candidate on the untouched test set."""


@step("steps.train.validate_model", chains=("train",), limit=_QUICK, memory=NO_ROWS)
def validate_model(job: "Job", evaluation: EvaluationReport) -> Decision:
    """Let the acceptance gate decide."""


@step(
    "steps.train.approve",
    chains=("train",),
    limit=_QUICK,  # writes an answer down; waiting for it occupies no process
    memory=NO_ROWS,
    airflow_only=True,
)
def approve(
    job: "Job",
    evaluation: EvaluationReport,
    decision: Decision,
    *,
    answer: Answer | None = None,
    dry_run: bool = False,
) -> Decision:
    """Record a person's answer to what the gate accepts."""


@step(
    "steps.train.register",
    chains=("train",),
    limit=timedelta(minutes=30),  # uploads to MLflow, which may be slow
    memory=NO_ROWS,
)
def register(
    job: "Job", *, dry_run: bool = False, reason: str = "", **training: Unpack[TrainingRecords]
) -> DeploymentRef:
    """Release an accepted model, and show the training in MLflow."""


@step(
    "steps.predict.predict",
    chains=("predict",),
    limit=timedelta(hours=2),
    memory=Batches(times=4.0),
    airflow_only=True,
)
def score(job: "Job", release: ReleaseRef, snapshot: SnapshotRef, shard: Shard) -> ScoresRef:
    """Score one shard of a snapshot; map over ``shard`` for all."""


@step(
    "steps.predict.predict",
    chains=("predict",),
    limit=timedelta(hours=2),  # a million rows take a minute
    memory=Batches(times=4.0),
)
def predict(
    job: "Job", release: ReleaseRef, snapshot: SnapshotRef, scores: tuple[ScoresRef, ...] = ()
) -> PredictionRef:
    """Score a snapshot, or take its scores from ``score``, and write the rows, not yet visible."""


@step("steps.predict.inspect", chains=("predict",), limit=_HOUR, memory=NO_ROWS)
def inspect(
    job: "Job", prediction: PredictionRef, snapshot: SnapshotRef, *, answer: Answer | None = None, dry_run: bool = False
) -> Decision:
    """Look at the written rows as monitoring would; withhold them if they differ too much from the model's past."""


@step("steps.predict.publish", chains=("predict",), limit=_QUICK, memory=NO_ROWS)
def publish(job: "Job", prediction: PredictionRef, *, dry_run: bool = False) -> PredictionRef:
    """Make the written rows the visible ones."""


@step("steps.predict.look_back", chains=("predict",), limit=timedelta(hours=4), memory=NO_ROWS, airflow_only=True)
def look_back(job: "Job") -> LookedBack:
    """Read the newest partitions before this one again, and find those whose rows have changed."""


@step("steps.monitor.monitor", chains=("monitor",), limit=_QUICK, memory=NO_ROWS)
def collect(job: "Job") -> CollectedRef:
    """Gather what monitoring needs about a partition."""


@step("steps.monitor.monitor", chains=("monitor",), limit=_HOUR, memory=NO_ROWS)
def drift(job: "Job", collected: CollectedRef) -> MonitorRef:
    """Compare the partition's rows and scores with the training snapshot's."""


@step("steps.monitor.monitor", chains=("monitor",), limit=_HOUR, memory=NO_ROWS)
def performance(job: "Job", collected: CollectedRef) -> MonitorRef:
    """Measure the quality of partitions whose labels have matured."""


@step("steps.monitor.monitor", chains=("monitor",), limit=_QUICK, memory=NO_ROWS)
def compute(job: "Job", collected: CollectedRef) -> MonitorRef:
    """Compare what the partition's steps cost with what they cost before."""


@step("steps.monitor.freshness", chains=("monitor",), limit=_QUICK, memory=NO_ROWS)
def freshness(job: "Job", collected: CollectedRef) -> MonitorRef:
    """Compare the partition's rows, ages, columns and versions with those of earlier partitions."""


@step(
    "steps.monitor.shadow",
    chains=("monitor",),
    limit=timedelta(hours=2),  # scores as predict does, several partitions after an interruption
    memory=NO_ROWS,  # a few batches at a time
)
def shadow(job: "Job", collected: CollectedRef) -> ShadowRef:
    """Let the release in the shadow score what the champion has published, and compare both on matured labels."""


@step("operations.shadow", chains=("monitor",), limit=_HOUR, memory=NO_ROWS)
def settle(job: "Job", shadow: ShadowRef) -> Decision:
    """Decide whether the release in the shadow replaces the champion, goes, or stays there."""


@step("steps.monitor.monitor", chains=("monitor",), limit=_QUICK, memory=NO_ROWS)
def alert(job: "Job", collected: CollectedRef, parts: tuple[MonitorRef, ...]) -> AlertsRef:
    """Open, update and resolve alerts."""


@step("steps.monitor.monitor", chains=("monitor",), limit=timedelta(minutes=30), memory=NO_ROWS)
def report(job: "Job", collected: CollectedRef, alerts: AlertsRef) -> PageRef:
    """Write the partition's page."""


@step(
    "steps.monitor.notify",
    chains=("monitor",),
    limit=timedelta(minutes=30),  # delivers over the network
    memory=NO_ROWS,
)
def notify(job: "Job") -> SentRef:
    """Send the waiting messages about alerts; fail while any of them still waits."""


@step("steps.train.retrain", chains=("retrain",), limit=_QUICK, memory=NO_ROWS)
def decide(job: "Job") -> Decision:
    """Decide whether a new challenger is due."""


@step("steps.train.retrain", chains=("retrain",), limit=_QUICK, memory=NO_ROWS)
def record_outcome(job: "Job", decision: Decision, *, dry_run: bool = False) -> Decision:
    """Record what came of a decision."""


@step(
    "operations.reproduce",
    chains=("reproduce",),
    limit=timedelta(hours=12),  # extracts, trains and scores again
    memory=NO_ROWS,  # each step that it repeats is checked by itself
)
def reproduce(
    job: "Job", *, release: int | None = None, prediction_run: int | None = None, as_declared: bool = False
) -> Reproduction:
    """Build a release again and compare it with what it was; the one that the partition picks, unless one is named.

    The task succeeds whatever the verdict is: the ledger, its XCom and ``tidemill doctor`` have it.
    """


@step(
    "testing.run",
    chains=("test",),
    limit=timedelta(hours=4),  # copies a training window, and trains on a sample of it three times
    memory=NO_ROWS,  # each step that it repeats is checked by itself
)
def run_tests(job: "Job", *, rows: int = 10_000, junit: str = "") -> ModelTests:
    """Test the model on a sample of its source, in a database of its own.

    The step succeeds whatever the outcomes are; the ML Test Score counts them.
    """


STEPS: Mapping[str, Step[..., Any]] = {found.name: found for found in vars().copy().values() if isinstance(found, Step)}
"""Every step by its name, in the order of declaration."""


def declaration(step: str) -> Step[..., Any]:
    """Return the declaration of a step.

    Raises
    ------
    ValueError
        If there is no such step.
    """
    if step not in STEPS:
        raise ValueError(f"Unknown step {step!r}. Steps are {', '.join(STEPS)}.")
    return STEPS[step]


def steps_of(chain: str) -> list[Step[..., Any]]:
    """Return the steps of a chain in order, without those that only Airflow runs."""
    return [found for found in STEPS.values() if chain in found.chains and not found.airflow_only]


def producers(step: Step[..., Any], name: str) -> list[Step[..., Any]]:
    """Return the steps whose records become an input of a later step; none if the input is not a record of a step.

    Examples
    --------
    >>> [found.name for found in producers(STEPS["register"], "approval")]
    ['approve']
    """
    taken, order = step.inputs[name], list(STEPS.values())
    return [
        found
        for found in order[: order.index(step)]
        if found.record is taken.record
        and set(found.chains) & set(step.chains)
        and found.airflow_only is not taken.required
    ]
