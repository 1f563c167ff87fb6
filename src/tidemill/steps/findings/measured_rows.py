"""A partition's rows and scores, measured against the release's reference and against the newest preceding partitions."""

from typing import Any

from tidemill.monitoring.breaks import detect_breaks
from tidemill.monitoring.drift import detect_drift, detect_score_drift
from tidemill.monitoring.profile import ColumnProfile
from tidemill.records import CollectedRef, MetricValue
from tidemill.runtime.job import Job
from tidemill.steps.findings.recent_counts import count_newest

__all__ = ["measure_rows"]


def measure_rows(
    job: Job, collected: CollectedRef, reference: tuple[ColumnProfile, ...], analysis: tuple[ColumnProfile, ...]
) -> tuple[MetricValue, ...]:
    """Return the figures of drift, score drift and breaks.

    Parameters
    ----------
    collected : CollectedRef
        The partition's rows, published or not.
    reference : tuple of ColumnProfile
        The release's features, and its scores or predicted classes last.
    analysis : tuple of ColumnProfile
        The partition, counted into the same bins.
    """
    limit, features, counted = job.spec.monitor.psi, reference[:-1], analysis[:-1]
    return (
        *detect_drift(features, counted, psi_threshold=limit, importance=_importance(job, collected)),
        *detect_score_drift(reference[-1], analysis[-1], psi_threshold=limit),
        *detect_breaks(features, counted, count_newest(job, collected, features)),
    )


def _importance(job: Job, collected: CollectedRef) -> dict[str, float]:
    """Return the importance of each feature, as measured in the release's evaluation."""
    release = job.releases.release(job.spec.model, collected.release_id)
    evidence: dict[str, Any] = {} if release is None else release.evidence
    found = (MetricValue.from_dict(item) for item in evidence.get("importance", ()))
    return {item.feature: item.value for item in found if item.feature is not None}
