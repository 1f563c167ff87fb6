import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.monitoring.alerts import AlertThresholds, raise_alerts
from tidemill.monitoring.compute import StepFigures, compare_compute
from tidemill.records import MetricValue, Severity

NAMES = [
    "psi",
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


def test_drift_is_judged_by_the_threshold_that_comes_with_it():
    weekday = [_feature("psi", 6.0, "weekday"), _feature("psi_threshold", 7.0, "weekday")]
    assert list(_alerts(*weekday, _feature("psi", 0.5), _feature("psi_threshold", 0.21))) == ["drift:dep_hour"]


def test_drift_names_the_feature_how_bad_it_is_and_what_to_do():
    message = _alerts(_feature("psi", 0.5), _feature("psi_threshold", 0.21))["drift:dep_hour"].message
    for part in ("'dep_hour'", "0.50", "0.21", "900 rows", "retrain"):
        assert part in message


def test_drift_without_a_threshold_of_its_own_is_judged_by_the_fixed_one():
    assert _alerts(_feature("psi", 0.25), psi=0.3) == {}


def test_drifted_scores_are_told_apart_from_features():
    assert list(_alerts(MetricValue(name="score_psi", value=0.5))) == ["score_drift"]


def test_drifted_scores_are_judged_by_the_threshold_that_comes_with_them():
    figures = (MetricValue(name="score_psi", value=0.5), MetricValue(name="score_psi_threshold", value=0.6))
    assert _alerts(*figures) == {}


def test_a_jump_of_nulls_is_a_warning():
    figures = (_feature("null_share_rise", 0.2), _feature("null_share", 0.25))
    assert _alerts(*figures)["nulls:dep_hour"].severity is Severity.WARN


def test_a_column_without_any_value_needs_action_today():
    figures = (_feature("null_share_rise", 0.9), _feature("null_share", 1.0))
    assert _alerts(*figures)["nulls:dep_hour"].severity is Severity.FAIL


def test_nulls_that_were_usual_in_the_past_raise_nothing():
    figures = (
        _feature("null_share_rise", 0.3),
        _feature("null_share", 1.0),
        _feature("null_share_usual", 1.0),
    )
    assert _alerts(*figures) == {}


def test_fewer_nulls_raise_nothing():
    assert _alerts(_feature("null_share_rise", -0.5)) == {}


def test_unseen_levels_are_a_warning():
    assert list(_alerts(_feature("unseen_share", 0.1, "carrier"))) == ["unseen:carrier"]


def test_few_labels_are_a_warning():
    assert list(_alerts(MetricValue(name="label_coverage", value=0.5))) == ["label_coverage"]


def test_quality_whose_interval_lies_below_the_floor_needs_action_today():
    assert _alerts(_auc(0.5, 0.46, 0.54), floor=0.62)["quality:roc_auc"].severity is Severity.FAIL


@pytest.mark.parametrize(("low", "high"), [(0.55, 0.65), (None, None), (math.nan, math.nan)])
def test_quality_below_the_floor_that_chance_may_explain_is_a_warning(low, high):
    assert _alerts(_auc(0.6, low, high), floor=0.62)["quality:roc_auc"].severity is Severity.WARN


def test_quality_at_the_floor_raises_nothing():
    assert _alerts(_auc(0.62, 0.5, 0.7), floor=0.62) == {}


def test_quality_of_a_slice_is_not_held_against_the_floor():
    figure = MetricValue(name="roc_auc", value=0.5, n=40, slice="origin=LGA")
    assert _alerts(figure, floor=0.62) == {}


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


def test_tenths_of_a_second_are_nobodys_problem():
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
    figures = (_feature("psi", 0.5), _auc(0.5, 0.46, 0.54))
    assert [alert.rule for alert in raise_alerts(figures, AlertThresholds(floor=0.62))] == [
        "quality:roc_auc",
        "drift:dep_hour",
    ]


@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.floats(0, 2), st.sampled_from(["a", "b"])),
        unique_by=lambda t: (t[0], t[2]),
    )
)
def test_alerts_of_different_features_never_share_a_rule(figures):
    of_features = [_feature(*figure) for figure in figures if figure[0] in ("psi", "null_share_rise", "unseen_share")]
    rules = [alert.rule for alert in raise_alerts(of_features, AlertThresholds())]
    assert len(rules) == len(set(rules))


@given(st.lists(st.floats(0, 2), min_size=2, max_size=2).map(sorted))
def test_more_drift_never_raises_less(values):
    less, more = (set(_alerts(_feature("psi", value))) for value in values)
    assert less <= more


# --- metrics of which less is better


def _error(value, low=None, high=None):
    figure = MetricValue(name="mean_absolute_error", value=value, low=low, high=high, n=900)
    thresholds = AlertThresholds(metric="mean_absolute_error", greater_is_better=False, floor=10.0)
    return [alert for alert in raise_alerts([figure], thresholds) if alert.rule == "quality:mean_absolute_error"]


def test_error_below_its_ceiling_is_no_alert():
    assert _error(9.9) == []


def test_error_surely_above_its_ceiling_needs_action():
    (alert,) = _error(12.0, 11.0, 13.0)
    assert alert.severity is Severity.FAIL
    assert "above its ceiling of 10.000" in alert.message


def test_error_that_chance_can_explain_needs_a_look():
    (alert,) = _error(12.0, 9.0, 15.0)
    assert alert.severity is Severity.WARN
