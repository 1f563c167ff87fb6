"""Quality before labels and after, and rows made once more: what monitoring knows besides what it was told."""

import pytest

from .data import LAST, NEXT, SCORED, Mill


def figures(mill: Mill, part: str, partition: str) -> dict[str, float]:
    rows = mill.sql(
        "SELECT coalesce(feature, name), value FROM tidemill.metric WHERE model = '{m}' AND part = %s AND partition = %s"
        " AND slice IS NULL ORDER BY metric_id",
        part,
        partition,
    )
    return dict(rows)


def watched(mill: Mill, *partitions: str) -> list[str]:
    """Predict and monitor partitions; return the rules that the last of them found."""
    record = {}
    for partition in partitions:
        mill.predict(partition)
        record = mill.monitor(partition, shown=False)["performance"]
    return [alert["rule"] for alert in record["alerts"]]


def test_quality_is_estimated_on_the_day_itself(serving: Mill) -> None:
    watched(serving, SCORED)
    estimated = figures(serving, "estimate", SCORED)
    assert 0.6 < estimated["estimated_roc_auc"] < 1
    assert "roc_auc" not in figures(serving, "performance", SCORED)


def test_the_estimate_is_compared_with_the_truth_once_known(serving: Mill) -> None:
    watched(serving, SCORED, NEXT, LAST)
    realised, estimated = figures(serving, "performance", SCORED), figures(serving, "estimate", SCORED)
    assert realised["roc_auc_estimate_error"] == pytest.approx(realised["roc_auc"] - estimated["estimated_roc_auc"])


def test_an_estimate_stays_when_labels_have_come(serving: Mill) -> None:
    watched(serving, SCORED)
    before = figures(serving, "estimate", SCORED)
    watched(serving, NEXT, LAST)
    assert figures(serving, "estimate", SCORED) == before


def test_rows_made_once_more_are_the_rows_that_were_scored(serving: Mill) -> None:
    rules = watched(serving, SCORED, NEXT, LAST)
    skew = figures(serving, "skew", NEXT)
    assert set(skew.values()) == {0.0}
    assert not [rule for rule in rules if rule.startswith("skew")]


def test_a_value_changed_without_a_trace_is_named(serving: Mill) -> None:
    watched(serving, SCORED, NEXT)
    serving.sql("UPDATE {t} SET queue_h = queue_h + 1 WHERE shipped_at::date = %s", NEXT)
    assert "skew:queue_h" in watched(serving, LAST)
