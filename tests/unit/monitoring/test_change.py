import math

import numpy as np

from tidemill.monitoring.change import LIMIT, detect_change

REFERENCE = [0.4, 0.5, 0.6, 0.5, 0.4, 0.6, 0.5]


def days(*values: float) -> dict[str, float]:
    return {f"2013-{1 + day // 28:02}-{1 + day % 28:02}": value for day, value in enumerate(values)}


def test_a_quiet_past_has_no_change() -> None:
    statistic, change = detect_change(days(*REFERENCE * 4), REFERENCE)
    assert change is None
    assert statistic < LIMIT


def test_a_lasting_rise_is_dated_to_its_first_day() -> None:
    _, change = detect_change(days(*REFERENCE, *[0.9] * 10), REFERENCE)
    assert change is not None
    assert change.since == "2013-01-08"
    assert change.rise > 0.3


def test_one_bad_day_is_forgotten() -> None:
    assert detect_change(days(*REFERENCE, 0.9, *REFERENCE), REFERENCE)[1] is None


def test_a_fall_of_the_loss_is_no_alarm() -> None:
    assert detect_change(days(*[0.1] * 30), REFERENCE)[1] is None


def test_days_without_a_figure_are_left_out() -> None:
    assert detect_change(days(math.nan, 0.5), REFERENCE) == detect_change({"2013-01-02": 0.5}, REFERENCE)


def test_a_reference_of_six_days_is_too_short() -> None:
    assert math.isnan(detect_change(days(*[0.9] * 30), REFERENCE[:6])[0])


def test_a_reference_that_does_not_vary_tells_nothing() -> None:
    assert math.isnan(detect_change(days(*[0.9] * 30), [0.5] * 7)[0])


def test_rates_of_false_and_true_alarms_are_as_stated() -> None:
    rng = np.random.default_rng(0)
    quiet, shifted = 0, []
    for _ in range(300):
        reference, later = rng.normal(size=14).tolist(), rng.normal(size=90)
        quiet += detect_change(days(*later), reference)[1] is not None
        _, change = detect_change(days(*(later + 2)), reference)
        if change is not None:
            shifted.append(sorted(days(*later)).index(change.detected) + 1)
    assert quiet / 300 < 0.03
    assert len(shifted) > 0.97 * 300
    assert 6 <= np.median(shifted) <= 10
