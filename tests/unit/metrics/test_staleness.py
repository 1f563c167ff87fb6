"""How releases age: the curve and the loss per day against numpy, and their intervals against a decay that is known."""

import math

import numpy as np
import pytest

from tidemill.metrics.staleness import (
    LOSS,
    YOUNGER_BY,
    AgedLoss,
    aged_losses,
    loss_per_day,
    staleness_curve,
    suggested_age,
)
from tidemill.records import MetricValue

DECAY = 2e-4
"""Loss per day of age in simulated worlds."""


def simulated(rng: np.random.Generator, n_days: int = 60, ages: tuple[int, ...] = (7, 30, 60)) -> tuple[AgedLoss, ...]:
    """Return losses in proportion to age, with a noise that each day has in common with the day before."""
    shared = np.zeros(n_days)
    for day in range(1, n_days):
        shared[day] = 0.2 * shared[day - 1] + rng.normal(0, 0.01)
    return tuple(
        AgedLoss(
            partition=str(np.datetime64("2013-03-01") + day),
            age=age,
            younger_by=age,
            loss=DECAY * age + shared[day] + rng.normal(0, 0.005),
        )
        for day in range(n_days)
        for age in ages
    )


def test_the_curve_and_the_loss_per_day_are_means_and_a_ratio_of_sums() -> None:
    losses = simulated(np.random.default_rng(1))
    for figure in staleness_curve(losses):
        of_age = [item.loss for item in losses if f"age={item.age}" == figure.slice]
        assert figure.value == pytest.approx(np.mean(of_age))
        assert figure.low < figure.value < figure.high
    found = loss_per_day(losses)
    assert found is not None
    assert found.value == pytest.approx(sum(item.loss for item in losses) / sum(item.younger_by for item in losses))


def test_few_days_have_no_interval_and_no_loss_per_day() -> None:
    losses = simulated(np.random.default_rng(1), n_days=4)
    assert [(figure.low, figure.high) for figure in staleness_curve(losses)] == [(None, None)] * 3
    assert loss_per_day(losses) is None
    assert loss_per_day(simulated(np.random.default_rng(1), n_days=5)) is not None


def test_figures_of_the_ledger_become_comparisons_and_undefined_ones_none() -> None:
    figures = {
        "2013-07-01": (
            MetricValue(name=LOSS, value=0.01, slice="age=30"),
            MetricValue(name=YOUNGER_BY, value=28.0, slice="age=30"),
            MetricValue(name=LOSS, value=math.nan, slice="age=60"),
            MetricValue(name=YOUNGER_BY, value=56.0, slice="age=60"),
        )
    }
    assert aged_losses(figures) == (AgedLoss(partition="2013-07-01", age=30, younger_by=28.0, loss=0.01),)


def test_the_suggested_age_is_the_last_one_before_a_loss_that_is_shown() -> None:
    def curve(*lows: float | None) -> tuple[MetricValue, ...]:
        ages = (7, 30, 60)
        return tuple(
            MetricValue(name="loss", value=0.1, low=low, slice=f"age={age}")
            for age, low in zip(ages, lows, strict=True)
        )

    assert suggested_age(curve(-0.01, 0.001, 0.006), margin=0.005) == 30
    assert suggested_age(curve(0.006, 0.006, 0.006), margin=0.005) == 0
    assert suggested_age(curve(-0.01, None, 0.005), margin=0.005) is None


@pytest.mark.slow
def test_the_intervals_cover_a_known_decay() -> None:
    rng, n_worlds, covered = np.random.default_rng(3), 400, {"age=7": 0, "age=30": 0, "age=60": 0, None: 0}
    truth = {"age=7": 7 * DECAY, "age=30": 30 * DECAY, "age=60": 60 * DECAY, None: DECAY}
    for _ in range(n_worlds):
        losses = simulated(rng)
        for figure in (*staleness_curve(losses), loss_per_day(losses)):
            covered[figure.slice] += figure.low <= truth[figure.slice] <= figure.high
    assert all(0.92 <= count / n_worlds <= 0.98 for count in covered.values()), covered
