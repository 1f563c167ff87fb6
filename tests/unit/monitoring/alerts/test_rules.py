import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.monitoring.alerts.families import FAMILIES
from tidemill.monitoring.alerts.rules import RULES, AlertThresholds, raise_alerts
from tidemill.monitoring.compute import StepFigures, compare_compute
from tidemill.records import MetricValue, Severity

NAMES = [
    "psi",
    "drift_weighted",
    "jump",
    "beyond_range",
    "score_psi",
    "null_share_rise",
    "unseen_share",
    "label_coverage",
    "roc_auc",
    "wall_s_ratio",
    "brier_score",
]


def _alerts(*metrics, **thresholds):
    return {alert.rule: alert for alert in raise_alerts(metrics, AlertThresholds(**thresholds))}


def _feature(name, value, feature="dep_hour"):
    return MetricValue(name=name, value=value, n=900, feature=feature)


def _auc(value, low=None, high=None):
    return MetricValue(name="roc_auc", value=value, low=low, high=high, n=900, label_coverage=1.0)


def _compute(current, usual):
    figures = [StepFigures(cpu_s=1.0, **{"wall_s": 2.0, "peak_rss_bytes": 2**28, **run}) for run in (current, usual)]
    return compare_compute({"predict": figures[0]}, [{"predict": figures[1]}] * 5)


def test_nothing_measured_raises_nothing():
    assert _alerts() == {}


def _weighted(value):
    return MetricValue(name="drift_weighted", value=value, n=900)


def test_features_that_drift_and_carry_little_raise_nothing():
    assert _alerts(_feature("psi", 6.0), _feature("psi_threshold", 0.2), _weighted(0.29)) == {}


def test_features_that_drift_and_carry_much_raise_one_alert():
    features = [_feature("psi", 6.0, name) for name in ("a", "b")]
    assert list(_alerts(*features, _weighted(0.3))) == ["drift"]


def test_drift_names_the_drifted_features_the_most_important_first():
    features = [
        _feature(name, value, feature)
        for feature, psi, share in (("a", 0.5, 0.1), ("b", 0.5, 0.4), ("c", 0.1, 0.5))
        for name, value in (("psi", psi), ("psi_threshold", 0.21), ("importance_share", share))
    ]
    message = _alerts(*features, _weighted(0.5))["drift"].message
    for part in ("b (40 %), a (10 %)", "50 %", "900 rows", "retrain"):
        assert part in message
    assert "c (" not in message


def _jumped(jump, usual, psi=6.0, threshold=0.2):
    named = {"jump": jump, "jump_usual": usual, "psi": psi, "psi_threshold": threshold}
    return [_feature(name, value) for name, value in named.items()]


def test_a_jump_beyond_all_that_was_usual_needs_action_today():
    assert _alerts(*_jumped(0.5, 0.05))["break:dep_hour"].severity is Severity.FAIL


@pytest.mark.parametrize(("jump", "usual"), [(0.24, 0.0), (9.0, 3.0)])
def test_a_jump_as_far_as_was_usual_raises_nothing(jump, usual):
    assert _alerts(*_jumped(jump, usual)) == {}


def test_a_jump_back_to_what_the_model_learnt_from_raises_nothing():
    assert _alerts(*_jumped(9.0, 0.1, psi=0.1)) == {}


@pytest.mark.parametrize(("psi", "rare", "broken"), [(0.6, 0.65, False), (0.6, 0.6, False), (0.6, 0.59, True)])
def test_a_jump_no_farther_than_single_days_of_the_past_is_no_break(psi, rare, broken):
    assert bool(_alerts(*_jumped(9.0, 0.1, psi=psi), _feature("psi_rare", rare))) == broken


@pytest.mark.parametrize(("rare", "threshold", "broken"), [(0.99, 0.99, True), (1.0, 0.2, False), (0.6, 1.0, False)])
def test_days_that_have_never_had_anything_in_common_do_not_jump(rare, threshold, broken):
    figures = (*_jumped(17.0, 0.0, psi=11.0, threshold=threshold), _feature("psi_rare", rare))
    assert bool(_alerts(*figures)) == broken


def test_single_days_of_the_past_do_not_excuse_another_unit():
    assert "break:dep_hour" in _alerts(_feature("beyond_range", 40.0), *_jumped(9.0, 0.1), _feature("psi_rare", 50.0))


def test_values_far_beyond_the_range_are_another_unit():
    assert "unit" in _alerts(_feature("beyond_range", 40.0))["break:dep_hour"].message


@pytest.mark.parametrize("times", [0.8, 2.8])
def test_values_some_ranges_beyond_are_a_season_or_a_storm(times):
    assert _alerts(_feature("beyond_range", times)) == {}


def test_a_feature_that_breaks_in_two_ways_is_one_alert():
    alerts = raise_alerts([_feature("beyond_range", 40.0), *_jumped(9.0, 0.1)], AlertThresholds())
    assert [(alert.rule, "unit" in alert.message) for alert in alerts] == [("break:dep_hour", True)]


def test_drifted_scores_are_told_apart_from_features():
    assert list(_alerts(MetricValue(name="score_psi", value=0.5))) == ["score_drift"]


def test_drifted_scores_are_judged_by_the_threshold_that_comes_with_them():
    figures = (MetricValue(name="score_psi", value=0.5), MetricValue(name="score_psi_threshold", value=0.6))
    assert _alerts(*figures) == {}


def test_a_jump_of_nulls_is_a_warning():
    figures = (_feature("null_share_rise", 0.2), _feature("null_share", 0.25))
    assert _alerts(*figures)["nulls:dep_hour"].severity is Severity.WARN


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_column_without_most_of_its_values_needs_action_today(share):
    figures = (_feature("null_share_rise", share - 0.1), _feature("null_share", share))
    assert _alerts(*figures)["nulls:dep_hour"].severity is Severity.FAIL


def test_nulls_that_were_usual_in_the_past_raise_nothing():
    figures = (
        _feature("null_share_rise", 0.3),
        _feature("null_share", 1.0),
        _feature("null_share_usual", 1.0),
    )
    assert _alerts(*figures) == {}


def test_a_column_that_is_gone_is_one_alert():
    figures = (_feature("null_share_rise", 1.0), _feature("null_share", 1.0), *_jumped(9.0, 0.1))
    assert list(_alerts(*figures)) == ["nulls:dep_hour"]


def test_fewer_nulls_raise_nothing():
    assert _alerts(_feature("null_share_rise", -0.5)) == {}


def test_unseen_levels_are_a_warning():
    assert list(_alerts(_feature("unseen_share", 0.1, "carrier"))) == ["unseen:carrier"]


@pytest.mark.parametrize(("coverage", "severity"), [(0.5, Severity.WARN), (0.44, Severity.FAIL), (0.0, Severity.FAIL)])
def test_few_labels_are_a_warning_and_hardly_any_need_action(coverage, severity):
    assert _alerts(MetricValue(name="label_coverage", value=coverage))["label_coverage"].severity is severity


def test_quality_of_the_newest_partitions_is_named_by_its_metric():
    recent = MetricValue(name="roc_auc_recent", value=0.5, low=0.45, high=0.55, n=6300)
    assert list(_alerts(recent, metric="roc_auc_recent", floor=0.6)) == ["quality:roc_auc"]


def test_quality_whose_interval_lies_below_the_floor_needs_action_today():
    assert _alerts(_auc(0.5, 0.46, 0.54), floor=0.62)["quality:roc_auc"].severity is Severity.FAIL


@pytest.mark.parametrize(("low", "high"), [(0.55, 0.65), (None, None), (math.nan, math.nan)])
def test_quality_below_the_floor_that_chance_may_explain_is_a_warning(low, high):
    assert _alerts(_auc(0.6, low, high), floor=0.62)["quality:roc_auc"].severity is Severity.WARN


def test_quality_at_the_floor_raises_nothing():
    assert _alerts(_auc(0.62, 0.5, 0.7), floor=0.62) == {}


def test_quality_of_a_slice_is_not_compared_with_the_floor():
    figure = MetricValue(name="roc_auc", value=0.5, n=40, slice="origin=LGA")
    assert _alerts(figure, floor=0.62) == {}


ESTIMATE = MetricValue(name="estimated_roc_auc", value=0.6, low=0.55, high=0.64, n=900)


def test_an_estimate_wholly_below_the_floor_is_an_alert():
    assert list(_alerts(ESTIMATE, metric="roc_auc_recent", floor=0.7)) == ["estimate:roc_auc"]


@pytest.mark.parametrize(("metric", "floor"), [("roc_auc", 0.62), ("roc_auc", None), ("accuracy", 0.7)])
def test_an_estimate_whose_interval_reaches_the_floor_is_none(metric, floor):
    assert _alerts(ESTIMATE, metric=metric, floor=floor) == {}


def test_an_estimated_error_wholly_above_its_ceiling_is_an_alert():
    assert list(_alerts(ESTIMATE, floor=0.5, greater_is_better=False)) == ["estimate:roc_auc"]


def test_a_skewed_column_is_named_and_a_single_correction_is_not():
    figures = [
        MetricValue(name="skew_share", feature="temp", value=0.3, n=900),
        MetricValue(name="skew_share", feature="wind", value=0.001, n=900),
        MetricValue(name="skew_rows", value=0.5, n=900),
    ]
    found = raise_alerts(figures, AlertThresholds(), partition="2013-07-01")
    assert [alert.rule for alert in found] == ["skew:temp", "skew:rows"]
    assert "'temp' of partition 2013-07-01" in found[0].message


def test_levels_as_unseen_as_was_usual_raise_nothing():
    assert _alerts(_feature("unseen_share", 0.1), _feature("unseen_share_usual", 0.1)) == {}


def test_levels_more_unseen_than_was_usual_are_a_warning():
    figures = (_feature("unseen_share", 0.12), _feature("unseen_share_usual", 0.1))
    assert list(_alerts(*figures)) == ["unseen:dep_hour"]


def test_every_rule_belongs_to_a_family():
    assert {rule.name.partition(":")[0] for rule in RULES} <= set(FAMILIES)


def test_a_floor_whose_metric_was_not_measured_is_not_passed_in_silence():
    coverage = MetricValue(name="label_coverage", value=1.0)
    assert list(_alerts(coverage, floor=0.5, metric="auc_of_old")) == ["unknown:auc_of_old"]


def test_a_floor_says_nothing_where_quality_was_not_measured_at_all():
    assert _alerts(_feature("psi", 0.1), floor=0.5) == {}


def test_a_step_without_rows_that_takes_twice_as_long_is_slow():
    assert list(_alerts(*_compute({"wall_s": 5.0}, {"wall_s": 2.0}))) == ["slow:predict"]


def test_more_rows_may_take_more_time():
    figures = _compute({"wall_s": 6.0, "n_rows": 3_000}, {"wall_s": 2.0, "n_rows": 1_000})
    assert _alerts(*figures) == {}


def test_the_same_rows_at_a_third_of_the_pace_are_slow():
    figures = _compute({"wall_s": 6.0, "n_rows": 1_000}, {"wall_s": 2.0, "n_rows": 1_000})
    assert list(_alerts(*figures)) == ["slow:predict"]


def test_few_rows_do_not_make_a_step_slow():
    figures = _compute({"wall_s": 2.0, "n_rows": 10}, {"wall_s": 2.0, "n_rows": 1_000})
    assert _alerts(*figures) == {}


def test_tenths_of_a_second_raise_nothing():
    assert _alerts(*_compute({"wall_s": 0.5}, {"wall_s": 0.1})) == {}


def test_a_step_that_takes_three_times_the_memory_is_large():
    figures = _compute({"peak_rss_bytes": 3 * 2**30}, {"peak_rss_bytes": 2**30})
    assert list(_alerts(*figures)) == ["memory:predict"]


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from([math.nan, math.inf])), min_size=1))
def test_no_unknown_figure_passes_in_silence(figures):
    alerts = _alerts(*(_feature(name, value) for name, value in figures))
    assert {f"unknown:{name}" for name, _ in figures} <= set(alerts)


def test_unknown_figures_of_many_features_are_one_alert_that_names_them():
    alerts = _alerts(*(_feature("psi", math.nan, f"f{i}") for i in range(7)))
    assert list(alerts) == ["unknown:psi"]
    assert "f0, f1, f2, f3, f4 and others" in alerts["unknown:psi"].message


def test_alerts_that_need_action_come_first():
    figures = (_weighted(0.5), _auc(0.5, 0.46, 0.54))
    assert [alert.rule for alert in raise_alerts(figures, AlertThresholds(floor=0.62))] == [
        "quality:roc_auc",
        "drift",
    ]


@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.floats(0, 2), st.sampled_from(["a", "b"])),
        unique_by=lambda t: (t[0], t[2]),
    )
)
def test_alerts_of_different_features_never_share_a_rule(figures):
    of_features = [_feature(*figure) for figure in figures if figure[0] in ("jump", "null_share_rise", "unseen_share")]
    rules = [alert.rule for alert in raise_alerts(of_features, AlertThresholds())]
    assert len(rules) == len(set(rules))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2).map(sorted))
def test_more_drift_never_raises_less(values):
    less, more = (set(_alerts(_weighted(value))) for value in values)
    assert less <= more
