"""The alert thresholds of a model: those of its spec, with the quality floor converted to single partitions."""

import math

from tidemill.metrics.definitions import greater_is_better
from tidemill.monitoring.alerts.rules import AlertThresholds
from tidemill.runtime.job import Job

__all__ = ["floor_of_partitions", "thresholds"]


def thresholds(job: Job) -> AlertThresholds:
    """Return the spec's thresholds."""
    monitor, accept = job.spec.monitor, job.spec.accept
    return AlertThresholds(
        psi=monitor.psi,
        drift_share=monitor.drift_share,
        null_share=monitor.null_share,
        label_coverage=monitor.label_coverage,
        volume_ratio=monitor.volume_ratio,
        set_aside_share=job.spec.predict.quarantine.share,
        compute_ratio=monitor.compute_ratio,
        metric=f"{accept.metric}_recent",
        floor=floor_of_partitions(job),
        greater_is_better=greater_is_better(accept.metric),
    )


def floor_of_partitions(job: Job) -> float | None:
    """Return the spec's floor converted to single partitions, as alerts and the page use it.

    The floor applies to all test rows together. At acceptance the metric of single partitions differs from it: the area
    under the curve of a day is usually lower, since it does not reward distinguishing good days from bad.
    """
    name, floor = job.spec.accept.metric, job.spec.accept.minimum
    if floor is None:
        return None
    champion = job.releases.champion(job.spec.model)
    items = () if champion is None else champion.evidence["metrics"]
    known = {item["name"]: float(item["value"]) for item in items if item.get("slice") is None}
    gap = known.get(f"{name}_of_partitions", math.nan) - known.get(name, math.nan)
    return floor + gap if math.isfinite(gap) else floor
