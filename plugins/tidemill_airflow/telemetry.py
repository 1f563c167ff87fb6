"""Figures of a task by Airflow's own metrics, and model, step and partition on its log lines.

If ``[metrics]`` of Airflow's settings names a StatsD or an OpenTelemetry collector, the figures go there, as Airflow's own
do; otherwise nothing is sent. Each is a gauge: the value of the newest run of a step.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from airflow.sdk.observability import stats
from structlog.contextvars import bind_contextvars, bound_contextvars

from tidemill.runtime.memory import peak_rss_bytes

__all__ = ["METRICS", "figures", "lines_of", "name_partition", "tell"]

METRICS: Mapping[str, str] = {
    "tidemill.seconds": "seconds that a step took",
    "tidemill.peak_rss_bytes": "peak memory of its process, in bytes",
    "tidemill.rows": "rows that it processed, if it counts rows",
    "tidemill.alerts_open": "open alerts of the model, after the step 'alert'",
    "tidemill.age_days": "age in days of model, data and labels, by the tag 'of', after the step 'freshness'",
}
"""Meaning of each figure by its name, without Airflow's prefix; all have the tags ``model`` and ``step``."""

Tags = dict[str, str]


def tell(model: str, step: str, record: Mapping[str, Any], seconds: float) -> None:
    """Send the figures of a step that has succeeded."""
    for name, value, tags in figures(record, seconds):
        stats.gauge(name, value, tags={"model": model, "step": step} | tags)


def figures(record: Mapping[str, Any], seconds: float) -> Iterator[tuple[str, float, Tags]]:
    """Return name, value and further tags of each figure about a step.

    Examples
    --------
    >>> [(name, value) for name, value, _ in figures({"n_rows": 966}, 1.5) if name != "tidemill.peak_rss_bytes"]
    [('tidemill.seconds', 1.5), ('tidemill.rows', 966)]
    """
    yield "tidemill.seconds", seconds, {}
    yield "tidemill.peak_rss_bytes", peak_rss_bytes(), {}
    for name, key in (("tidemill.rows", "n_rows"), ("tidemill.alerts_open", "n_open")):
        if isinstance(record.get(key), int):
            yield name, record[key], {}
    for what, days in record.get("ages", {}).items():
        if isinstance(days, int | float) and math.isfinite(days):  # infinite ones travel as words
            yield "tidemill.age_days", days, {"of": what}


def lines_of(model: str, step: str) -> AbstractContextManager[None]:
    """Add model and step to every log line of a block, beside Airflow's run and task."""
    return bound_contextvars(model=model, step=step, partition="")


def name_partition(partition: str) -> None:
    """Add the partition to every further log line of the block."""
    bind_contextvars(partition=partition)
