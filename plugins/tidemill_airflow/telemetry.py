"""What a task tells those who watch Airflow: figures by Airflow's own metrics, and whose log line is whose.

Nothing is set up here. Where ``[metrics]`` of Airflow's settings names a StatsD or an OpenTelemetry collector, the figures
go there as Airflow's own do; where it names none, nowhere. Each is a gauge: the value of the newest run of a step.
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
    "tidemill.peak_rss_bytes": "most memory that its process has held, in bytes",
    "tidemill.rows": "rows that it worked on, where it counts rows",
    "tidemill.alerts_open": "alerts of the model that are open, once the step 'alert' has looked",
    "tidemill.age_days": "days that model, data and labels are old, by the tag 'of', once 'freshness' has looked",
}
"""Name of each figure, without Airflow's prefix, and what it is; all have the tags ``model`` and ``step``."""

Tags = dict[str, str]


def tell(model: str, step: str, record: Mapping[str, Any], seconds: float) -> None:
    """Send the figures of a step that has succeeded."""
    for name, value, tags in figures(record, seconds):
        stats.gauge(name, value, tags={"model": model, "step": step} | tags)


def figures(record: Mapping[str, Any], seconds: float) -> Iterator[tuple[str, float, Tags]]:
    """Return name, value and further tags of each figure about a step.

    Parameters
    ----------
    record : mapping of str to object
        What the step has returned.
    seconds : float
        What it took.

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
    """Put model and step on every log line of a block, beside the run and the task that Airflow puts there."""
    return bound_contextvars(model=model, step=step, partition="")


def name_partition(partition: str) -> None:
    """Put the partition on every further log line of the block."""
    bind_contextvars(partition=partition)
