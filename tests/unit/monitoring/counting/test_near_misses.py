"""Unseen levels that look like a known one."""

from collections import Counter

import pyarrow as pa
import pytest

from tidemill.monitoring.alerts.reading import AlertThresholds
from tidemill.monitoring.alerts.rules import raise_alerts
from tidemill.monitoring.counting.near_misses import near_misses
from tidemill.monitoring.drift import detect_drift
from tidemill.monitoring.profile import build_profile, count_table, merge


@pytest.mark.parametrize(
    ("level", "known"),
    [
        ("paris ", "Paris"), ("PARIS", "Paris"), ("\tParis\u00a0", "Paris"), ("Pa\u200bris", "Paris"),
        ("S\u00e3o Paulo", "Sao Paulo"), ("Sa\u0303o Paulo", "S\u00e3o Paulo"), ("new-york", "New York"),
        ("new_york", "NewYork"), ("007", "7"), ("7", "007"), ("7.0", "7"), ("STRASSE", "stra\u00dfe"), ("\uff21\uff22", "AB"),
    ],
)  # fmt: skip
def test_another_spelling_is_named_with_the_known_one(level: str, known: str) -> None:
    assert near_misses(Counter({level: 3}), ["Rome", known]) == {level: (known, 3)}


@pytest.mark.parametrize("level", ["Parish", "Oslo", "A+", "", " ", "7.5", "70"])
def test_another_level_is_no_near_miss(level: str) -> None:
    assert near_misses(Counter({level: 3}), ["Paris", "A-", "7"]) == {}


def test_only_the_most_frequent_are_named() -> None:
    found = near_misses(Counter({"a" + " " * n: n for n in range(1, 9)}), ["A"])
    assert [n for _, n in found.values()] == [8, 7, 6, 5, 4]


def test_the_alert_about_unseen_levels_names_them() -> None:
    reference = build_profile(pa.table({"city": ["Paris", "Rome"] * 50}), [], ["city"])
    counted = count_table(reference, pa.table({"city": ["Rome"] * 50 + ["paris "] * 40 + ["Oslo"] * 10}))
    figures = detect_drift(reference, counted)
    assert [(item.slice, item.value) for item in figures if item.name == "near_miss_share"] == [
        ("'paris ' for 'Paris'", 0.4)
    ]
    (alert,) = [item for item in raise_alerts(figures, AlertThresholds()) if item.rule == "unseen:city"]
    assert "Written differently: 'paris ' for 'Paris'." in alert.message


def test_near_misses_of_batches_add_up() -> None:
    reference = build_profile(pa.table({"city": ["Paris", "Rome"]}), [], ["city"])
    (one,), (other,) = (count_table(reference, pa.table({"city": cities})) for cities in (["PARIS"], ["PARIS", "rome"]))
    assert merge(one, other).near_misses == {"PARIS": ("Paris", 2), "rome": ("Rome", 1)}
    assert merge(one, other).n_unseen == 3
