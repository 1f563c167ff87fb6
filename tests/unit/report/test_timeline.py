"""A model's past: every figure is where its value belongs, gaps stay visible, and nothing is drawn that is not known."""

import math
from dataclasses import replace

import pytest

from tidemill.records import FeatureDrift, MetricValue, RowDecision, Timeliness, Verdict
from tidemill.report.timeline import calendar, drift_rows, quality_chart

from .test_console import FAILED, FINE, NOW, OPEN, PARTITION

BARE = replace(FINE, champion=None)


def day(number: int, realised: float | None = None, estimated: float | None = None, **more: object):
    figures = {
        name: None if value is None else MetricValue(name="roc_auc", value=value, low=value - 0.1, high=value + 0.1)
        for name, value in (("realised", realised), ("estimated", estimated))
    }
    return replace(PARTITION, partition=f"2013-07-{number:02d}", **figures, **more)


def newest_first(*partitions):
    return tuple(sorted(partitions, key=lambda item: item.partition, reverse=True))


def test_without_figures_there_is_no_chart() -> None:
    assert quality_chart((), FINE) is None
    assert quality_chart((day(1, math.nan),), FINE) is None


def test_heights_are_linear_in_the_values_and_higher_is_above() -> None:
    chart = quality_chart(newest_first(day(1, 0.5), day(2, 0.6), day(3, 0.7)), BARE)
    ys = [point.y for point in chart.realised]
    assert ys[0] - ys[1] == pytest.approx(ys[1] - ys[2], abs=0.2)
    assert ys[0] > ys[1] > ys[2]
    assert all(point.low > point.y > point.high for point in chart.realised)
    assert chart.accepted is None


def test_ticks_are_round_and_at_the_height_of_their_value() -> None:
    chart = quality_chart(newest_first(day(1, 0.5), day(2, 0.9)), FINE)
    heights = {round(value, 6): y for y, value in chart.ticks}
    assert 3 <= len(heights) <= 8
    (low, y_low), *_, (high, y_high) = sorted(heights.items())
    at = {point.value.value: point.y for point in chart.realised}
    assert at[0.5] == pytest.approx(y_low + (0.5 - low) * (y_high - y_low) / (high - low), abs=0.3)


@pytest.mark.parametrize("value", [0.0, 0.7, -3.5, 1e-9, 5e12])
def test_a_single_value_has_a_scale(value: float) -> None:
    figures = MetricValue(name="bias", value=value)
    chart = quality_chart((replace(PARTITION, realised=figures, estimated=None),), BARE)
    assert math.isfinite(chart.realised[0].y)
    assert chart.ticks


def test_a_partition_without_a_figure_ends_the_line() -> None:
    chart = quality_chart(newest_first(day(1, 0.5), day(2, 0.6), day(3), day(4, 0.6), day(5, 0.7)), BARE)
    assert [len(line.split()) for line in chart.lines["realised"]] == [2, 2]
    assert chart.lines["estimated"] == []


def test_releases_and_alerts_are_marked_where_they_began() -> None:
    partitions = newest_first(day(4, 0.7, release_id=7), day(5, 0.7, release_id=8), day(6, 0.7, release_id=8))
    chart = quality_chart(partitions, replace(FINE, alerts=(OPEN, replace(OPEN, first_partition="2012-01-01"))))
    x = {point.partition.partition: point.x for point in chart.realised}
    assert [(event.label, event.tone) for event in chart.events] == [
        ("release 8", "muted"),
        ("temp has drifted.", "warn"),
    ]
    assert x["2013-07-04"] < chart.events[0].x < x["2013-07-05"] == chart.events[1].x


def test_the_calendar_has_every_day_once_and_names_its_state() -> None:
    partitions = newest_first(
        day(1, simulated=True), day(2, n_rows=0), day(4), replace(PARTITION, partition="2013-08-01")
    )
    cells = calendar(partitions, replace(FINE, failures=(replace(FAILED, partition="2013-08-03"),)))
    assert [cell.key for cell in cells][:4] == ["2013-07-01", "2013-07-02", "2013-07-03", "2013-07-04"]
    assert (len(cells), cells[-1].key) == (34, "2013-08-03")
    states = {cell.key: cell.state for cell in cells}
    assert [states[f"2013-07-0{n}"] for n in (1, 2, 3, 4)] == ["simulated", "empty", "none", "published"]
    assert (states["2013-08-02"], states["2013-08-03"]) == ("none", "failed")
    assert [cell.month for cell in cells if cell.month] == ["2013-07", "2013-08"]


def test_what_is_owed_withheld_or_failed_is_named_before_what_is_published() -> None:
    state = replace(
        FINE,
        timeliness=Timeliness(message="Late.", missing=("2013-07-05", "2013-07-04", "2013-07-02")),
        withheld=("2013-07-04", "2013-07-01"),
        failures=(replace(FAILED, partition="2013-07-05"), replace(FAILED, chain="train", partition="2013-07-03")),
    )
    cells = calendar(newest_first(day(1), day(3)), state)
    assert [(cell.key[-1], cell.state) for cell in cells] == [
        ("1", "withheld"), ("2", "missing"), ("3", "published"), ("4", "withheld"), ("5", "failed"),
    ]  # fmt: skip
    assert cells[0].partition is not None


def test_the_floor_is_a_line_within_the_scale() -> None:
    chart = quality_chart(newest_first(day(1, 0.7), day(2, 0.75)), replace(FINE, floor=0.4))
    heights = {round(value, 6): y for y, value in chart.ticks}
    (low, y_low), *_, (high, y_high) = sorted(heights.items())
    assert chart.floor == pytest.approx(y_low + (0.4 - low) * (y_high - y_low) / (high - low), abs=0.3)
    assert chart.floor < 240
    assert quality_chart(newest_first(day(1, 0.7)), replace(FINE, floor=math.nan)).floor is None


def test_withheld_rows_and_what_became_of_them_are_marked() -> None:
    def decided(partition: str, kind: str, verdict: Verdict, reason: str) -> RowDecision:
        return RowDecision(partition=partition, kind=kind, verdict=verdict, reasons=(reason,), decided_at=NOW)

    chart = quality_chart(
        newest_first(day(1, 0.7), day(2, 0.7)),
        BARE,
        (
            decided("2013-07-01", "inspect", Verdict.REJECT, "A break."),
            decided("2013-07-01", "publish", Verdict.ACCEPT, "Published by ann: fine."),
            decided("2013-07-02", "publish", Verdict.REJECT, "Discarded by bob: wrong."),
            decided("2013-07-09", "inspect", Verdict.REJECT, "Not in the chart."),
        ),
    )
    assert [(event.label, event.tone) for event in chart.events] == [
        ("withheld: A break.", "fail"),
        ("released: Published by ann: fine.", "good"),
        ("discarded: Discarded by bob: wrong.", "muted"),
    ]


@pytest.mark.parametrize(
    ("keys", "n"),
    [
        ([], 0),
        (["2013-W01", "2013-W04"], 4),
        (["2012-12", "2013-02"], 3),
        (["2013-07-01T01-0400", "2013-07-01T05-0400"], 2),
    ],
)
def test_the_calendar_of_other_partitions(keys: list[str], n: int) -> None:
    assert len(calendar([replace(PARTITION, partition=key) for key in keys], FINE)) == n


def test_drift_has_the_most_important_features_first_and_a_level_by_threshold() -> None:
    def drift(feature: str, partition: str, distance: float, importance: float) -> FeatureDrift:
        return FeatureDrift(
            feature=feature, partition=partition, distance=distance, threshold=0.2, importance=importance
        )

    found = [
        drift("b", "2013-07-01", 0.05, 0.1), drift("a", "2013-07-01", 0.15, 0.6),
        drift("a", "2013-07-02", 0.25, 0.6), drift("b", "2013-07-02", 0.5, 0.1), drift("c", "2013-07-02", math.nan, math.nan),
    ]  # fmt: skip
    rows = drift_rows(found, ["2013-07-01", "2013-07-02"])
    assert [(row.feature, [level for _, level, _ in row.cells]) for row in rows] == [
        ("a", [1, 2]), ("b", [0, 3]), ("c", [-1, -1]),
    ]  # fmt: skip
    assert rows[0].cells[1][2] == "2013-07-02: psi 0.250, threshold 0.200"


def test_a_model_that_has_published_nothing_has_neither() -> None:
    assert quality_chart((), FINE) is None
    assert (calendar((), FINE), drift_rows((), ())) == ((), ())
