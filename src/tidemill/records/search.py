"""Records about hyperparameter search: one setting that was tried, and what came of a search."""

from dataclasses import dataclass

from tidemill.records.figures import MetricValue, Record

__all__ = ["Parameters", "SearchReport", "Trial"]

Parameters = dict[str, bool | int | float | str | None]
"""Settings of an estimator by name; what is not named keeps its default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(Record):
    """One setting, measured on the folds."""

    number: int
    """Position in the search, from 0; 0 is the estimator's defaults."""
    parameters: Parameters
    """What was set; empty for the defaults."""
    scores: tuple[float, ...]
    """The acceptance metric on each fold, oldest first; fewer than the folds if it was stopped early."""
    pruned: bool
    """True if it was stopped after a fold because it was clearly worse than earlier trials."""
    seconds: float
    """Time that it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchReport(Record):
    """What came of looking for good settings of one estimator."""

    n_trials: int
    """Settings that were tried in addition to the defaults."""
    n_pruned: int
    """Number of them that were stopped early."""
    n_folds: int
    """Folds that each was measured on."""
    cut_short: bool
    """True if the time limit ended it before all trials that were asked for: another machine may find another winner."""
    best: int
    """Number of the trial that won; 0 if nothing beat the defaults."""
    parameters: Parameters
    """Its settings."""
    score: float
    """Its mean over the folds of the acceptance metric."""
    default_score: float
    """The same of the defaults."""
    gain: MetricValue
    """Winner minus defaults, in pairs on the folds' rows. They chose the winner, so it flatters."""
    at_bounds: tuple[str, ...]
    """One sentence for each setting of the winner at the edge of its range."""
    seconds: float
    """Time of all trials."""
    digest: str
    """Digest of the folder with the trials."""
    uri: str
    """That folder, relative to the storage root: ``trials.json``."""
    defaults_digest: str = ""
    """Digest of the bundle with the defaults, for a comparison on the test set; empty if they won."""
    defaults_uri: str = ""
    """Its folder, relative to the storage root."""
    every: int = 1
    """One of so many rows was looked at; 1 for all."""
