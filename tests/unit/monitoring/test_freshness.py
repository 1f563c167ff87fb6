import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.monitoring.freshness import FreshnessEvidence, FreshnessLimits, examine_freshness, usual_rows

COUNTS = (910, 905, 880, 930, 915, 900, 890, 925)


def rules(**evidence):
    known = {"n_rows": 900, "past_rows": COUNTS * 3, "peer_rows": COUNTS} | evidence
    return [alert.rule for alert in examine_freshness(FreshnessEvidence(**known), FreshnessLimits())[1]]


def test_a_day_like_its_weekday_raises_nothing():
    assert rules() == []


@pytest.mark.parametrize("n_rows", [450, 1800, 0])
def test_half_doubled_and_no_rows_are_unusual(n_rows):
    assert rules(n_rows=n_rows) == ["volume"]


def test_a_weekday_is_compared_with_the_same_weekday():
    assert rules(n_rows=400, peer_rows=(400, 410, 390, 405)) == []


def test_with_few_of_its_weekday_all_of_the_newest_stand_in():
    assert rules(n_rows=450, peer_rows=(450, 440, 460)) == ["volume"]


def test_a_count_that_always_varies_may_vary():
    assert rules(n_rows=450, peer_rows=(900, 300, 1200, 500, 200, 1500, 800, 350)) == []


def test_few_rows_vary_by_chance():
    assert rules(n_rows=3, peer_rows=(7, 6, 8, 5), past_rows=()) == []


def test_nothing_is_usual_without_a_past():
    assert rules(n_rows=1, peer_rows=(), past_rows=(900, 900)) == []


@given(st.lists(st.integers(1, 10**6), min_size=4, max_size=8), st.integers(1, 1000))
def test_what_is_usual_does_not_depend_on_the_unit(counts, factor):
    usual, _ = usual_rows(counts, ())
    scaled, _ = usual_rows([count * factor for count in counts], ())
    assert math.isclose(scaled, usual * factor)


def test_a_missing_partition_is_named():
    evidence = FreshnessEvidence(n_rows=1, missing=("2013-07-03",))
    assert "2013-07-03" in examine_freshness(evidence, FreshnessLimits())[1][0].message


@pytest.mark.parametrize(("age", "expected"), [(59.0, []), (61.0, ["age:model"])])
def test_an_old_model_is_reported(age, expected):
    assert rules(ages={"model": age}) == expected


@pytest.mark.parametrize(("age", "past", "expected"), [
    (1.1, (0.1,) * 5, ["age:labels"]),
    (0.5, (0.1,) * 5, []),
    (math.inf, (0.1,) * 5, ["age:labels"]),
    (30.0, (29.0,) * 5, []),
    (30.0, (0.1,) * 4, []),
])  # fmt: skip
def test_labels_are_old_when_they_are_older_than_they_ever_are(age, past, expected):
    assert rules(ages={"labels": age}, past_ages={"labels": past}) == expected


@pytest.mark.parametrize(("before", "now", "said"), [
    ({"a": "double"}, {"a": "int64"}, "a was double and is int64"),
    ({"a": "double"}, {}, "a is gone"),
    ({}, {"a": "double"}, "a is new (double)"),
])  # fmt: skip
def test_a_change_of_columns_is_reported(before, now, said):
    evidence = FreshnessEvidence(n_rows=1, columns=now, columns_before=before)
    (alert,) = examine_freshness(evidence, FreshnessLimits())[1]
    assert (alert.rule, said in alert.message) == ("schema", True)


def test_the_same_columns_in_another_order_are_no_change():
    assert rules(columns={"a": "x", "b": "y"}, columns_before={"b": "y", "a": "x"}) == []


def test_a_change_of_packages_is_reported():
    assert rules(versions={"packages": "b"}, versions_before={"packages": "a"}) == ["dependencies"]


def test_figures_say_what_is_usual():
    evidence = FreshnessEvidence(n_rows=450, peer_rows=(900,) * 4, ages={"model": 3.0})
    figures = {(m.name, m.slice): m.value for m in examine_freshness(evidence, FreshnessLimits())[0]}
    assert figures["n_rows_ratio", None] == 0.5
    assert figures["age_days", "of=model"] == 3.0
