"""Records about a candidate besides its metrics: its behaviour, and its scores in a clean process."""

from dataclasses import dataclass

from tidemill.records.figures import Record

__all__ = ["BehaviourCheck", "Rehearsal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourCheck(Record):
    """One thing that a model has to do whatever the data are."""

    name: str
    """What was tried, e.g. ``row order`` or ``monotonic: distance increasing``."""
    passed: bool
    """True if it did."""
    observed: str
    """What was found, in words with figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal(Record):
    """A bundle, loaded from storage by a process that knows nothing else, and the test rows scored there."""

    n_rows: int
    """Rows scored."""
    n_different: int
    """Rows whose score is not bit by bit the one of the evaluating process."""
    seconds_per_million: float
    """Processor seconds of scoring, for a million rows."""
    peak_rss_bytes: int
    """Peak memory of the process, libraries included."""
    problem: str | None = None
    """Why it did not come to an end, or None."""
