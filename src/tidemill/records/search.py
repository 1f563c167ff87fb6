"""Records about hyperparameter search: a trial, and the result of a search."""

from dataclasses import dataclass

from tidemill.records.figures import MetricValue, Record

__all__ = ["Parameters", "SearchReport", "Trial"]

Parameters = dict[str, bool | int | float | str | None]
"""Settings of an estimator by name; others keep their defaults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(Record):
    """One setting measured on the folds."""

    number: int
    """Position in the search, from 0; 0 is the estimator's defaults."""
    parameters: Parameters
    """Changed settings; empty for the defaults."""
    scores: tuple[float, ...]
    """Acceptance metric on each fold, oldest first; fewer values if the trial was pruned."""
    pruned: bool
    """True if it was stopped after a fold, being clearly worse than earlier trials."""
    seconds: float
    """Duration of the trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchReport(Record):
    """Result of the search for one estimator."""

    n_trials: int
    """Settings tried in addition to the defaults."""
    n_pruned: int
    """Trials that were stopped early."""
    n_folds: int
    """Folds per trial."""
    cut_short: bool
    """True if the time limit ended it before all requested trials: another machine may find another winner."""
    best: int
    """Number of the winning trial; 0 if none beat the defaults."""
    parameters: Parameters
    score: float
    """The winner's mean acceptance metric over the folds."""
    default_score: float
    """The defaults' mean acceptance metric over the folds."""
    gain: MetricValue
    """Winner minus defaults, paired on the folds' rows; biased upwards, since the same rows chose the winner."""
    at_bounds: tuple[str, ...]
    """One sentence per setting of the winner at the edge of its range."""
    seconds: float
    """Duration of all trials."""
    digest: str
    """Digest of the folder with the trials."""
    uri: str
    """That folder, relative to the storage root: ``trials.json``."""
    defaults_digest: str = ""
    """Digest of the bundle with the defaults, for a comparison on the test set; empty if they won."""
    defaults_uri: str = ""
    """Its folder, relative to the storage root."""
    every: int = 1
    """The search used every n-th row; 1 for all."""
