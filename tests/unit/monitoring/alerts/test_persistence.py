import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.monitoring.alerts.families import FAMILIES
from tidemill.monitoring.alerts.persistence import Persistence, decide_changes
from tidemill.records import Alert, AlertEvent, Examination, OpenAlert, Severity
from tidemill.spec import RULES

RULE = "drift:dep_hour"


def found(value=0.5, severity=Severity.WARN, rule=RULE):
    return Alert(rule=rule, severity=severity, message="m", value=value, threshold=0.2)


def examined(*days, parts=("drift",)):
    """Examinations from oldest to newest: a finding, or None on a quiet day; in the form that decide_changes takes."""
    listed = [
        Examination(partition=f"2024-03-{day:02}", parts=parts, findings=() if item is None else (item,))
        for day, item in enumerate(days, 1)
    ]
    return list(reversed(listed))


def opened(alert=None, first=1, last=1, told=None, told_on=1, by=None):
    alert = alert or found()
    return OpenAlert(
        alert_id=7,
        model="m",
        alert=alert,
        owner="o",
        first_partition=f"2024-03-{first:02}",
        last_partition=f"2024-03-{last:02}",
        told=told or alert,
        told_partition=f"2024-03-{told_on:02}",
        acknowledged_by=by,
    )


def events(opened_alerts, examinations, persistence="1 of 1", always=False):
    changes = decide_changes(
        opened_alerts,
        examinations,
        persistence=lambda family: Persistence.parse(persistence, always=always),
        owner=lambda family: "o",
    )
    return [change.event for change in changes]


def replay(days, persistence="1 of 1"):
    """Run day after day, as the ledger would, and return what was reported on each."""
    alert, told = None, []
    for n in range(1, len(days) + 1):
        changes = decide_changes(
            [] if alert is None else [alert],
            examined(*days[:n]),
            persistence=lambda family: Persistence.parse(persistence),
            owner=lambda family: "o",
        )
        told.append(changes[0].event if changes else None)
        for change in changes:
            if change.event is AlertEvent.OPENED:
                alert = opened(change.alert, first=int(change.first_partition[-2:]), last=n, told_on=n)
            elif change.event is AlertEvent.RESOLVED:
                alert = None
    return told


def test_a_family_of_the_spec_is_a_family_of_monitoring():
    assert sorted(FAMILIES) == sorted(RULES)


def test_nothing_found_changes_nothing():
    assert events([], examined(None, None)) == []


def test_one_of_one_opens_on_the_first_day():
    assert events([], examined(None, found())) == [AlertEvent.OPENED]


@pytest.mark.parametrize(("days", "opens"), [
    ((found(), None, found()), False),
    ((found(), None, found(), found()), True),
    ((found(), found(), found(), None), False),
    ((found(), found(), None, None, None, found()), False),
])  # fmt: skip
def test_three_of_five_opens_with_the_third_within_five_days(days, opens):
    assert (events([], examined(*days), "3 of 5") == [AlertEvent.OPENED]) is opens


def test_what_needs_action_today_does_not_wait():
    assert events([], examined(found(severity=Severity.FAIL)), "3 of 5") == [AlertEvent.OPENED]


def test_a_persistence_of_the_spec_holds_for_what_needs_action_too():
    assert events([], examined(found(severity=Severity.FAIL)), "3 of 5", always=True) == []


def test_an_alert_says_since_when():
    (change,) = decide_changes(
        [],
        examined(found(), None, found(), found()),
        persistence=lambda family: Persistence(n=3, of=5),
        owner=lambda family: "o",
    )
    assert (change.first_partition, change.last_partition) == ("2024-03-01", "2024-03-04")


def test_an_alert_that_goes_on_is_not_told_again():
    assert events([opened()], examined(found(), found())) == [AlertEvent.UPDATED]


def test_one_quiet_day_does_not_resolve():
    assert events([opened()], examined(found(), None)) == [AlertEvent.UPDATED]


def test_two_quiet_days_resolve():
    assert events([opened()], examined(found(), None, None)) == [AlertEvent.RESOLVED]


def test_three_of_five_resolves_after_three_quiet_days():
    assert events([opened()], examined(found(), None, None), "3 of 5") == [AlertEvent.UPDATED]
    assert events([opened()], examined(found(), None, None, None), "3 of 5") == [AlertEvent.RESOLVED]


def test_a_day_that_was_corrected_and_examined_again_resolves_at_once():
    assert events([opened()], examined(None)) == [AlertEvent.RESOLVED]


def test_what_comes_and_goes_every_other_day_is_one_alert():
    told = replay([found(), None] * 6)
    assert told.count(AlertEvent.OPENED) == 1
    assert AlertEvent.RESOLVED not in told


def test_days_on_which_its_part_was_not_examined_count_as_neither_found_nor_quiet():
    days = examined(found(), None, None, None)
    unasked = [Examination(partition=item.partition, parts=("freshness",), findings=()) for item in days[:3]]
    assert events([opened()], [*unasked, days[3]]) == [AlertEvent.UPDATED]


def test_a_more_severe_finding_is_reported():
    days = examined(found(), found(severity=Severity.FAIL))
    assert events([opened()], days) == [AlertEvent.WORSENED]


def test_twice_as_far_beyond_the_threshold_is_reported():
    assert events([opened(found(0.5))], examined(found(0.5), found(0.8))) == [AlertEvent.WORSENED]


def test_a_little_further_is_not():
    assert events([opened(found(0.5))], examined(found(0.5), found(0.7))) == [AlertEvent.UPDATED]


def test_an_unknown_figure_is_not_worse():
    assert events([opened(found(math.nan))], examined(found(math.nan), found(math.nan))) == [AlertEvent.UPDATED]


def test_a_week_without_a_word_is_reminded_of():
    days = examined(*[found()] * 8)
    assert events([opened()], days) == [AlertEvent.REMINDED]


def test_an_acknowledged_alert_sends_no_reminder():
    days = examined(*[found()] * 8)
    assert events([opened(by="ann")], days) == [AlertEvent.UPDATED]


def test_an_old_alert_whose_days_have_left_the_window_resolves():
    assert events([opened()], examined(*[None] * 9)[:5]) == [AlertEvent.RESOLVED]


def test_what_needs_action_comes_first():
    day = Examination(
        partition="2024-03-01", parts=("drift",), findings=(found(rule="nulls:a"), found(severity=Severity.FAIL))
    )
    changes = decide_changes([], [day], persistence=lambda family: Persistence(), owner=lambda family: "o")
    assert [change.alert.rule for change in changes] == [RULE, "nulls:a"]


SEQUENCES = st.lists(st.sampled_from([None, found(), found(severity=Severity.FAIL)]), min_size=1, max_size=20)


@given(SEQUENCES, st.sampled_from(["1 of 1", "2 of 3", "3 of 5"]))
def test_opened_and_resolved_take_turns(days, persistence):
    told = [event for event in replay(days, persistence) if event in (AlertEvent.OPENED, AlertEvent.RESOLVED)]
    assert told == [AlertEvent.OPENED, AlertEvent.RESOLVED] * (len(told) // 2) + [AlertEvent.OPENED] * (len(told) % 2)


@given(SEQUENCES)
def test_a_stricter_persistence_never_opens_earlier(days):
    warnings = [None if day is None else found() for day in days]
    first = {
        p: replay(warnings, p).index(AlertEvent.OPENED) if AlertEvent.OPENED in replay(warnings, p) else 99
        for p in ("1 of 1", "2 of 3", "3 of 3")
    }
    assert first["1 of 1"] <= first["2 of 3"] <= first["3 of 3"]
