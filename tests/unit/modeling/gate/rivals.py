"""Synthetic pairs of models whose true difference is known: days, their rows, and what two rivals say of them.

Days are what makes real test sets small: each has its own share of late flights, its own difficulty, and each model has
good and bad days of its own, which resemble the day before. Measured on New York's flights of 2013 (92 days, two
gradient boosters trained a fortnight or a month apart), the daily difference in ROC AUC has a correlation of -0.07 to 0.25
with that of the day before, 0.1 on average.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tidemill.metrics.differences import paired_difference
from tidemill.modeling.gate.gate import decide_acceptance
from tidemill.records import BehaviourCheck, BundleRef, EvaluationReport, MetricValue, Rehearsal, Verdict
from tidemill.spec import Accept

MARGIN = 0.02
"""Of the simulated gate, in ROC AUC."""
HANDICAPS = {"worse by the margin": 0.2019, "equal": 0.0, "better by the margin": -0.2831}
"""What is taken from the challenger's signal so that its ROC AUC over endless days is lower by 0.02, 0 and -0.02."""

_EFFECT = {"base_rate": 0.5, "difficulty": 0.15, "level": 0.3, "own_days": 0.15}  # standard deviations of day effects


@dataclass(frozen=True)
class Days:
    """Labels, and scores of champion and challenger; one row of each array is a day."""

    y: npt.NDArray[np.bool_]
    champion: npt.NDArray[np.float64]
    challenger: npt.NDArray[np.float64]


def live_days(rng: np.random.Generator, n_days: int, rows_per_day: int, *, resemblance: float, handicap: float) -> Days:
    """Let days pass.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    n_days, rows_per_day : int
        Size.
    resemblance : float
        Correlation of a day's effects with the day before's, 0 to 1.
    handicap : float
        What the challenger's signal lacks, as a share of the champion's.
    """

    def effect(name: str) -> npt.NDArray[np.float64]:
        return _EFFECT[name] * _autoregressive(rng, n_days, resemblance)[:, None]

    shape = (n_days, rows_per_day)
    x, shared = rng.normal(size=shape), rng.normal(size=shape)
    logit = -1.4 + effect("base_rate") + (1 + effect("difficulty")) * x
    level = effect("level")
    scores = [
        (1 - lacks + effect("own_days")) * x + 0.8 * shared + 0.6 * rng.normal(size=shape) + level
        for lacks in (0.0, handicap)
    ]
    return Days(y=rng.random(shape) < 1 / (1 + np.exp(-logit)), champion=scores[0], challenger=scores[1])


def _autoregressive(rng: np.random.Generator, n_days: int, correlation: float) -> npt.NDArray[np.float64]:
    steps = rng.normal(size=n_days)
    for day in range(1, n_days):
        steps[day] = correlation * steps[day - 1] + np.sqrt(1 - correlation**2) * steps[day]
    return steps


def difference(days: Days) -> MetricValue:
    """Measure challenger minus champion, as evaluation does."""
    blocks = np.repeat(np.arange(len(days.y)), days.y.shape[1])
    a, b = (1 / (1 + np.exp(-score.ravel())) for score in (days.challenger, days.champion))
    return paired_difference("roc_auc", days.y.ravel().astype(int), a, b, blocks)


def judge(days: Days) -> Verdict:
    """Let the gate decide on a challenger that has nothing against it but its champion."""
    report = replace(SOUND, champion_difference=difference(days), n_test=days.y.size, n_test_blocks=len(days.y))
    return decide_acceptance(report, Accept(margin=MARGIN)).verdict


SOUND = EvaluationReport(
    estimator="simulated",
    bundle=BundleRef(
        estimator="simulated", digest="", uri="", size_bytes=1, fit_s=1.0, baseline=False, validation_score=0.7
    ),
    candidates=(),
    metrics=(MetricValue(name="roc_auc", value=0.7),),
    importance=(),
    baselines=(MetricValue(name="roc_auc", value=0.2, low=0.1, high=0.3, slice="prior"),),
    champion_release=1,
    champion_difference=None,
    champion_saw_test=False,
    n_test=0,
    behaviour=(BehaviourCheck(name="row order", passed=True, observed=""),),
    rehearsal=Rehearsal(n_rows=1, n_different=0, seconds_per_million=1.0, peak_rss_bytes=2**20),
    uri="",
)
