"""The plain values that pictures and pages are made from, besides the platform's records.

They hold numbers and names, never frames, arrays or charts. This module must not import Altair.
"""

from dataclasses import dataclass

from tidemill.records import MetricValue, Severity

__all__ = ["Categories", "ColumnProfile", "DriftRow", "Histogram", "LabelRow", "SliceRow", "StepCompute"]


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
    """Value of the first metric from which on there is an alert."""
    severity: Severity | None = None
    """Severity of its alert; None if it is within its threshold."""
    reference: str = ""
    """The reference in words, e.g. ``mean 13.1, 0.2 % null``."""
    analysis: str = ""
    """The partition in words."""
    picture: str | None = None
    """Small SVG: the reference in grey, the partition in colour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRow:
    """How far the labels of one partition have arrived."""

    partition: str
    """Key."""
    hours: float
    """Hours since its end."""
    coverage: float
    """Share of its rows whose label is known, 0 to 1."""
    usual: float
    """Share that is usually known at its age; NaN if that has not been learned yet."""
    state: str
    """``arriving``, ``mature`` (its time has come), or ``late``: it has, and labels that are usually there are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRow:
    """Realised quality of one value of a declared slice."""

    recent: MetricValue
    """The acceptance metric over the newest matured partitions; ``slice`` names it."""
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
    """Severity of its alert; None if it is as usual."""
