"""Label arrival: how many labels are known, and which partitions can be compared with each other.

Each day the labels of the newest partitions are counted by the instant at which they became known. The counts are
stored in the ledger. Those of matured partitions yield the arrival curve, and the curve the expected coverage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.intervals import Interval, key_order
from tidemill.monitoring.arrival import Arrival, arrival_ages, learn_arrival, shares_known
from tidemill.records import MetricValue
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec
from tidemill.steps.data.labels import labels_as_of
from tidemill.steps.monitor.realised_quality import Outcomes, outcomes_of
from tidemill.warehouse.ledger import Measurement
from tidemill.warehouse.predictions.publisher import PublishedRun

__all__ = ["LABELS", "Maturity", "arrival_of", "count_labels", "hours_since_end", "label_state"]

LABELS = "labels"  # part of the ledger's figures
KNOWN = "labels_known"  # share of rows with a known label at an age, which is the figure's slice
N_LEARNT = 28  # newest partitions that the curve is learned from: four of each weekday
N_YOUNG = 14  # newest partitions, not yet matured, whose labels are counted

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Maturity:
    """The arrival of labels as of a job's cutoff."""

    arrival: Arrival
    coverage: Mapping[str, float]
    """Share of known labels by partition."""
    late: frozenset[str]
    """Matured partitions that lack labels usual at their age."""


def count_labels(job: Job, matured: Mapping[str, Outcomes], runs: Mapping[str, PublishedRun], until: str) -> Maturity:
    """Count and record the labels of matured and newer partitions, and return which are late.

    Parameters
    ----------
    matured : mapping of str to Outcomes
        Partitions whose labels have had the declared time to arrive, by key.
    runs : mapping of str to PublishedRun
        All published runs, by key.
    until : str
        Newest partition to examine.
    """
    outcomes = {**matured, **_young(job, matured, runs, until)}
    arrival = arrival_of(job, until, [_course(job, item) for item in matured.values()], leave_out=set(matured))
    late = []
    for key, item in outcomes.items():
        age = hours_since_end(job, key)
        figures = _figures(job, item, arrival, age)
        job.ledger.record_metrics(
            Measurement(
                model=job.spec.model,
                partition=key,
                part=LABELS,
                release_id=item.run.release_id,
                as_of=job.partition.cutoff,
                run_id=job.run_id,
            ),
            figures,
        )
        if key in matured and not arrival.has_enough(item.label_coverage, age):
            late.append(key)
    coverage = {key: item.label_coverage for key, item in outcomes.items()}
    return Maturity(arrival=arrival, coverage=coverage, late=frozenset(late))


def arrival_of(
    job: Job,
    until: str,
    newest: Sequence[Mapping[float, float]] = (),
    leave_out: frozenset[str] | set[str] = frozenset(),
) -> Arrival:
    """Learn the curve from the ledger's counts and from counts not stored yet.

    Parameters
    ----------
    until : str
        Newest partition to learn from.
    newest : sequence of mapping of float to float, default ()
        Courses of the newest partitions.
    leave_out : set of str, default ()
        Partitions whose counts are not read from the ledger, since they are in ``newest``.
    """
    counted = job.ledger.metrics(job.spec.model, LABELS, KNOWN, until=until)
    kept = [
        {float((figure.slice or "").removeprefix("age=").removesuffix("h")): figure.value for figure in figures}
        for key, figures in counted.items()
        if key not in leave_out
    ]
    return learn_arrival([*kept, *newest][-N_LEARNT:], _ages(job), _matures_after(job))


def hours_since_end(job: Job, key: str) -> float:
    """Return the age of a partition at the job's cutoff, in hours."""
    return (job.partition.cutoff - job.spec.partition(key).interval.end) / HOUR


def label_state(spec: ModelSpec, key: str, *, hours: float, coverage: float, arrival: Arrival) -> str:
    """Return ``arriving``, ``mature`` or ``late`` for a partition at an age in hours; labels are due by the wall clock."""
    partition = spec.partition(key)
    if partition.interval.end + hours * HOUR < partition.due(spec.label.matures_after):
        return "arriving"
    return "mature" if arrival.has_enough(coverage, hours) else "late"


def _young(
    job: Job, matured: Mapping[str, Outcomes], runs: Mapping[str, PublishedRun], until: str
) -> dict[str, Outcomes]:
    """Read the partitions that have ended but not matured, with one query for all labels."""
    newest = max(map(key_order, matured), default="")
    found = [
        run
        for key, run in runs.items()
        if newest < key_order(key) <= key_order(until)
        and run.n_rows
        and run.task == job.spec.task
        and hours_since_end(job, key) >= 0
        and job.partition.cutoff < job.spec.partition(key).due(job.spec.label.matures_after)
    ][-N_YOUNG:]
    if not found:
        return {}
    intervals = [job.spec.partition(run.partition).interval for run in found]
    span = Interval(start=min(item.start for item in intervals), end=max(item.end for item in intervals))
    labels = labels_as_of(job, span, job.partition.cutoff)
    return {run.partition: outcomes_of(job, run, labels) for run in found}


def _figures(job: Job, outcomes: Outcomes, arrival: Arrival, age: float) -> tuple[MetricValue, ...]:
    n = outcomes.rows.num_rows
    return (
        MetricValue(name="label_coverage", value=outcomes.label_coverage, n=n),
        MetricValue(name="label_coverage_usual", value=arrival.expected(age), n=arrival.n_partitions),
        MetricValue(name="hours_since_end", value=age),
        *(
            MetricValue(name=KNOWN, value=share, n=n, slice=f"age={hours:g}h")
            for hours, share in _course(job, outcomes).items()
        ),
    )


def _course(job: Job, outcomes: Outcomes) -> dict[float, float]:
    key = outcomes.run.partition
    observed = pc.drop_null(outcomes.observed_at).cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    delays = observed / 3.6e9 - job.spec.partition(key).interval.end.timestamp() / 3600  # microseconds, seconds: hours
    return shares_known(delays, outcomes.rows.num_rows, _ages(job), hours_since_end(job, key))


def _ages(job: Job) -> tuple[float, ...]:
    interval = job.partition.interval
    return arrival_ages(job.spec.label.matures_after, interval.end - interval.start)


def _matures_after(job: Job) -> float:
    return job.spec.label.matures_after / HOUR
