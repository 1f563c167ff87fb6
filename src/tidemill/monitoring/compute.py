"""The cost of each step compared with its past runs: jumps and slow growth.

Ratios to the trailing median are robust against a single slow run on a busy machine. Growth is the trend over weeks.
``alerts`` decides which figures raise an alert, since it also has the absolute figures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tidemill.monitoring.growth import measure_growth
from tidemill.records import MetricValue, Record

__all__ = ["StepFigures", "compare_compute"]

MIN_RUNS = 5  # the median of fewer past runs is not robust against two outliers


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFigures(Record):
    """Cost of one run of one step."""

    wall_s: float
    """Elapsed time in seconds."""
    cpu_s: float
    """Processor time of all threads in seconds."""
    peak_rss_bytes: int
    """Peak resident memory of the process."""
    n_rows: int | None = None
    """Rows read or written; None if the step has none."""

    @property
    def rows_per_s(self) -> float | None:
        """Rows per second; None without rows or time."""
        return self.n_rows / self.wall_s if self.n_rows and self.wall_s > 0 else None

    def figures(self) -> dict[str, float]:
        """Return the known figures by name."""
        known = {"wall_s": self.wall_s, "cpu_s": self.cpu_s, "peak_rss_bytes": float(self.peak_rss_bytes)}
        return known if self.rows_per_s is None else {**known, "rows_per_s": self.rows_per_s}


def compare_compute(
    current: Mapping[str, StepFigures], history: Sequence[Mapping[str, StepFigures]]
) -> tuple[MetricValue, ...]:
    """Compare the cost of each step with its trailing median, and measure its trend.

    Parameters
    ----------
    current : mapping of str to StepFigures
        This run's steps.
    history : sequence of mappings
        Past runs of the same kind, oldest first; a step may be missing in some.

    Returns
    -------
    tuple of MetricValue
        For each step, with ``slice="step=<name>"``: ``wall_s``, ``cpu_s``, ``peak_rss_bytes`` and ``rows_per_s``, and
        for each also ``<name>_ratio``, the ratio to the median of ``n`` past runs; omitted with fewer than five runs or
        a median of 0. With at least 21 runs also ``wall_s_growth`` (per row, if there are rows) and
        ``peak_rss_bytes_growth``: the trend over up to 42 runs as a share of its start, 0 unless a rise is certain.

    Examples
    --------
    >>> usual = {"predict": StepFigures(wall_s=2.0, cpu_s=1.5, peak_rss_bytes=300_000_000)}
    >>> slow = {"predict": StepFigures(wall_s=5.0, cpu_s=1.5, peak_rss_bytes=300_000_000)}
    >>> [m.value for m in compare_compute(slow, [usual] * 5) if m.name == "wall_s_ratio"]
    [2.5]
    """
    metrics: list[MetricValue] = []
    for step, figures in current.items():
        past = [run[step].figures() for run in history if step in run]
        for name, value in figures.figures().items():
            metrics.append(MetricValue(name=name, value=value, n=figures.n_rows, slice=f"step={step}"))
            metrics += _ratio(name, value, [run[name] for run in past if name in run], step)
        metrics += _growth([*past, figures.figures()], step)
    return tuple(metrics)


def _growth(runs: Sequence[Mapping[str, float]], step: str) -> list[MetricValue]:
    paces = [1 / run["rows_per_s"] for run in runs if run.get("rows_per_s")]
    courses = {
        "wall_s": paces if "rows_per_s" in runs[-1] else [run["wall_s"] for run in runs],
        "peak_rss_bytes": [run["peak_rss_bytes"] for run in runs],
    }
    found = {name: measure_growth(values) for name, values in courses.items()}
    return [
        MetricValue(name=f"{name}_growth", value=growth.share, n=growth.n, slice=f"step={step}")
        for name, growth in found.items()
        if growth is not None
    ]


def _ratio(name: str, value: float, past: Sequence[float], step: str) -> list[MetricValue]:
    if len(past) < MIN_RUNS or not median(past):
        return []
    return [MetricValue(name=f"{name}_ratio", value=value / median(past), n=len(past), slice=f"step={step}")]
