"""Records about a model beyond its metrics: behaviour checks, scores in a clean process, weak slices, and its tests."""

from dataclasses import dataclass
from enum import StrEnum

from tidemill.records.figures import MetricValue, Record

__all__ = [
    "BehaviourCheck",
    "FeatureGroup",
    "ModelTest",
    "ModelTests",
    "Outcome",
    "Rehearsal",
    "SliceSearch",
    "WeakSlice",
]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureGroup(Record):
    """What a group of features gains and costs, by a fit without it."""

    name: str
    features: tuple[str, ...]
    gain: MetricValue
    """By how much the acceptance metric is better with the group than without it, on the test set."""
    null_share: float
    """Share of missing values, 0 to 1."""
    bytes_per_row: float
    """Bytes of its values in memory."""
    score_s_per_million: float
    """Processor seconds that it adds to scoring a million rows; below 0 if scoring without it takes longer."""
    fit_s: float
    """Seconds of the fit without it: what the measurement costs."""
    n_idle: int
    """Trainings in a row, this one included, in which the interval of the gain includes 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakSlice(Record):
    """A slice in which the candidate is shown to be worse than on the other rows."""

    value: MetricValue
    """The acceptance metric in the slice, on the test set; ``slice`` describes it, e.g. ``origin=EWR and dep_hour<9``."""
    expected: float | None
    """The same metric as the scores of the slice lead one to expect; None for tasks and metrics without such a figure."""
    difference: MetricValue
    """The metric minus the expected one, in the slice minus on the other rows; of the metric itself if none is expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceSearch(Record):
    """The search for slices in which the candidate is weak."""

    n_searched: int
    """Slices of the validation set in which the metric is worse than on all rows."""
    n_tested: int
    """Worst of them that were measured again on the test set."""
    weak: tuple[WeakSlice, ...] = ()
    """Those confirmed there, in the order of the search; that any of them is there by chance has a probability of 2.5 %."""


class Outcome(StrEnum):
    """How a test ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTest(Record):
    """One test of a model."""

    name: str
    """Its name, with the expectation in brackets if it has one."""
    outcome: Outcome
    message: str = ""
    """Why it failed or was skipped, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTests(Record):
    """The tests of a model as of a partition."""

    model: str
    partition: str
    tests: tuple[ModelTest, ...]

    @property
    def failed(self) -> tuple[ModelTest, ...]:
        """Tests that failed."""
        return tuple(test for test in self.tests if test.outcome is Outcome.FAILED)
