import math

from tidemill.records import MetricValue
from tidemill.report.simulation import PolicyFacts, quality_by_policy, simulation_page


def facts(name: str, **values: object) -> PolicyFacts:
    given: dict[str, object] = {
        "quality": {f"2013-06-{day:02}": 0.7 + day / 1000 for day in range(1, 15)},
        "trained": [("2013-06-01", "accept", "It beats <b>all</b>.", True)],
        "alerts": [("drift:temp", "warn", "2013-06-10", "2013-06-11", "temp has drifted")],
        "stopped": [("2013-06-12", "predict", "ContractBroken: temp")],
    }
    return PolicyFacts(name=name, **(given | values))  # type: ignore[arg-type]


def page(low: float | None, high: float | None, **values: object) -> str:
    figure = MetricValue(name="roc_auc", value=0.01, low=low, high=high, n=14, slice="weekly over never")
    policies = [facts("never", **values), facts("weekly", **values)]
    return simulation_page(
        "flight_delays", "2013-06-01", "2013-06-14", metric="roc_auc", policies=policies, gains=[figure]
    )


def test_an_interval_above_zero_is_a_yes() -> None:
    assert "Yes: weekly over never." in page(0.005, 0.015)


def test_an_interval_around_zero_is_no_yes() -> None:
    assert "Not that this past could show." in page(-0.005, 0.025)


def test_an_interval_below_zero_is_a_no() -> None:
    assert "No: worse, weekly over never." in page(-0.02, -0.01)


def test_without_an_interval_the_past_is_too_short() -> None:
    assert "too short to tell" in page(None, None)


def test_alerts_and_stopped_chains_are_shown() -> None:
    text = page(0.005, 0.015)
    assert "temp has drifted" in text
    assert "ContractBroken: temp" in text


def test_reasons_are_escaped() -> None:
    assert "<b>all</b>" not in page(0.005, 0.015)


def test_mean_quality_of_no_partition_is_not_a_number() -> None:
    assert math.isnan(facts("never", quality={"2013-06-01": None}).mean_quality)


def test_a_past_without_figures_has_a_picture_that_says_so() -> None:
    assert "No partition has a value" in quality_by_policy([facts("never", quality={})], "roc_auc").to_json()
