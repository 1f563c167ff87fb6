import math

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import ks_2samp

from tidemill.monitoring.drift import detect_drift, detect_score_drift
from tidemill.monitoring.profile import build_profile, count_table

N_DAYS, PER_DAY = 60, 300


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(20130701)


def _profile(columns, *, blocks=None):
    table = pa.table(columns)
    texts = [name for name in table.column_names if pa.types.is_string(table.schema.field(name).type)]
    return build_profile(table, [name for name in table.column_names if name not in texts], texts, blocks=blocks)


def _figures(reference, columns, **arguments):
    metrics = detect_drift(reference, count_table(reference, pa.table(columns)), **arguments)
    return {(m.feature, m.name): m.value for m in metrics}


def test_each_feature_gets_its_figures_and_the_partition_one(rng):
    reference = _profile({"x": rng.normal(size=900), "c": ["a", "b"] * 450})
    names = {key for key in _figures(reference, {"x": [0.0], "c": ["a"]})}
    both = {"psi", "psi_threshold", "jensen_shannon", "null_share", "null_share_rise", "importance_share"}
    assert names == (
        {("x", name) for name in both | {"out_of_range_share", "ks", "wasserstein"}}
        | {("c", name) for name in both | {"unseen_share", "cohens_w"}}
        | {(None, "drift_share"), (None, "drift_weighted")}
    )


@pytest.mark.parametrize("n_rows", [30, 100, 900])
def test_equal_distributions_rarely_drift(rng, n_rows):
    reference = _profile({"x": rng.normal(size=90_000), "c": rng.choice(list("abcdefghijkl"), 90_000).tolist()})
    shares = [
        _figures(reference, {"x": rng.normal(size=n_rows), "c": rng.choice(list("abcdefghijkl"), n_rows).tolist()})[
            None, "drift_share"
        ]
        for _ in range(300)
    ]
    assert np.mean(shares) < 0.005  # 3 of 600 figures; one in a thousand is meant


@pytest.mark.parametrize("n_rows", [100, 900, 20_000])
def test_a_shift_of_a_standard_deviation_is_seen_at_every_size(rng, n_rows):
    reference = _profile({"x": rng.normal(size=90_000)})
    assert _figures(reference, {"x": rng.normal(1, size=n_rows)})[None, "drift_share"] == 1.0


def test_a_tiny_shift_is_no_drift_however_many_rows_show_it(rng):
    reference = _profile({"x": rng.normal(size=200_000)})
    assert _figures(reference, {"x": rng.normal(0.05, size=200_000)})[None, "drift_share"] == 0.0


def test_a_weekday_does_not_drift_once_the_past_is_known():
    days = np.repeat(np.arange(N_DAYS), PER_DAY)
    reference = _profile({"weekday": days % 7}, blocks=days)
    shares = [_figures(reference, {"weekday": np.full(PER_DAY, day)})[None, "drift_share"] for day in range(7)]
    assert shares == [0.0] * 7


def test_a_weekday_drifts_for_ever_without_the_past():
    days = np.repeat(np.arange(N_DAYS), PER_DAY)
    reference = _profile({"weekday": days % 7})
    shares = [_figures(reference, {"weekday": np.full(PER_DAY, day)})[None, "drift_share"] for day in range(7)]
    assert shares == [1.0] * 7


def test_a_weekday_that_does_not_exist_drifts_in_spite_of_the_past():
    days = np.repeat(np.arange(N_DAYS), PER_DAY)
    reference = _profile({"weekday": days % 7}, blocks=days)
    assert _figures(reference, {"weekday": np.full(PER_DAY, 9)})[None, "drift_share"] == 1.0


def test_weather_that_changes_by_the_day_rarely_drifts(rng):
    days = np.repeat(np.arange(N_DAYS), PER_DAY)
    reference = _profile({"temp": rng.normal(20, 5, N_DAYS)[days]}, blocks=days)
    shares = [_figures(reference, {"temp": np.full(PER_DAY, t)})[None, "drift_share"] for t in rng.normal(20, 5, 200)]
    assert np.mean(shares) < 0.1  # of 30 past figures the largest is exceeded by one new day in 31


def test_a_unit_that_changes_drifts_although_the_feature_is_constant_within_a_day(rng):
    days = np.repeat(np.arange(N_DAYS), PER_DAY)
    reference = _profile({"temp": rng.normal(20, 5, N_DAYS)[days]}, blocks=days)
    assert _figures(reference, {"temp": np.full(PER_DAY, 20_000.0)})[None, "drift_share"] == 1.0


def test_a_constant_feature_drifts_when_it_changes():
    reference = _profile({"x": np.zeros(900)})
    assert _figures(reference, {"x": np.ones(900)})[None, "drift_share"] == 1.0


def test_a_column_that_turns_null_drifts(rng):
    reference = _profile({"x": rng.normal(size=900)})
    figures = _figures(reference, {"x": pa.nulls(900, pa.float64())})
    assert (figures[None, "drift_share"], figures["x", "null_share"]) == (1.0, 1.0)


def test_a_renamed_level_drifts_and_is_unseen():
    reference = _profile({"carrier": ["UA", "AA", "DL"] * 300})
    figures = _figures(reference, {"carrier": ["UAL", "AA", "DL"] * 300})
    assert (figures[None, "drift_share"], figures["carrier", "unseen_share"]) == (1.0, pytest.approx(1 / 3))


def test_unseen_levels_are_not_claimed_where_they_cannot_be_told():
    reference = _profile({"tailnum": [str(i) for i in range(10_001)]})
    assert ("tailnum", "unseen_share") not in _figures(reference, {"tailnum": ["new"]})


def test_values_beyond_the_range_are_counted_on_both_sides():
    reference = _profile({"x": np.arange(100.0)})
    assert _figures(reference, {"x": [-1.0, 5.0, 99.0, 99.5]})["x", "out_of_range_share"] == 0.5


def test_rise_of_nulls_is_a_difference_of_shares():
    reference = _profile({"x": [1.0, 1.0, 1.0, None]})
    assert _figures(reference, {"x": [1.0, None]})["x", "null_share_rise"] == 0.25


def test_usual_nulls_are_reported_if_the_past_is_known():
    days = np.repeat(np.arange(N_DAYS), PER_DAY)
    reference = _profile({"gust": np.where(days % 3 == 0, np.nan, 10.0)}, blocks=days)
    assert _figures(reference, {"gust": [10.0]})["gust", "null_share_usual"] == 1.0


def test_a_partition_without_rows_is_unknown_and_not_fine(rng):
    reference = _profile({"x": rng.normal(size=900)})
    figures = _figures(reference, {"x": pa.nulls(0, pa.float64())})
    assert math.isnan(figures["x", "psi"])
    assert math.isnan(figures[None, "drift_share"])


def test_no_feature_at_all_is_unknown_and_not_fine():
    assert math.isnan(detect_drift((), ())[-1].value)


def test_the_fixed_threshold_is_the_callers(rng):
    reference = _profile({"x": rng.normal(size=90_000)})
    analysis = {"x": rng.normal(0.3, size=5_000)}
    shares = [_figures(reference, analysis, psi_threshold=t)[None, "drift_share"] for t in (0.05, 0.2)]
    assert shares == [1.0, 0.0]


def test_figures_tell_how_many_rows_are_behind_them(rng):
    reference = _profile({"x": rng.normal(size=900)})
    metrics = detect_drift(reference, count_table(reference, pa.table({"x": rng.normal(size=17)})))
    assert {metric.n for metric in metrics} == {17}


def test_a_feature_that_was_not_counted_is_named(rng):
    with pytest.raises(ValueError, match=r"lacks \['x'\]"):
        detect_drift(_profile({"x": rng.normal(size=9)}), ())


def test_a_feature_in_other_bins_is_refused(rng):
    with pytest.raises(ValueError, match="other bins"):
        detect_drift(_profile({"x": rng.normal(size=9)}), _profile({"x": rng.normal(size=9)}))


def test_scores_have_figures_of_their_own_names(rng):
    (reference,) = _profile({"score": rng.beta(2, 5, 9_000)})
    (analysis,) = count_table([reference], pa.table({"score": rng.beta(5, 2, 900)}))
    figures = {metric.name: metric for metric in detect_score_drift(reference, analysis)}
    assert set(figures) == {"score_psi", "score_psi_threshold", "score_jensen_shannon"}
    assert figures["score_psi"].value > figures["score_psi_threshold"].value


def test_a_feature_that_carries_the_model_counts_for_as_much(rng):
    reference = _profile({"x": rng.normal(size=9000), "z": rng.normal(size=9000)})
    figures = _figures(
        reference, {"x": rng.normal(9, size=900), "z": rng.normal(size=900)}, importance={"x": 0.3, "z": 0.1}
    )
    assert (figures[None, "drift_weighted"], figures[None, "drift_share"]) == (pytest.approx(0.75), 0.5)


@pytest.mark.parametrize("importance", [None, {}, {"x": -0.1, "z": math.nan}])
def test_without_a_known_importance_all_count_alike(rng, importance):
    reference = _profile({"x": rng.normal(size=9000), "z": rng.normal(size=9000)})
    analysis = {"x": rng.normal(9, size=900), "z": rng.normal(size=900)}
    assert _figures(reference, analysis, importance=importance)[None, "drift_weighted"] == 0.5


def test_a_shift_by_two_deviations_is_two_deviations_of_work(rng):
    reference = _profile({"x": rng.normal(3, 5, size=90_000)})
    figures = _figures(reference, {"x": rng.normal(3 - 5, 5, size=20_000)})
    assert figures["x", "wasserstein"] == pytest.approx(1.0, abs=0.05)
    assert figures["x", "ks"] == pytest.approx(0.383, abs=0.02)  # of two normal distributions a deviation apart


def test_binned_effect_sizes_are_close_to_those_of_the_values(rng):
    before, now = rng.lognormal(size=50_000), rng.lognormal(0.3, size=5_000)
    figures = _figures(_profile({"x": before}), {"x": now})
    assert figures["x", "ks"] == pytest.approx(ks_2samp(before, now).statistic, abs=0.01)


def test_effect_size_of_a_category_does_not_grow_with_the_rows(rng):
    reference = _profile({"c": ["a", "b"] * 4500})
    sizes = [_figures(reference, {"c": ["a"] * 6 * n + ["b"] * 4 * n})["c", "cohens_w"] for n in (100, 1000)]
    assert sizes == pytest.approx([0.2, 0.2])


def test_a_number_that_never_varied_cannot_be_measured_in_its_deviations(rng):
    assert ("x", "wasserstein") not in _figures(_profile({"x": np.ones(900)}), {"x": np.full(90, 2.0)})
