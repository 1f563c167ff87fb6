"""The thresholds of a model's alerts: those of its spec, with the floor of quality as it holds for single partitions."""

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
        compute_ratio=monitor.compute_ratio,
        metric=f"{accept.metric}_recent",
        floor=floor_of_partitions(job),
        greater_is_better=greater_is_better(accept.metric),
    )


def floor_of_partitions(job: Job) -> float | None:
    """Return the spec's floor as it holds for the metric of single partitions, which alerts and the page use.

    At acceptance the metric of single partitions differs from that of all test rows together, for which the floor is: the
    area under the curve of a day is lower, as a rule, since nothing is gained from telling good days from bad.
    """
    name, floor = job.spec.accept.metric, job.spec.accept.minimum
    if floor is None:
        return None
    champion = job.releases.champion(job.spec.model)
    items = () if champion is None else champion.evidence["metrics"]
    known = {item["name"]: float(item["value"]) for item in items if item.get("slice") is None}
    gap = known.get(f"{name}_of_partitions", math.nan) - known.get(name, math.nan)
    return floor + gap if math.isfinite(gap) else floor
