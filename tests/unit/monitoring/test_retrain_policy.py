import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tidemill.monitoring.retrain_policy import PartitionFigure, RetrainEvidence, RetrainPolicy, decide_retraining
from tidemill.records import MetricValue, Verdict

AS_OF = datetime(2013, 7, 20, 9, tzinfo=UTC)
DAY = timedelta(days=1)
ACCEPTANCE = MetricValue(name="roc_auc", value=0.70, low=0.69, high=0.71, n=13_000)
SHARES = st.lists(st.just(math.nan) | st.floats(0, 1), max_size=12)


def _series(values, label_coverage=None):
    return tuple(
        PartitionFigure(partition=f"2013-07-{day:02}", value=value, label_coverage=label_coverage)
        for day, value in enumerate(values, 1)
    )


def _evidence(drift=(0.0,) * 5, quality=(0.70, 0.71, 0.69, 0.70, 0.71), **changes):
    healthy = {
        "as_of": AS_OF,
        "trainings": (AS_OF - 15 * DAY,),
        "trained_until": AS_OF - 16 * DAY,
        "drift_weighted": _series(drift),
        "quality": _series(quality, label_coverage=0.97),
        "acceptance": ACCEPTANCE,
    }
    return RetrainEvidence(**{**healthy, **changes})


def _decide(*args, policy=None, **changes):
    return decide_retraining(_evidence(*args, **changes), policy or RetrainPolicy())


def test_a_healthy_model_is_not_retrained():
    assert _decide().verdict is Verdict.REJECT


def test_a_no_is_explained_by_all_that_was_weighed():
    reasons = " ".join(_decide().reasons)
    for part in ("16 days old", "In 0 of the last 5 partitions", "0.702", "0.700", "15 days ago"):
        assert part in reasons


def test_a_model_without_a_champion_is_trained():
    assert _decide(trained_until=None, trainings=()).accepted


def test_old_data_are_a_reason():
    decision = _decide(trained_until=AS_OF - 30 * DAY)
    assert decision.accepted
    assert decision.reasons[0] == "The champion's data are 30 days old; the limit is 30 days."


def test_data_just_under_the_age_are_no_reason():
    assert not _decide(trained_until=AS_OF - 30 * DAY + timedelta(minutes=1)).accepted


def test_persistent_drift_is_a_reason():
    decision = _decide(drift=(0.0, 0.4, 0.0, 0.5, 0.3))
    assert decision.accepted
    assert "In 3 of the last 5 partitions" in decision.reasons[0]
    assert "most of all in 2013-07-04 with 50 %" in decision.reasons[0]


def test_drift_on_two_days_of_five_is_no_reason():
    assert not _decide(drift=(0.0, 0.4, 0.0, 0.5, 0.29)).accepted


def test_drift_that_has_passed_is_no_reason():
    assert not _decide(drift=(0.9, 0.9, 0.9, 0.0, 0.0, 0.0)).accepted


def test_three_drifted_partitions_are_a_reason_even_if_there_are_no_more():
    assert _decide(drift=(0.4, 0.4, 0.4)).accepted


def test_unknown_drift_is_named_and_does_not_count_as_drift():
    decision = _decide(drift=(0.4, 0.4, math.nan, math.nan, 0.0))
    assert not decision.accepted
    assert any("unknown in 2013-07-03, 2013-07-04" in reason for reason in decision.reasons)


def test_decayed_quality_is_a_reason():
    decision = _decide(quality=(0.61, 0.62, 0.60, 0.61, 0.62))
    assert decision.accepted
    assert "0.612" in decision.reasons[0]


def test_a_fall_within_the_tolerance_is_no_reason():
    assert not _decide(quality=(0.68, 0.681, 0.679, 0.68, 0.68)).accepted


def test_a_fall_that_chance_explains_is_no_reason_but_is_reported():
    decision = _decide(quality=(0.50, 0.80, 0.45, 0.79, 0.56))
    assert not decision.accepted
    assert any("chance can explain the excess" in reason for reason in decision.reasons)


def test_an_uncertain_acceptance_makes_a_fall_less_sure():
    vague = MetricValue(name="roc_auc", value=0.70, low=0.55, high=0.85, n=100)
    assert not _decide(quality=(0.61, 0.62, 0.60, 0.61, 0.62), acceptance=vague).accepted


def test_only_the_newest_partitions_speak_for_quality():
    assert not _decide(quality=(0.4, 0.4, 0.4, 0.70, 0.71, 0.69, 0.70, 0.71)).accepted


def test_partitions_without_enough_labels_do_not_count_and_are_counted():
    decision = _decide(policy=RetrainPolicy(label_coverage=0.99))
    assert any("5 matured partition(s) lack labels" in reason for reason in decision.reasons)


def test_two_matured_partitions_are_too_few_to_see_decay():
    decision = _decide(quality=(0.5, 0.5))
    assert not decision.accepted
    assert any("known for 2 matured partition(s)" in reason for reason in decision.reasons)


@pytest.mark.parametrize("acceptance", [None, MetricValue(name="roc_auc", value=math.nan)])
def test_missing_acceptance_evidence_is_reported(acceptance):
    assert any("at acceptance is unknown" in reason for reason in _decide(acceptance=acceptance).reasons)


def test_neither_drift_nor_quality_known_is_not_enough_evidence():
    assert _decide(drift=(), quality=()).verdict is Verdict.NOT_ENOUGH_EVIDENCE


def test_drift_that_could_not_be_computed_is_missing_evidence_too():
    assert _decide(drift=(math.nan,) * 5, quality=()).verdict is Verdict.NOT_ENOUGH_EVIDENCE


def test_age_is_a_reason_even_if_nothing_else_is_known():
    assert _decide(drift=(), quality=(), trained_until=AS_OF - 40 * DAY).accepted


def test_cooldown_outweighs_every_reason_and_comes_first():
    decision = _decide(drift=(0.9,) * 5, trainings=(AS_OF - 6 * DAY,))
    assert not decision.accepted
    assert decision.reasons[0] == "The last training was 6 days ago, within the cooldown of 7 days."
    assert "In 5 of the last 5 partitions" in decision.reasons[1]


def test_cooldown_holds_without_a_champion_too():
    assert not _decide(trained_until=None, trainings=(AS_OF - DAY,)).accepted


def test_cooldown_ends_to_the_minute():
    assert _decide(drift=(0.9,) * 5, trainings=(AS_OF - 7 * DAY,)).accepted


def test_a_decision_about_the_time_before_the_last_training_trains_nothing():
    decision = _decide(drift=(0.9,) * 5, trainings=(AS_OF + DAY,))
    assert not decision.accepted
    assert "concerns the past" in decision.reasons[0]


def test_all_reasons_for_a_yes_come_before_the_rest():
    decision = _decide(drift=(0.9,) * 5, trained_until=AS_OF - 40 * DAY)
    assert ["40 days old" in decision.reasons[0], "In 5 of the last 5" in decision.reasons[1]] == [True, True]


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        _decide(trainings=(datetime(2013, 7, 1),))  # noqa: DTZ001 - the mistake under test


def test_a_persistence_that_cannot_be_met_is_refused():
    with pytest.raises(ValueError, match="6 of 5"):
        RetrainPolicy(n_drifted=6, n_recent=5)


@given(SHARES, SHARES, st.integers(0, 60), st.integers(0, 60))
def test_every_decision_gives_five_sentences(drift, quality, age, since):
    decision = _decide(drift, quality, trained_until=AS_OF - age * DAY, trainings=(AS_OF - since * DAY,))
    assert len(decision.reasons) == 5
    assert all(reason.endswith(".") and "nan" not in reason for reason in decision.reasons)


@given(SHARES, st.integers(0, 6))
def test_no_training_ever_within_the_cooldown(drift, since):
    assert not _decide(drift, trainings=(AS_OF - since * DAY,)).accepted


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5), st.integers(0, 4), st.floats(0, 1))
def test_more_drift_never_turns_a_yes_into_a_no(drift, position, more):
    worse = [max(value, more) if i == position else value for i, value in enumerate(drift)]
    assert _decide(worse).accepted >= _decide(drift).accepted


# --- metrics of which less is better

ERROR = MetricValue(name="mean_absolute_error", value=8.0, low=7.9, high=8.1, n=9_000)
ERRORS = RetrainPolicy(greater_is_better=False, relative=True)


def test_an_error_that_rises_is_decay():
    decision = _decide(quality=(9.0, 9.1, 9.0, 8.9, 9.0), acceptance=ERROR, policy=ERRORS)
    assert decision.accepted
    assert "a rise of 1.000" in decision.reasons[0]


def test_an_error_that_falls_is_no_decay():
    assert not _decide(quality=(6.0, 6.1, 6.0, 5.9, 6.0), acceptance=ERROR, policy=ERRORS).accepted


def test_an_error_is_tolerated_by_its_share():
    assert not _decide(quality=(8.2, 8.21, 8.2, 8.2, 8.19), acceptance=ERROR, policy=ERRORS).accepted


# ---------------------------------------------------------------- the estimate before labels

GOOD_RECORD = _series([0.01, -0.01] * 5)


def test_a_low_estimate_with_a_good_record_is_a_reason():
    decision = _decide(estimates=_series([0.60] * 5), estimate_errors=GOOD_RECORD)
    assert decision.accepted
    assert "estimated at 0.600" in decision.reasons[0]


def test_a_low_estimate_without_a_record_is_no_reason():
    decision = _decide(estimates=_series([0.60] * 5), estimate_errors=_series([0.0] * 4))
    assert not decision.accepted
    assert any("at least 5 are needed" in reason for reason in decision.reasons)


def test_a_low_estimate_that_is_often_far_off_is_no_reason():
    assert not _decide(estimates=_series([0.60] * 5), estimate_errors=_series([0.2, -0.2] * 5)).accepted


def test_an_estimate_that_is_always_too_low_is_corrected():
    assert not _decide(estimates=_series([0.60] * 5), estimate_errors=_series([0.10] * 10)).accepted


def test_an_estimated_error_that_rises_is_a_reason():
    acceptance = MetricValue(name="mean_absolute_error", value=10.0, low=9.9, high=10.1, n=13_000)
    policy = RetrainPolicy(greater_is_better=False, relative=True)
    decision = _decide(
        quality=(10.0,) * 5,
        acceptance=acceptance,
        estimates=_series([12.0] * 5),
        estimate_errors=GOOD_RECORD,
        policy=policy,
    )
    assert decision.accepted


# ---------------------------------------------------------------- backing off


@pytest.mark.parametrize(
    ("n_refused", "days", "accepted"), [(0, 7, True), (1, 13, False), (1, 14, True), (9, 55, False), (9, 56, True)]
)
def test_each_refused_challenger_doubles_the_cooldown_up_to_eight_times(n_refused, days, accepted):
    decision = _decide(drift=(0.9,) * 5, trainings=(AS_OF - days * DAY,), n_refused=n_refused)
    assert decision.accepted is accepted


def test_a_longer_cooldown_says_why():
    decision = _decide(drift=(0.9,) * 5, trainings=(AS_OF - 8 * DAY,), n_refused=2)
    assert "4 times as long as usual, since the last 2 challenger(s) were refused" in decision.reasons[0]


def test_without_a_champion_refused_challengers_do_not_lengthen_the_cooldown():
    assert _decide(trained_until=None, trainings=(AS_OF - 7 * DAY,), n_refused=3).accepted


def test_a_spent_budget_trains_nothing():
    decision = _decide(
        drift=(0.9,) * 5, trainings=tuple(AS_OF - day * DAY for day in (29, 22, 15, 8)), policy=RetrainPolicy(budget=4)
    )
    assert not decision.accepted
    assert "as many as the budget of 4 allows" in decision.reasons[0]


def test_trainings_of_more_than_thirty_days_ago_are_out_of_the_budget():
    trainings = tuple(AS_OF - day * DAY for day in (30, 22, 15, 8))
    assert _decide(drift=(0.9,) * 5, trainings=trainings, policy=RetrainPolicy(budget=4)).accepted


def _acceptance(values):
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    mean = float(np.mean(values))
    return MetricValue(name="roc_auc", value=mean, low=mean - half, high=mean + half, n_blocks=len(values))


@pytest.mark.parametrize("n_blocks", [14, None])  # older records count no test days
@pytest.mark.parametrize(("spread", "most"), [(0.02, 0.01), (0.05, 0.05), (0.08, 0.12)])
def test_runs_of_55_quiet_days_hardly_ever_ask_for_a_training(spread, most, n_blocks):
    rng = np.random.default_rng(0)
    n_asked = 0
    for _ in range(200):
        accepted = replace(_acceptance(rng.normal(0.7, spread, 14)), n_blocks=n_blocks)
        days = rng.normal(0.7, spread, 60)
        n_asked += any(
            _decide(quality=tuple(days[end - 5 : end]), acceptance=accepted, lead=0.2).accepted for end in range(5, 61)
        )
    assert n_asked / 200 <= most


@pytest.mark.parametrize("scale", [1e-3, 1.0, 60.0])
def test_the_tolerated_change_follows_the_unit_of_the_label(scale):
    accepted = MetricValue(name="mean_absolute_error", value=10 * scale, low=9.9 * scale, high=10.1 * scale)
    policy = RetrainPolicy(greater_is_better=False)

    def asks(value):
        quality = tuple(scale * (value + step) for step in (-0.02, 0.01, 0, 0.01, 0.02))
        return _decide(policy=policy, quality=quality, acceptance=accepted, lead=2 * scale).accepted

    assert not asks(10.25)  # 15 % of the lead of 2 are 0.3
    assert asks(10.6)


def test_a_reason_names_the_metric_and_not_its_record():
    accepted = MetricValue(name="roc_auc_of_partitions", value=0.74, low=0.70, high=0.78, n_blocks=14)
    reasons = " ".join(_decide(acceptance=accepted).reasons)
    assert "Realised roc_auc over" in reasons
    assert "_of_partitions" not in reasons


PRICED = RetrainPolicy(cost=1.0, worth=100.0, max_age=365 * DAY)
DECAY = MetricValue(name="loss_per_day", value=1e-4)


@pytest.mark.parametrize(("days", "due"), [(14, False), (15, True)])
def test_a_training_is_due_once_waiting_has_cost_its_price(days: int, due: bool) -> None:
    fresh = AS_OF - days * DAY
    decision = _decide(trained_until=fresh, trainings=(fresh,), loss_per_day=DECAY, policy=PRICED)
    assert decision.accepted is due
    lost = sum(100 * 1e-4 * (hour + 0.5) / 24 / 24 for hour in range(24 * days))  # an oracle: hour by hour
    assert any(f"has cost {lost:.2g}" in reason or f"has cost {lost:.3g}" in reason for reason in decision.reasons)


def test_an_older_champion_makes_waiting_dearer() -> None:
    trainings = (AS_OF - 8 * DAY,)
    fresh, old = (
        _decide(trained_until=AS_OF - age * DAY, trainings=trainings, loss_per_day=DECAY, policy=PRICED)
        for age in (8, 30)
    )
    assert not fresh.accepted
    assert old.accepted  # from day 22 to day 30


@pytest.mark.parametrize("decay", [None, replace(DECAY, value=math.nan), replace(DECAY, value=-1e-3)])
def test_without_a_known_loss_the_price_is_no_reason(decay: MetricValue | None) -> None:
    assert not _decide(loss_per_day=decay, trainings=(AS_OF - 60 * DAY,), policy=PRICED).accepted


def test_with_a_price_refused_challengers_do_not_double_the_cooldown() -> None:
    seen = {"trained_until": AS_OF - 40 * DAY, "trainings": (AS_OF - 8 * DAY,), "n_refused": 3}
    assert not _decide(**seen).accepted
    assert _decide(**seen, loss_per_day=DECAY, policy=PRICED).accepted


@pytest.mark.parametrize(("n_labels", "due"), [(4_999, False), (5_000, True)])
def test_training_waits_for_new_labels(n_labels: int, due: bool) -> None:
    policy = RetrainPolicy(min_labels=5_000)
    decision = _decide(trained_until=AS_OF - 40 * DAY, n_new_labels=n_labels, policy=policy)
    assert decision.accepted is due
    assert due or decision.reasons[0] == "4999 labels have matured since the last training; at least 5000 are needed."
