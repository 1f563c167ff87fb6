"""What follows the gate's decision: the shadow of the champion, or the champion's place with its predecessor in the shadow."""

from tidemill.metrics.definitions import greater_is_better
from tidemill.modeling.gate.comparison import default_margin
from tidemill.records import Decision, EvaluationReport, Role, Shadow, Verdict
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec
from tidemill.warehouse.releases.registry import Releases
from tidemill.warehouse.releases.shadows import Shadows
from tidemill.workspace import PROMOTER, Workspace

__all__ = ["enters_shadow", "start_in_shadow", "tolerated", "watch_predecessor"]


def enters_shadow(job: Job, evaluation: EvaluationReport, decision: Decision, *, agreed: bool) -> bool:
    """Whether a challenger is compared in the shadow before it may serve.

    A candidate that the gate could not decide about may go there too, unless a person must approve and was not asked.
    """
    if job.spec.accept.shadow is None or evaluation.champion_difference is None:
        return False
    undecided = decision.verdict is Verdict.NOT_ENOUGH_EVIDENCE and job.spec.accept.approval == "automatic"
    return agreed or undecided


def tolerated(spec: ModelSpec, evaluation: EvaluationReport) -> float:
    """Return the loss of the acceptance metric that the gate tolerates."""
    metric, margin = spec.accept.metric, spec.accept.margin
    return default_margin(evaluation, metric, 1.0 if greater_is_better(metric) else -1.0) if margin is None else margin


def start_in_shadow(job: Job, release_id: int, evaluation: EvaluationReport, decision: Decision) -> bool:
    """Let a challenger score in the champion's shadow; False if another one does, or its time is over."""
    if evaluation.champion_release is None or job.spec.accept.shadow is None:
        raise ValueError("without a champion and accept.shadow, nothing is compared in a shadow")
    wanted = Shadow(
        shadow_id=0,
        release_id=release_id,
        against=evaluation.champion_release,
        role=Role.CHALLENGER,
        decision_id=decision.decision_id,
        start=job.partition.cutoff,
        end=job.partition.shift(job.partition.cutoff, job.spec.accept.shadow),
        margin=tolerated(job.spec, evaluation),
    )
    return Shadows(job.workspace.connection(PROMOTER)).start(job.spec.model, wanted)


def watch_predecessor(workspace: Workspace, spec: ModelSpec, *, successor: int, margin: float) -> bool:
    """Let the champion that a release has replaced score in its shadow, if ``accept.watch`` asks for it."""
    if spec.accept.watch is None:
        return False
    releases = Releases(workspace.connection(PROMOTER))
    found = (item for item in releases.deployments(spec.model) if item.release_id == successor)
    deployment = next(found, None)
    if deployment is None or deployment.previous_release_id is None:
        return False
    start = deployment.live_from
    wanted = Shadow(
        shadow_id=0,
        release_id=deployment.previous_release_id,
        against=successor,
        role=Role.PREDECESSOR,
        decision_id=None,
        start=start,
        end=spec.partition_at(start).shift(start, spec.accept.watch),
        margin=margin,
    )
    return Shadows(releases.url).start(spec.model, wanted)
