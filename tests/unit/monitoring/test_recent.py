import math

from tidemill.monitoring.recent import recent_quality
from tidemill.records import MetricValue


def figure(value, low=None, high=None):
    return MetricValue(name="roc_auc", value=value, low=low, high=high, n=900)


def test_the_newest_partitions_are_averaged():
    assert recent_quality([figure(0.5), figure(0.6), figure(0.7)]).value == 0.6


def test_the_more_partitions_differ_the_wider_the_interval():
    narrow, wide = (recent_quality([figure(0.6 - d), figure(0.6), figure(0.6 + d)]) for d in (0.01, 0.1))
    assert narrow.high - narrow.low < wide.high - wide.low


def test_one_or_two_partitions_describe_only_the_newest():
    found = recent_quality([figure(0.5), figure(0.7, 0.65, 0.75)])
    assert (found.value, found.low, found.high) == (0.7, 0.65, 0.75)


def test_partitions_without_a_figure_are_left_out():
    assert recent_quality([figure(math.nan), figure(0.5), figure(0.6), figure(0.7)]).n == 2700


def test_without_any_figure_there_is_none():
    assert recent_quality([figure(math.nan)]) is None


def test_an_interval_stays_within_the_range_of_its_metric():
    days = [MetricValue(name="roc_auc", value=value, n=20) for value in (1.0, 0.2, 0.9)]
    recent = recent_quality(days)
    assert (recent.low, recent.high) == (0.0, 1.0)
    errors = [MetricValue(name="mean_absolute_error", value=value, n=20) for value in (9.0, 0.2, 30.0)]
    assert (recent_quality(errors).low, recent_quality(errors).high > 30) == (0.0, True)
