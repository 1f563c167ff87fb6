import math

from tidemill.records import MetricValue
from tidemill.report.simulation import PolicyFacts, gain_over_time, gains_between, quality_by_policy, simulation_page


def facts(name: str, **values: object) -> PolicyFacts:
    given: dict[str, object] = {
        "quality": {f"2013-06-{day:02}": 0.7 + day / 1000 for day in range(1, 15)},
        "trained": [("2013-06-01", "accept", "It beats <b>all</b>.", True)],
        "alerts": [("drift:temp", "warn", "2013-06-10", "2013-06-11", "temp has drifted")],
        "stopped": [("2013-06-12", "predict", "ContractBroken: temp")],
    }
    return PolicyFacts(name=name, **(given | values))


def page(low: float | None, high: float | None, **values: object) -> str:
    figure = MetricValue(name="roc_auc", value=0.01, low=low, high=high, n=14, slice="weekly over never")
    policies = [facts("never", **values), facts("weekly", **values)]
    return simulation_page(
        "flight_delays", "2013-06-01 to 2013-06-14", metric="roc_auc", policies=policies, gains=[figure]
    )


def test_an_interval_above_zero_is_a_yes() -> None:
    assert "Retraining helps: weekly over never +0.0100." in page(0.005, 0.015)


def test_an_interval_around_zero_is_no_yes() -> None:
    assert "No difference that this past could show." in page(-0.005, 0.025)


def test_an_interval_below_zero_means_that_retraining_does_not_pay() -> None:
    assert "It harms: weekly over never +0.0100." in page(-0.02, -0.01)


def test_without_an_interval_the_past_is_too_short() -> None:
    assert "too short to tell" in page(None, None)


def test_the_interval_of_the_gain_is_reported() -> None:
    assert "weekly over never: +0.0100 roc_auc a partition, 95 % interval +0.0050 to +0.0150" in page(0.005, 0.015)


def test_trainings_of_each_policy_are_counted() -> None:
    assert "never: 1 training, 1 served, mean 0.7075." in page(0.005, 0.015)


def test_a_better_policy_lies_above_zero() -> None:
    days = [f"2013-06-{day:02}" for day in range(1, 15)]
    policies = [facts("never", quality=dict.fromkeys(days, 0.7)), facts("weekly", quality=dict.fromkeys(days, 0.6))]
    text = gain_over_time(policies, "log_loss", sign=-1).to_json()
    assert '"y": 0.09999999999999998' in text


def test_the_picture_of_gains_has_their_figures() -> None:
    figure = MetricValue(name="roc_auc", value=0.01, low=0.005, high=0.015, n=14, slice="weekly over never")
    assert "+0.0100 (+0.0050 to +0.0150)" in gains_between([figure], "roc_auc").to_json()


def test_one_policy_has_nothing_to_be_compared_with() -> None:
    assert "There is nothing to compare." in gain_over_time([facts("never")], "roc_auc").to_json()
    assert "There is nothing to compare." in gains_between([], "roc_auc").to_json()


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
