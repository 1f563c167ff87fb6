import numpy as np
import pytest
from scipy.stats import kendalltau, theilslopes

from tidemill.monitoring.alerts.rules import AlertThresholds, raise_alerts
from tidemill.monitoring.compute import StepFigures, compare_compute
from tidemill.monitoring.growth import LEAST_GROWTH, WINDOW, measure_growth


def noise(kind: str, rng: np.random.Generator, n: int, spread: float) -> np.ndarray:
    shocks = rng.normal(size=n + 20)
    if kind == "persistent":
        for day in range(1, shocks.size):
            shocks[day] += 0.3 * shocks[day - 1]
    return np.exp(2 * spread * shocks[20:]) if kind == "lognormal" else np.maximum(1 + spread * shocks[20:], 0.05)


def test_a_trend_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).normal(100, 3, 42) + 2 * np.arange(42)
    growth = measure_growth(values.tolist())
    slope, *_ = theilslopes(values, np.arange(42))
    assert growth is not None
    assert growth.share == pytest.approx(41 * slope / np.median(values - slope * np.arange(42)))
    tau = kendalltau(np.arange(42), values).statistic
    pairs = 42 * 41 / 2
    assert growth.statistic == pytest.approx((tau * pairs - 1) / np.sqrt(42 * 41 * 89 / 18))


@pytest.mark.parametrize("spread", [0.05, 0.3])
@pytest.mark.parametrize("kind", ["normal", "lognormal", "persistent"])
def test_90_quiet_days_hardly_ever_raise_an_alarm(kind: str, spread: float) -> None:
    rng, found = np.random.default_rng(0), 0
    for _ in range(60):
        values = noise(kind, rng, WINDOW + 90, spread)
        looked_at = (measure_growth(values[:day].tolist()) for day in range(WINDOW, WINDOW + 90, 3))
        found += any(growth is not None and growth.share >= LEAST_GROWTH for growth in looked_at)
    assert found <= 2


def test_memory_that_leaks_one_percent_a_day_is_found_within_five_weeks() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        values = noise("normal", rng, WINDOW + 35, 0.05) * np.r_[np.ones(WINDOW), 1 + 0.01 * np.arange(1, 36)]
        growth = measure_growth(values.tolist())
        assert growth is not None
        assert growth.share >= LEAST_GROWTH


def test_one_jump_back_and_forth_is_no_growth() -> None:
    growth = measure_growth([100.0] * 30 + [900.0] + [100.0] * 11)
    assert growth is not None
    assert growth.share == 0


def test_fewer_than_three_weeks_say_nothing() -> None:
    assert measure_growth([float(day) for day in range(1, 21)]) is None


def step(
    day: int, *, n_rows: int | None = None, wall_s: float = 10.0, peak_rss_bytes: int = 2**30
) -> dict[str, StepFigures]:
    return {"predict": StepFigures(wall_s=wall_s, cpu_s=1.0, peak_rss_bytes=peak_rss_bytes, n_rows=n_rows)}


def rules(days: list[dict[str, StepFigures]]) -> list[str]:
    return [alert.rule for alert in raise_alerts(compare_compute(days[-1], days[:-1]), AlertThresholds())]


def test_a_step_whose_memory_leaks_is_an_alert() -> None:
    assert rules([step(day, peak_rss_bytes=2**30 + day * 2**24) for day in range(42)]) == ["growth:predict"]


def test_a_step_that_slows_down_for_the_same_rows_is_an_alert() -> None:
    assert rules([step(day, n_rows=900, wall_s=10 + 0.2 * day) for day in range(42)]) == ["growth:predict"]


def test_a_step_whose_rows_grow_may_take_longer() -> None:
    assert rules([step(day, n_rows=900 + 20 * day, wall_s=10 + 10 * day / 45) for day in range(42)]) == []


def test_growth_by_tenths_of_a_second_is_no_alert() -> None:
    assert rules([step(day, wall_s=0.1 + 0.01 * day, n_rows=900) for day in range(42)]) == []
