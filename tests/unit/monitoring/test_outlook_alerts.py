from tidemill.monitoring.change import Change
from tidemill.monitoring.outlook_alerts import change_alerts, estimate_alerts, skew_alerts
from tidemill.records import MetricValue

ESTIMATE = MetricValue(name="estimated_roc_auc", value=0.6, low=0.55, high=0.64, n=900)


def rules(*, floor: float | None, greater_is_better: bool = True, metric: str = "roc_auc") -> list[str]:
    found = estimate_alerts([ESTIMATE], metric=metric, floor=floor, greater_is_better=greater_is_better)
    return [alert.rule for alert in found]


def test_an_estimate_wholly_below_the_floor_is_an_alert() -> None:
    assert rules(floor=0.7) == ["estimate:roc_auc"]


def test_an_estimate_whose_interval_reaches_the_floor_is_none() -> None:
    assert rules(floor=0.62) == []


def test_an_error_wholly_above_its_ceiling_is_an_alert() -> None:
    assert rules(floor=0.5, greater_is_better=False) == ["estimate:roc_auc"]


def test_without_a_floor_or_an_estimate_there_is_no_alert() -> None:
    assert rules(floor=None) == rules(floor=0.7, metric="accuracy") == []


def test_a_change_says_since_when() -> None:
    (alert,) = change_alerts(
        Change(since="2013-07-05", detected="2013-07-09", rise=0.1, statistic=9.0), loss="log_loss"
    )
    assert "Since 2013-07-05" in alert.message


def test_a_change_that_is_over_is_no_alert_any_more() -> None:
    assert (
        change_alerts(Change(since="2013-07-05", detected="2013-07-09", rise=0.1, statistic=2.0), loss="log_loss") == ()
    )


def test_a_skewed_column_is_named_and_a_single_correction_is_not() -> None:
    figures = [
        MetricValue(name="skew_share", feature="temp", value=0.3, n=900),
        MetricValue(name="skew_share", feature="wind", value=0.001, n=900),
        MetricValue(name="skew_rows", value=0.5, n=900),
    ]
    assert [alert.rule for alert in skew_alerts(figures, "2013-07-01")] == ["skew:temp", "skew:rows"]
