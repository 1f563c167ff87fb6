"""Search: try settings of an estimator on folds, one after another, until trials or time run out.

Optuna proposes and prunes. A proposal depends only on the seed, its number and the earlier trials. Therefore a killed
search resumes exactly if it gets its earlier trials. Nothing here reads or writes; the caller stores each trial. The
defaults are trial 0 and are never pruned.
"""

import logging
import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from tidemill.errors import NotTrainable
from tidemill.modeling.search.space import Space
from tidemill.records import Parameters, Trial
from tidemill.spec import Dimension

__all__ = ["Found", "Limits", "Measured", "best_of", "mean_score", "search"]

logging.getLogger("optuna").setLevel(logging.WARNING)  # by default, it logs every study and trial to standard error

_RANDOM_TRIALS = 8  # random trials before the sampler starts to learn; Optuna's default of 10 is much for 25 trials
_KEPT = 33.0  # percent; only a setting among the best third continues to the next fold
_DIGITS = 4  # significant digits of a proposed number: more are noise and hard to read


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """Result of one setting on one fold."""

    score: float
    """The acceptance metric on the fold's measured rows."""
    y_score: npt.NDArray[np.float64]
    """Score of each measured row."""
    threshold: float | None = None
    """Decision threshold, if the task has one."""
    classes: tuple[str, ...] | None = None
    """Names of the columns of ``y_score``, if the task has classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits, direction and seed of a search."""

    n_trials: int
    """Settings to try in addition to the defaults."""
    n_folds: int
    """Folds per setting."""
    timeout_s: float
    """Seconds for all trials, those of an earlier attempt included; the defaults are always measured."""
    greater_is_better: bool
    """Whether a greater metric is better."""
    random_state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Result of a search."""

    trials: tuple[Trial, ...]
    """All trials in order; the first has the defaults."""
    best: Trial
    cut_short: bool
    """Whether time ran out before all trials were done."""


Measure = Callable[[Parameters, int], Measured]


def search(
    space: Space,
    measure: Measure,
    limits: Limits,
    *,
    known: Sequence[Trial] = (),
    on_trial: Callable[[Trial], None] = lambda trial: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Found:
    """Measure the defaults, then other settings.

    Parameters
    ----------
    measure : callable
        Fits a setting on a fold (numbered from 0) and measures it.
    known : sequence of Trial, default ()
        Trials of an earlier attempt, from number 0 on.
    on_trial : callable
        Called with each new trial.
    clock : callable
        Returns monotonic seconds.

    Raises
    ------
    NotTrainable
        If the metric is not defined on a fold, or a fold cannot be fitted.
    """
    trials = list(known[: limits.n_trials + 1])
    while len(trials) <= limits.n_trials:
        left_s = limits.timeout_s - sum(trial.seconds for trial in trials)
        trial = _try(space, measure, limits, trials, clock, left_s if trials else math.inf)
        if trial is None:
            break
        trials.append(trial)
        on_trial(trial)
    return Found(
        trials=tuple(trials),
        best=best_of(trials, greater_is_better=limits.greater_is_better),
        cut_short=len(trials) <= limits.n_trials,
    )


def best_of(trials: Sequence[Trial], *, greater_is_better: bool) -> Trial:
    """Return the best trial that was measured on all folds; ties go to the earlier one, so to the defaults.

    Examples
    --------
    >>> trials = [Trial(number=n, parameters={}, scores=(0.7, 0.6 + n / 10), pruned=False, seconds=1) for n in (0, 1)]
    >>> best_of(trials, greater_is_better=True).number, best_of(trials, greater_is_better=False).number
    (1, 0)
    """
    sign = 1 if greater_is_better else -1
    return max(
        (trial for trial in trials if not trial.pruned), key=lambda trial: (sign * mean_score(trial), -trial.number)
    )


def mean_score(trial: Trial) -> float:
    """Return the mean score over the measured folds."""
    return sum(trial.scores) / len(trial.scores)


def _try(
    space: Space, measure: Measure, limits: Limits, before: Sequence[Trial], clock: Callable[[], float], left_s: float
) -> Trial | None:
    """Measure the next setting on the folds; return None if time runs out first."""
    started = clock()
    number, scores, pruned = len(before), [], False
    proposed = _propose(space, limits, before)
    parameters = _parameters(proposed, space) if number else {}
    for fold in range(limits.n_folds):
        if pruned or clock() - started >= left_s:
            break
        scores.append(_defined(measure(parameters, fold).score, fold))
        proposed.report(sum(scores) / len(scores), fold)
        pruned = number > 0 and fold < limits.n_folds - 1 and proposed.should_prune()
    if len(scores) < limits.n_folds and not pruned:
        return None
    return Trial(number=number, parameters=parameters, scores=tuple(scores), pruned=pruned, seconds=clock() - started)


def _defined(score: float, fold: int) -> float:
    if not math.isfinite(score):
        raise NotTrainable(
            f"The metric is not defined on fold {fold + 1}: its measured rows may contain only one class.",
            "Lower train.search.folds, or lengthen train.window.",
        )
    return score


def _propose(space: Space, limits: Limits, before: Sequence[Trial]) -> optuna.Trial:
    """Return Optuna's next proposal, based only on the earlier trials."""
    with warnings.catch_warnings():
        # The option multivariate has been experimental since 2020.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=int(np.random.SeedSequence([limits.random_state, len(before)]).generate_state(1)[0]),
            n_startup_trials=_RANDOM_TRIALS,
            multivariate=True,
        )
    study = optuna.create_study(
        direction="maximize" if limits.greater_is_better else "minimize",
        sampler=sampler,
        pruner=optuna.pruners.PercentilePruner(_KEPT, n_startup_trials=5),
    )
    distributions = {name: _distribution(dimension) for name, dimension in space.items()}
    study.add_trials([_told(trial, distributions) for trial in before[1:]])  # the defaults may lie outside the space
    return study.ask(distributions if before else None)


def _told(trial: Trial, distributions: dict[str, BaseDistribution]) -> optuna.trial.FrozenTrial:
    means = {fold: sum(trial.scores[: fold + 1]) / (fold + 1) for fold in range(len(trial.scores))}
    return create_trial(
        state=TrialState.PRUNED if trial.pruned else TrialState.COMPLETE,
        value=mean_score(trial),
        params=dict(trial.parameters),
        distributions=distributions,
        intermediate_values=means,
    )


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.choices:
        return CategoricalDistribution(dimension.choices)
    assert dimension.low is not None  # a dimension is a range or choices
    assert dimension.high is not None
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(float(dimension.low), float(dimension.high), log=dimension.log)


def _parameters(proposed: optuna.Trial, space: Space) -> Parameters:
    """Return the proposed parameters, rounded and clipped to the space."""
    found: Parameters = {}
    for name, value in proposed.params.items():
        low, high = space[name].low, space[name].high
        rounded = float(f"{value:.{_DIGITS}g}") if isinstance(value, float) and not space[name].choices else value
        found[name] = rounded if low is None or high is None else min(max(rounded, low), high)
    return found
