import numpy as np
import pyarrow as pa
import pytest

from tidemill.monitoring.alerts.inspection import (
    MIN_PAST,
    compare_with_previous,
    decide_publication,
    withheld_alert,
    withholds,
)
from tidemill.monitoring.profile import ColumnProfile, build_profile, count_table
from tidemill.records import Alert, Severity, Verdict

NULLS = Alert(rule="nulls:temp", severity=Severity.FAIL, message="temp lacks values.", value=1.0, threshold=0.1)
DRIFT = Alert(rule="drift", severity=Severity.WARN, message="Much has drifted.", value=0.5, threshold=0.3)


def at_once(found: Alert) -> bool:
    return found.severity is Severity.FAIL


def test_a_finding_that_opens_an_alert_at_once_withholds_and_comes_first() -> None:
    decision = decide_publication([DRIFT, NULLS], at_once, n_past=28)
    assert (decision.kind, decision.verdict) == ("inspect", Verdict.REJECT)
    assert decision.reasons == ("temp lacks values.", "Much has drifted.")


def test_a_finding_that_has_to_persist_is_reported_only() -> None:
    decision = decide_publication([DRIFT], at_once, n_past=28)
    assert (decision.verdict, decision.reasons) == (Verdict.ACCEPT, ("Much has drifted.",))


@pytest.mark.parametrize("n_past", range(MIN_PAST))
def test_without_a_past_everything_is_reported_only(n_past: int) -> None:
    decision = decide_publication([NULLS], at_once, n_past=n_past)
    assert decision.verdict is Verdict.NOT_ENOUGH_EVIDENCE
    assert decision.reasons[1:] == ("temp lacks values.",)


@pytest.mark.parametrize(
    ("rule", "may"),
    [
        ("nulls:temp", True), ("break:temp", True), ("unseen:carrier", True), ("volume", True), ("drift", True),
        ("score_drift", True), ("agreement:rows", True), ("unknown:psi", False), ("schema", False), ("age:model", False),
        ("dependencies", False), ("withheld:2013-07-01", False), ("nonsense", False),
    ],
)  # fmt: skip
def test_only_families_that_mislead_readers_withhold(rule: str, may: bool) -> None:
    assert withholds(Alert(rule=rule, severity=Severity.FAIL, message="", value=1.0, threshold=0.0)) is may


def scores(values: np.ndarray) -> ColumnProfile:
    (reference,) = build_profile(pa.table({"score": np.linspace(0, 1, 1001)}), ["score"], [])
    (found,) = count_table([reference], pa.table({"score": values}))
    return found


def test_equal_scores_agree_and_others_do_not() -> None:
    rng = np.random.default_rng(0)
    before, other = scores(rng.uniform(size=2000)), scores(rng.uniform(0.6, 1.0, size=1000))
    same = {m.name: m.value for m in compare_with_previous(before, before, same_release=True, psi_threshold=0.2)}
    changed = {m.name: m.value for m in compare_with_previous(before, other, same_release=True, psi_threshold=0.2)}
    assert (same["previous_rows_ratio"], same["previous_score_psi"]) == (1.0, 0.0)
    assert changed["previous_rows_ratio"] == 2.0
    assert changed["previous_score_psi"] > changed["previous_score_psi_threshold"]


def test_scores_of_another_release_may_differ() -> None:
    found = compare_with_previous(scores(np.zeros(9)), scores(np.ones(9)), same_release=False, psi_threshold=0.2)
    assert [figure.name for figure in found] == ["previous_rows_ratio"]


def test_the_alert_names_the_partition_the_reasons_and_both_commands() -> None:
    alert = withheld_alert("flights", "2013-07-01", ["a.", "b.", "c.", "d."])
    assert (alert.rule, alert.severity) == ("withheld:2013-07-01", Severity.FAIL)
    for part in ("a. b. c. And 1 more.", "tidemill publish flights 2013-07-01", "tidemill discard flights 2013-07-01"):
        assert part in alert.message
