"""Score the partitions that a release in the shadow lacks, and compare it with the champion where labels have matured.

The rows are those that the champion was published on, and a run without a claim can never be published. Each partition is
compared once: a figure that changed afterwards would invalidate what was concluded from it.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tidemill.intervals import key_order
from tidemill.metrics.definitions import greater_is_better
from tidemill.records import CollectedRef, MetricValue, Shadow, ShadowRef
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.steps.data.labels import labels_as_of
from tidemill.steps.monitor.realised_quality import measured, outcomes_of
from tidemill.steps.predict.predict import write_scores
from tidemill.warehouse.ledger import Measurement
from tidemill.warehouse.predictions.publisher import PublishedRun
from tidemill.warehouse.releases.origins import Origins
from tidemill.warehouse.releases.resolution import resolve_release
from tidemill.warehouse.releases.shadows import ShadowRun
from tidemill.workspace import LEDGER

__all__ = ["compared", "gain_name", "shadow"]

ScoredTwice = Mapping[tuple[str, str], ShadowRun]


@declarations.shadow
def shadow(job: Job, collected: CollectedRef) -> ShadowRef:
    """Score what the release in the shadow lacks, and measure its gain over the champion on newly matured partitions.

    Raises
    ------
    ArtifactCorrupt
        If its bundle or a snapshot is gone or damaged.
    """
    running = job.shadows.running(job.spec.model)
    if running is None:
        return ShadowRef(shadow=None)
    runs = [run for run in job.publisher.published(job.spec.model) if _belongs(job, running, run, collected)]
    before = job.shadows.runs(job.spec.model, running)
    lacking = [run for run in runs if (run.partition, run.snapshot_digest) not in before]
    for run in lacking:
        _score(job, running, run)
    scored = job.shadows.runs(job.spec.model, running) if lacking else before
    return ShadowRef(
        shadow=running,
        scored=tuple(run.partition for run in lacking),
        measured=tuple(_measure(job, running, runs, scored)),
        n_rows=sum(run.n_rows for run in lacking),
    )


def _belongs(job: Job, running: Shadow, run: PublishedRun, collected: CollectedRef) -> bool:
    """Whether the champion has published a partition that the comparison covers."""
    return (
        run.release_id == running.against
        and run.task == job.spec.task
        and key_order(run.partition) <= key_order(collected.partition)
        and running.covers(job.spec.partition(run.partition).cutoff)
    )


def _score(job: Job, running: Shadow, run: PublishedRun) -> None:
    partition = job.spec.partition(run.partition)
    release = resolve_release(job.releases, job.spec.model, partition, release_id=running.release_id)
    snapshot = Origins(job.workspace.connection(LEDGER)).snapshot(job.spec.model, run.snapshot_digest)
    write_scores(job, release, snapshot)


def _measure(job: Job, running: Shadow, runs: Sequence[PublishedRun], scored: ScoredTwice) -> Iterator[str]:
    """Record the gain on each matured partition that has none yet, and yield its key."""
    known = compared(job, running)
    for run in runs:
        due = job.spec.partition(run.partition).due(job.spec.label.matures_after) <= job.partition.cutoff
        if run.n_rows and due and run.partition not in known:
            gain = _gain(job, running, run, scored[run.partition, run.snapshot_digest])
            if not math.isfinite(gain.value):  # no label yet, or of one class only
                continue
            at = Measurement(
                model=job.spec.model,
                partition=run.partition,
                part="shadow",
                release_id=running.release_id,
                as_of=job.partition.cutoff,
                run_id=job.run_id,
            )
            job.ledger.record_metrics(at, (gain,))
            yield run.partition


def _gain(job: Job, running: Shadow, run: PublishedRun, other: ShadowRun) -> MetricValue:
    """Measure how much better the release in the shadow is than the champion on the known labels of a partition."""
    metric = job.spec.accept.metric
    labels = labels_as_of(job, job.spec.partition(run.partition).interval, job.partition.cutoff)
    in_shadow = replace(
        run,
        prediction_run_id=other.prediction_run_id,
        release_id=running.release_id,
        threshold=other.threshold,
    )
    outcomes = (outcomes_of(job, item, labels) for item in (in_shadow, run))
    value, champion = (
        next(f for f in measured(item.run, item.y, item.rows, item.weight, metric) if f.name == metric)
        for item in outcomes
    )
    sign = 1.0 if greater_is_better(metric) else -1.0
    return replace(champion, name=gain_name(running), value=sign * (value.value - champion.value), low=None, high=None)


def gain_name(running: Shadow) -> str:
    """Return the name of the figure that holds a comparison's gains."""
    return f"gain_of_shadow_{running.shadow_id}"


def compared(job: Job, running: Shadow) -> dict[str, float]:
    """Return the gain on each partition that was compared, oldest first."""
    found = job.ledger.metrics(job.spec.model, "shadow", gain_name(running), until=job.partition.key)
    return {key: values[0].value for key, values in found.items() if values}
