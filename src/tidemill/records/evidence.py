"""Records about a candidate beyond its metrics: behaviour checks, and scores in a clean process."""

from dataclasses import dataclass

from tidemill.records.figures import Record

__all__ = ["BehaviourCheck", "Rehearsal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourCheck(Record):
    """A check that a model must pass for any data."""

    name: str
    """Name of the check, e.g. ``row order`` or ``monotonic: distance increasing``."""
    passed: bool
    """True if the check passed."""
    observed: str
    """Observed result in words, with figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal(Record):
    """The test rows scored by a bundle that a clean process loaded from storage."""

    n_rows: int
    """Rows scored."""
    n_different: int
    """Rows whose score is not bit-identical to that of the evaluating process."""
    seconds_per_million: float
    """Processor seconds of scoring per million rows."""
    peak_rss_bytes: int
    """Peak memory of the process, libraries included."""
    problem: str | None = None
    """Why it did not finish, or None."""
