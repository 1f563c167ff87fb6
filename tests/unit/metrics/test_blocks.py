import numpy as np
import pytest
from scipy.fft import dct
from scipy.signal import lfilter
from scipy.stats import skew, t, ttest_1samp

from tidemill.metrics.blocks import MAX_LEFT_OUT, estimate, index_blocks
from tidemill.metrics.statistic import Statistic, average_precision, mean, median, ratio


def of_days(values, **about):
    return estimate(mean(values), index_blocks(np.arange(len(values)), len(values)), **about)


SHORT = {5: 1.187, 7: 1.125, 14: 1.081, 28: 1.042, 600: 1.004}
"""What slow cosines are short of, by number of days; computed by matrices from the covariances of such days."""


@pytest.mark.parametrize("n_days", [5, 14, 28])
def test_the_error_of_a_mean_is_exact_on_average_for_days_with_a_correlation_of_one_fifth(n_days):
    rng, distance = np.random.default_rng(8), abs(np.subtract.outer(np.arange(n_days), np.arange(n_days)))
    covariances = 0.2**distance
    days = rng.multivariate_normal(np.zeros(n_days), covariances, size=2000)
    variances = [of_days(values).standard_error ** 2 for values in days]
    assert np.mean(variances) == pytest.approx(covariances.mean(), rel=0.06)


@pytest.mark.parametrize(("n_days", "n_slow"), [(5, 3), (7, 3), (14, 5), (28, 7), (600, 52)])
def test_the_error_of_a_mean_of_days_is_that_of_its_slowest_cosines(n_days, n_slow):
    days = np.random.default_rng(9).normal(size=n_days)
    cosines = dct(days, type=2, norm="ortho")[1 : n_slow + 1]
    expected = SHORT[n_days] * np.sqrt(np.mean(cosines**2) / n_days)
    assert of_days(days).standard_error == pytest.approx(expected, rel=0.015)


def test_the_interval_is_students_with_as_many_degrees_of_freedom_as_cosines():
    found = of_days(np.array([1.0, -1.0] * 7))
    assert (found.high - found.low) / found.standard_error == pytest.approx(2 * 2.5706, rel=1e-3)


@pytest.mark.parametrize("key", ["2013-W{}", "2013-{}"])
def test_weeks_and_months_resemble_each_other_less_than_days(key):
    values = np.random.default_rng(9).normal(size=5)
    longer, days = (
        estimate(mean(values), index_blocks([form.format(number) for number in range(20, 25)], 5))
        for form in (key, "2013-07-{}")
    )
    cosines = dct(values, type=2, norm="ortho")[1:4]
    assert longer.standard_error == pytest.approx(1.0241 * np.sqrt(np.mean(cosines**2) / 5), rel=0.005)
    assert days.standard_error == pytest.approx(SHORT[5] * np.sqrt(np.mean(cosines**2) / 5), rel=0.015)


@pytest.mark.parametrize("n_days", [40, MAX_LEFT_OUT + 100])
def test_days_that_resemble_the_day_before_widen_the_interval_at_every_size(n_days):
    days = np.random.default_rng(3).normal(size=n_days)
    assert of_days(np.sort(days)).standard_error > 2 * of_days(days).standard_error


def test_rows_without_blocks_have_no_order_of_time():
    rows = np.sort(np.random.default_rng(3).normal(size=40))
    assert estimate(mean(rows), index_blocks(None, 40)).standard_error == pytest.approx(rows.std(ddof=1) / np.sqrt(40))


def test_the_interval_of_a_mean_over_folds_is_students_textbook_one():
    folds = np.arange(20.0)  # not skewed
    found = estimate(mean(folds), index_blocks([f"fold-{number:02}" for number in range(80, 100)], 20))
    expected = ttest_1samp(folds, 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-3)


@pytest.mark.slow
def test_the_interval_over_folds_holds_the_truth_in_95_of_100_cases():
    rng, keys = np.random.default_rng(4), np.repeat([f"fold-{number:02}" for number in range(80, 100)], 6)
    found = [estimate(mean((rng.random(120) < 0.3) * 1.0), index_blocks(keys, 120)) for _ in range(4000)]
    assert np.mean([one.low <= 0.3 <= one.high for one in found]) == pytest.approx(0.95, abs=0.012)


def test_hours_of_a_day_are_one_block():
    hours = [f"2013-07-0{day}T{hour:02}+0000" for day in range(1, 6) for hour in range(24)]
    assert index_blocks(hours, len(hours)).index.tolist() == np.repeat(np.arange(5), 24).tolist()


@pytest.mark.parametrize("n_blocks", [1, 4])
def test_too_few_blocks_have_a_value_and_no_interval(n_blocks):
    found = of_days(np.arange(n_blocks, dtype=float))
    assert np.isfinite(found.value)
    assert np.isnan([found.low, found.high, found.standard_error]).all()


def test_blocks_without_a_counted_row_do_not_count():
    marked = np.repeat([1.0, 0.0], [40, 100])  # on 4 of 14 days
    found = estimate(ratio(marked, marked, most=1.0), index_blocks(np.repeat(np.arange(14), 10), 140), (0.0, 1.0))
    assert found.value == 1.0
    assert np.isnan(found.low)


def test_no_variance_is_ignorance_and_not_certainty():
    assert np.isnan(of_days(np.zeros(14)).low)
    assert np.isnan(estimate(median(np.ones(140)), index_blocks(np.repeat(np.arange(14), 10), 140)).low)


def test_a_share_of_1_is_as_uncertain_as_wilson_says():
    found = estimate(mean(np.ones(20), most=1.0), index_blocks(np.arange(20), 20), (0.0, 1.0))
    assert (found.low, found.high) == (pytest.approx(20 / (20 + 2.4469**2), rel=1e-3), 1.0)


def test_an_interval_stays_within_the_range_of_its_figure():
    days = np.array([0.0] * 9 + [10.0])
    found, free = of_days(days, bounds=(0.0, np.inf)), of_days(days)
    assert free.low < 0.0
    assert (found.low, found.high) == (0.0, free.high)


def test_an_interval_undoes_the_skewness_of_the_days():
    days = np.random.default_rng(2).exponential(size=20)
    found = estimate(mean(days), index_blocks(None, 20))
    quantile, error, lean = t(19).ppf(0.975), days.std(ddof=1) / np.sqrt(20), skew(days, bias=False) / np.sqrt(20) / 6
    for end, side in ((found.low, quantile), (found.high, -quantile)):
        ratio = (found.value - end) / error  # Hall 1992, equation 3
        assert ratio + 2 * lean * ratio**2 + 4 / 3 * lean**2 * ratio**3 + lean == pytest.approx(side, rel=1e-3)
    assert found.standard_error == pytest.approx(error)


def test_the_skewness_of_days_of_few_counted_rows_is_not_undone():
    y, score = np.tile([1.0, 0.0, 0.0], 20), np.random.default_rng(5).random(60)
    found = estimate(average_precision(y, score), index_blocks(np.repeat(np.arange(20), 3), 60))
    assert found.high - found.value == pytest.approx(found.value - found.low)


def test_the_error_of_average_precision_is_at_least_two_thirds_of_that_of_its_positives():
    y = np.tile([1.0, 0.0, 0.0, 1.0], 14)
    score = np.tile([0.9, 0.8, 0.3, 0.2], 14)
    score[3] = 0.31  # days are almost alike, so that they alone would leave hardly any doubt
    found = estimate(average_precision(y, score), index_blocks(np.repeat(np.arange(14), 4), 56), (0.0, 1.0))
    z2_n, value = 1.3**2 / 28, found.value
    half = np.sqrt(value * (1 - value) * z2_n + z2_n**2 / 4) / (1 + z2_n)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=1e-3)


def test_a_statistic_that_a_single_day_carries_has_no_interval():
    alone = Statistic(
        values=lambda weights: np.where(weights[:, 0] > 0, 0.5, np.nan),
        influence=lambda: np.zeros(14),
        counted=np.ones(14),
    )
    assert np.isnan(estimate(alone, index_blocks(np.arange(14), 14)).low)


@pytest.mark.parametrize("missing", [None, np.nan])
def test_a_missing_block_is_refused(missing):
    with pytest.raises(ValueError, match="every row needs a block"):
        index_blocks(np.array(["a", missing], dtype=object), 2)


@pytest.mark.parametrize("keys", [["b", "a", "b"], np.array(["b", "a", "b"], dtype=object), [2, 1, 2]])
def test_blocks_are_numbered_in_the_order_of_their_keys(keys):
    assert index_blocks(keys, 3).index.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("n_days", "resemblance"), [(5, 0.0), (5, 0.3), (7, 0.3), (14, 0.0), (14, 0.3), (28, 0.3), (60, 0.3), (600, 0.6)]
)
def test_one_side_of_an_interval_misses_the_mean_of_persistent_days_in_one_case_of_forty(n_days, resemblance):
    rng = np.random.default_rng(0)
    days, n_missed = index_blocks(np.arange(n_days), n_days), 0
    for _ in range(1500):
        steps = rng.normal(size=n_days) * np.sqrt(1 - resemblance**2)
        steps[0] = rng.normal()
        series = lfilter([1], [1, -resemblance], steps)
        n_missed += estimate(mean(series), days).low > 0
    assert 0.010 <= n_missed / 1500 <= 0.044  # 0.016 to 0.033, with a standard error of 0.003 to 0.005


@pytest.mark.slow
@pytest.mark.parametrize("n_days", [14, 28])
def test_either_side_of_an_interval_misses_the_mean_of_skewed_days_equally_often(n_days):
    rng, days = np.random.default_rng(0), index_blocks(np.arange(n_days), n_days)
    found = [estimate(mean(rng.exponential(size=n_days)), days) for _ in range(1500)]
    assert np.mean([one.high < 1 for one in found]) <= 0.045  # 3 %; of a symmetric interval 6 %
    assert np.mean([one.low > 1 for one in found]) <= 0.03


def test_what_an_entitys_rows_share_is_added_to_the_variance_of_the_days():
    rng, n_days, n_entities = np.random.default_rng(4), 12, 50
    values = np.repeat(rng.normal(size=(1, n_entities)), n_days, axis=0) + 0.3 * rng.normal(size=(n_days, n_entities))
    days, entities = (axis.ravel().astype(str).astype(object) for axis in np.indices(values.shape))
    days = np.array([f"2024-01-{int(day) + 1:02}" for day in days], dtype=object)
    of_days, of_both = (
        estimate(mean(values.ravel()), index_blocks(keys, values.size))
        for keys in (days, np.stack([days, entities], axis=1))
    )
    apart = (values - values.mean()) / values.size
    shared = (apart.sum(axis=0) ** 2).sum() - (apart**2).sum()  # Cameron, Gelbach and Miller, by hand
    assert of_both.value == of_days.value
    assert of_both.standard_error**2 == pytest.approx(of_days.standard_error**2 + shared, rel=1e-9)
    assert of_both.standard_error > 3 * of_days.standard_error


def test_entities_that_do_not_reappear_change_nothing():
    values, keys = np.random.default_rng(4).normal(size=60), np.repeat([f"2024-01-{n:02}" for n in range(1, 13)], 5)
    alone = estimate(mean(values), index_blocks(keys, 60))
    found = estimate(mean(values), index_blocks(np.stack([keys, np.arange(60).astype(str)], axis=1), 60))
    assert found.standard_error == pytest.approx(alone.standard_error, rel=1e-9)
