import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2, chisquare, ks_2samp
from scipy.stats import wasserstein_distance as scipy_wasserstein

from tidemill.monitoring.distances import (
    chance_psi,
    chi_square_statistic,
    expected_psi,
    jensen_shannon_distance,
    kolmogorov_smirnov_statistic,
    population_stability_index,
    wasserstein_distance,
)

COUNTS = st.lists(st.integers(0, 10_000), min_size=2, max_size=30)


@st.composite
def two_samples(draw, least=0):
    reference = draw(st.lists(st.integers(least, 10_000), min_size=2, max_size=30))
    size = len(reference)
    analysis = draw(st.lists(st.integers(least, 10_000), min_size=size, max_size=size))
    if not sum(reference) or not sum(analysis):
        reference, analysis = [1, *reference[1:]], [1, *analysis[1:]]
    return reference, analysis


@given(two_samples(), st.sampled_from([2.0, math.e, 10.0]))
def test_jensen_shannon_equals_scipy(samples, base):
    # Its square is the divergence: near 0 the root makes 1e-8 of what rounding has left, in scipy too.
    expected, found = jensenshannon(*samples, base=base), jensen_shannon_distance(*samples, base=base)
    assert found**2 == pytest.approx(expected**2, abs=1e-12)
    assert found == pytest.approx(expected, abs=1e-9 if expected > 1e-4 else 1e-7)


@given(two_samples(), st.randoms(use_true_random=False))
def test_wasserstein_equals_scipy(samples, random):
    positions = sorted(random.uniform(-1e3, 1e3) for _ in samples[0])
    expected = scipy_wasserstein(positions, positions, *samples)
    assert wasserstein_distance(positions, *samples) == pytest.approx(expected, abs=1e-9)


@given(two_samples(least=2).filter(lambda samples: max(map(sum, samples)) < 100_000))
def test_kolmogorov_smirnov_equals_scipy(samples):
    numbers = [np.repeat(np.arange(len(sample)), sample) for sample in samples]
    expected = ks_2samp(*numbers, method="asymp").statistic
    assert kolmogorov_smirnov_statistic(*samples) == pytest.approx(expected, abs=1e-9)


@given(two_samples(least=10_000 // 100))
def test_chi_square_equals_scipy(samples):
    reference, analysis = map(np.asarray, samples)
    expected = chisquare(analysis, reference * (analysis.sum() / reference.sum())).statistic
    assert chi_square_statistic(reference, analysis) == pytest.approx(expected, rel=1e-9)


def test_a_level_that_the_reference_lacks_counts_as_half_a_row_of_it():
    assert chi_square_statistic([100, 0], [90, 10]) == pytest.approx(10**2 / 100 + 9.5**2 / 0.5)


@given(two_samples())
def test_jensen_shannon_is_symmetric(samples):
    reference, analysis = samples
    assert jensen_shannon_distance(reference, analysis) == pytest.approx(
        jensen_shannon_distance(analysis, reference), abs=1e-9
    )


@given(two_samples())
def test_jensen_shannon_lies_between_0_and_1(samples):
    assert 0 <= jensen_shannon_distance(*samples) <= 1 + 1e-12


@given(two_samples(least=10_000 // 100))
def test_psi_without_small_bins_is_the_textbook_formula(samples):
    p, q = (np.array(sample) / sum(sample) for sample in samples)
    expected = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    assert population_stability_index(*samples) == pytest.approx(expected, abs=1e-9)


@given(two_samples())
def test_psi_is_never_negative(samples):
    assert population_stability_index(*samples) >= 0


@given(two_samples())
def test_psi_is_finite_whatever_is_empty(samples):
    assert math.isfinite(population_stability_index(*samples))


@given(COUNTS.filter(sum))
def test_psi_of_a_sample_with_itself_is_0(counts):
    assert population_stability_index(counts, counts) == 0


@given(two_samples(), st.randoms(use_true_random=False))
def test_psi_does_not_depend_on_the_order_of_bins(samples, random):
    order = list(range(len(samples[0])))
    random.shuffle(order)
    shuffled = [[sample[i] for i in order] for sample in samples]
    assert population_stability_index(*shuffled) == pytest.approx(population_stability_index(*samples), abs=1e-9)


def test_psi_counts_an_empty_bin_as_half_a_row():
    p, q = (0.5, 0.5), (1.0, 0.5 / 100)
    expected = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    assert population_stability_index([500, 500], [100, 0]) == pytest.approx(expected)


def test_psi_of_large_samples_does_not_grow_with_their_size():
    small = population_stability_index([10_000, 10_000], [20_000, 0])
    assert population_stability_index([10**7, 10**7], [2 * 10**7, 0]) == pytest.approx(small)


def test_psi_leaves_out_bins_that_are_empty_on_both_sides():
    assert population_stability_index([50, 0, 50], [5, 0, 5]) == 0


DISTANCES = [
    population_stability_index,
    jensen_shannon_distance,
    kolmogorov_smirnov_statistic,
    chi_square_statistic,
    lambda reference, analysis: wasserstein_distance([0] * len(reference), reference, analysis),
]


@pytest.mark.parametrize("distance", DISTANCES)
def test_distance_to_a_sample_without_rows_is_nan(distance):
    assert math.isnan(distance([1, 2], [0, 0]))


@pytest.mark.parametrize("distance", DISTANCES)
def test_samples_in_other_bins_are_refused(distance):
    with pytest.raises(ValueError, match="same bins"):
        distance([1, 2], [1, 2, 3])


@pytest.mark.parametrize("n_bins", [3, 5, 12, 101])
def test_chance_follows_the_chi_square_distribution(n_bins):
    expected = chi2.ppf(0.999, n_bins - 1) * (1 / 90_000 + 1 / 900)
    assert chance_psi(n_bins, 90_000, 900) == pytest.approx(expected, rel=0.03)


def test_a_single_bin_shows_nothing_by_chance():
    assert chance_psi(1, 900, 900) == expected_psi(1, 900, 900) == 0


def test_chance_without_rows_is_nan():
    assert math.isnan(chance_psi(10, 900, 0))


@pytest.mark.parametrize("n_analysis", [200, 900, 5_000])
def test_expectation_is_what_equal_distributions_show(n_analysis):
    rng = np.random.default_rng(20130101)
    shares = np.full(10, 0.1)
    found = [
        population_stability_index(rng.multinomial(90_000, shares), rng.multinomial(n_analysis, shares))
        for _ in range(2_000)
    ]
    assert np.mean(found) == pytest.approx(expected_psi(10, 90_000, n_analysis), rel=0.1)
