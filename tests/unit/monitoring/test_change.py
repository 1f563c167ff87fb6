import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from tidemill.monitoring.change import Change, alarm_limit, change_alerts, detect_change

REFERENCE = [0.4, 0.5, 0.6, 0.5, 0.4, 0.6, 0.5] * 2
N_RUNS, N_QUIET = 1_000, 90

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]


def persistent(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Normal losses with an autocorrelation of 0.3."""
    noise, losses = rng.normal(size=n + 30), np.zeros(n + 30)
    for day in range(1, n + 30):
        losses[day] = 0.3 * losses[day - 1] + noise[day]
    return losses[30:]


LOSSES: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "lognormal": lambda rng, n: rng.lognormal(0, 1, size=n),
    "persistent": persistent,
}


def days(*values: float) -> dict[str, float]:
    return {f"2013-{1 + day // 28:02}-{1 + day % 28:02}": value for day, value in enumerate(values)}


def test_a_quiet_past_has_no_change() -> None:
    statistic, change = detect_change(days(*REFERENCE * 4), REFERENCE)
    assert change is None
    assert statistic < alarm_limit(14)


def test_a_lasting_rise_is_dated_to_its_first_day() -> None:
    _, change = detect_change(days(*REFERENCE, *[0.9] * 10), REFERENCE)
    assert change is not None
    assert change.since == "2013-01-15"
    assert change.rise > 0.3


def test_one_bad_day_is_forgotten_however_bad() -> None:
    assert detect_change(days(*REFERENCE, 1e6, *REFERENCE), REFERENCE)[1] is None


def test_a_fall_of_the_loss_is_no_alarm() -> None:
    assert detect_change(days(*[0.1] * 30), REFERENCE)[1] is None


def test_days_without_a_figure_are_left_out() -> None:
    assert detect_change(days(math.nan, 0.5), REFERENCE) == detect_change({"2013-01-02": 0.5}, REFERENCE)


def test_a_reference_of_six_days_is_too_short() -> None:
    assert math.isnan(detect_change(days(*[0.9] * 30), REFERENCE[:6])[0])


def test_a_reference_that_does_not_vary_tells_nothing() -> None:
    assert math.isnan(detect_change(days(*[0.9] * 30), [0.5] * 7)[0])


@pytest.mark.parametrize("n_reference", [7, 14, 28])
@pytest.mark.parametrize("name", LOSSES)
def test_under_2_percent_of_90_quiet_days_raise_a_false_alarm(name: str, n_reference: int) -> None:
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(N_RUNS):
        losses = LOSSES[name](rng, n_reference + N_QUIET)
        found += detect_change(days(*losses[n_reference:]), losses[:n_reference].tolist())[1] is not None
    assert found / N_RUNS < 0.02 + 2 * math.sqrt(0.02 / N_RUNS)


@pytest.mark.parametrize(("n_reference", "rise", "most"), [(14, 2, 15), (14, 3, 9), (28, 2, 10), (28, 3, 6)])
def test_a_real_change_is_found_soon(n_reference: int, rise: float, most: int) -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        losses = rng.normal(size=n_reference + N_QUIET)
        _, change = detect_change(days(*(losses[n_reference:] + rise)), losses[:n_reference].tolist())
        if change is not None:
            found.append(list(days(*losses)).index(change.detected) + 1)
    assert len(found) > 0.93 * 300
    assert np.median(found) <= most


def excess(rng: np.random.Generator, shift: float, slope: float = 1.0) -> float:
    """Daily log loss minus what was expected, of a model that gives the probabilities of a slope of 1."""
    x = rng.normal(shift, 1, 900)
    p, y = expit(-2.2 + x), rng.random(900) < expit(-2.2 + slope * x)
    right, expected = np.where(y, p, 1 - p), p * np.log(p) + (1 - p) * np.log1p(-p)
    return float(-np.log(right).mean() + expected.mean())


def test_a_shift_of_the_features_is_no_change_of_the_world() -> None:
    rng = np.random.default_rng(0)
    reference = [excess(rng, 0.0) for _ in range(14)]
    assert detect_change(days(*(excess(rng, 0.5 if day >= 7 else 0.0) for day in range(60))), reference)[1] is None


def test_a_change_of_the_world_is_found_without_a_shift_of_the_features() -> None:
    rng = np.random.default_rng(0)
    reference = [excess(rng, 0.0) for _ in range(14)]
    _, change = detect_change(days(*(excess(rng, 0.0, 0.0 if day >= 7 else 1.0) for day in range(28))), reference)
    assert change is not None
    assert "2013-01-07" <= change.since <= "2013-01-10"


CHANGE = Change(since="2013-07-05", detected="2013-07-09", rise=0.1, statistic=9.0, limit=7.9)


@pytest.mark.parametrize("beyond_estimate", [True, False])
def test_an_alert_says_since_when(*, beyond_estimate: bool) -> None:
    (alert,) = change_alerts(CHANGE, loss="log_loss", beyond_estimate=beyond_estimate)
    assert "Since 2013-07-05" in alert.message


def test_an_alert_about_a_loss_that_features_may_explain_asks_for_their_drift() -> None:
    (alert,) = change_alerts(CHANGE, loss="mean_absolute_error")
    assert "Did features drift" in alert.message


def test_a_change_that_is_over_is_no_alert_any_more() -> None:
    over = Change(since="2013-07-05", detected="2013-07-09", rise=0.1, statistic=2.0, limit=7.9)
    assert change_alerts(over, loss="log_loss") == ()
