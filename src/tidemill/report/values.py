"""The plain values that pictures and pages are made of, besides the platform's records.

They hold numbers and names, never frames, arrays or charts. This module must not import Altair.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from tidemill.records import MetricValue, Severity

__all__ = [
    "FEW_ROWS",
    "Categories",
    "ColumnProfile",
    "DriftRow",
    "Histogram",
    "LabelRow",
    "SliceRow",
    "State",
    "StepCompute",
    "is_small",
]


FEW_ROWS = 30
"""Rows below which a figure is marked: of two rows an area under the curve is 0, 1/2 or 1."""


def is_small(metric: MetricValue) -> bool:
    """Return whether a figure is of too few rows to mean anything.

    Examples
    --------
    >>> [is_small(MetricValue(name="roc_auc", value=1.0, n=n)) for n in (None, 0, 2, 30)]
    [False, False, True, False]
    """
    return metric.n is not None and 0 < metric.n < FEW_ROWS


class State(StrEnum):
    """What a row is marked with, worst first."""

    FAIL = "fail"
    """An open alert that needs action today."""
    WARN = "warn"
    """An open alert that needs a look."""
    BEYOND = "beyond"
    """Beyond its threshold, and no alert yet."""
    UNKNOWN = "unknown"
    """Not defined."""
    USUAL = "usual"
    """Within its threshold."""

    @classmethod
    def of(cls, severity: Severity | None, *, beyond: bool, known: bool = True) -> "State":
        """Return the state of a figure, by its open alert first."""
        if severity is not None:
            return cls(severity.value)
        if beyond:
            return cls.BEYOND
        return cls.USUAL if known else cls.UNKNOWN

    @property
    def rank(self) -> int:
        """Position from the worst, for sorting."""
        return list(State).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """A numeric column, counted in bins."""

    edges: tuple[float, ...]
    """Ends of the bins, ascending, one more than counts; the outer two may be infinite."""
    counts: tuple[int, ...]
    """Rows in each bin."""
    points: bool = False
    """Whether each bin holds a single value, its left end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Categories:
    """A categorical column, counted by value."""

    names: tuple[str, ...]
    """Values, most frequent first; untrusted text."""
    counts: tuple[int, ...]
    """Rows of each value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """One column of a snapshot."""

    name: str
    """Name of the column, e.g. ``dep_hour``."""
    type: str
    """``numeric``, ``categorical``, ``boolean`` or ``time``."""
    null_share: float
    """Share of rows without a value, 0 to 1."""
    n_distinct: int | None = None
    """Different values, or None if they were not counted."""
    summary: str = ""
    """Its distribution in words, e.g. ``median 13, from 5 to 23``."""
    label_correlation: float | None = None
    """Association with the label, -1 to 1; None where it was not asked."""
    picture: str | None = None
    """Small SVG of its distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRow:
    """How far one feature, or the score, has moved away from the reference."""

    feature: str
    """Name of the column, or ``score``."""
    metrics: tuple[MetricValue, ...]
    """Its drift statistics, e.g. ``psi`` and ``jensen_shannon``, the one to sort by first."""
    threshold: float | None = None
    """Value of the first metric beyond which the column has drifted."""
    severity: Severity | None = None
    """Severity of its open alert; None without one."""
    found: bool = False
    """Whether a rule about the column was crossed in this partition, such as its share of nulls."""
    is_feature: bool = True
    """False for the score or the predicted class."""
    reference: str = ""
    """The reference in words, e.g. ``mean 13.1, 0.2 % null``."""
    analysis: str = ""
    """The partition in words."""
    picture: str | None = None
    """Small SVG: the reference in grey, the partition in colour."""

    @property
    def value(self) -> float:
        """The figure that drift is judged and sorted by; NaN where it is not defined."""
        return self.metrics[0].value if self.metrics else math.nan

    @property
    def has_drifted(self) -> bool:
        """Whether that figure is beyond its threshold."""
        return self.threshold is not None and self.value > self.threshold

    @property
    def state(self) -> State:
        """What the page marks the column with."""
        return State.of(self.severity, beyond=self.has_drifted or self.found, known=math.isfinite(self.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRow:
    """How far the labels of one partition have arrived."""

    partition: str
    hours: float
    """Hours since its end."""
    coverage: float
    """Share of its rows whose label is known, 0 to 1."""
    usual: float
    """Share that is usually known at its age; NaN if unknown."""
    state: str
    """``arriving``, ``mature`` (its time has come), or ``late``: it has, and labels that are usually there are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRow:
    """Realised quality of one value of a declared slice, or the gap of a group to the other rows."""

    recent: MetricValue
    """The figure over the newest matured partitions; ``slice`` names it. Without rows, it was not measured."""
    accepted: MetricValue | None = None
    """The same at acceptance, over the test set; None if it was not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCompute:
    """What one step of a run has cost."""

    step: str
    """Name of the step, e.g. ``predict``."""
    wall_s: float
    """Seconds on the clock."""
    cpu_s: float | None = None
    """Seconds of processor time."""
    n_rows: int | None = None
    """Rows that went through."""
    peak_rss_bytes: int | None = None
    """Most memory held at once."""
    usual_wall_s: float | None = None
    """Median seconds of the step's earlier runs, or None if there are none."""
    severity: Severity | None = None
    """Severity of its open alert; None without one."""
    found: bool = False
    """Whether a rule about the step was crossed in this partition."""

    @property
    def state(self) -> State:
        """What the page marks the step with."""
        return State.of(self.severity, beyond=self.found)
