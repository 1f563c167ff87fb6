"""Distances compared with Evidently's, on the same bins or values."""

import math

import numpy as np
import pytest

from tidemill.monitoring.distances import (
    chi_square_statistic,
    jensen_shannon_distance,
    kolmogorov_smirnov_statistic,
    population_stability_index,
    wasserstein_distance,
)

pd = pytest.importorskip("pandas")
pytest.importorskip("evidently", reason="Evidently needs an environment of its own: make oracles")

from evidently.legacy.calculations.stattests import (  # noqa: E402 - only if it is there
    chi_stat_test,
    jensenshannon_stat_test,
    ks_stat_test,
    psi_stat_test,
    wasserstein_stat_test,
)
from evidently.legacy.core import ColumnType  # noqa: E402 - only if it is there
from scipy.stats import chi2, kstwo  # noqa: E402 - after the check above

WITHIN = 1e-9
SEEDS = range(20)
N_REFERENCE, N_ANALYSIS = 20_000, 12_000  # with more than 10,000 rows its Kolmogorov-Smirnov test is the asymptotic one


def evidently(test, reference, analysis, kind=ColumnType.Numerical):
    return test(pd.Series(reference), pd.Series(analysis), kind, 0.1).drift_score


def numbers(seed):
    """Numbers that leave none of Evidently's bins empty, because it fills empty bins in its own way."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 10, N_REFERENCE), 10 * rng.beta(1 + 0.1 * (seed % 5), 1, N_ANALYSIS)


def categories(seed):
    rng = np.random.default_rng(seed)
    shares = [rng.dirichlet(np.full(8, 20.0)) for _ in range(2)]
    return [rng.choice(list("abcdefgh"), n, p=p) for n, p in zip((N_REFERENCE, N_ANALYSIS), shares, strict=True)]


def binned(reference, analysis):
    """Count numbers into the bins that Evidently makes."""
    bins = np.histogram_bin_edges(np.concatenate([reference, analysis]), bins="sturges")
    counts = [np.histogram(sample, bins)[0] for sample in (reference, analysis)]
    assert min(map(min, counts)) > 0
    return counts


def counted(reference, analysis):
    """Count the rows of each value, in ascending order."""
    values = np.unique(np.concatenate([reference, analysis]))
    return values, *(
        np.bincount(np.searchsorted(values, sample), minlength=values.size) for sample in (reference, analysis)
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_stability_index_of_numbers(seed):
    samples = numbers(seed)
    assert population_stability_index(*binned(*samples)) == pytest.approx(
        evidently(psi_stat_test, *samples), abs=WITHIN
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_stability_index_of_categories(seed):
    samples = categories(seed)
    expected = evidently(psi_stat_test, *samples, ColumnType.Categorical)
    assert population_stability_index(*counted(*samples)[1:]) == pytest.approx(expected, abs=WITHIN)


@pytest.mark.parametrize("seed", SEEDS)
def test_jensen_shannon_distance_of_numbers(seed):
    samples = numbers(seed)
    expected = evidently(jensenshannon_stat_test, *samples)
    assert jensen_shannon_distance(*binned(*samples), base=math.e) == pytest.approx(expected, abs=WITHIN)


@pytest.mark.parametrize("seed", SEEDS)
def test_wasserstein_distance_in_deviations_of_the_reference(seed):
    reference, analysis = numbers(seed)
    found = wasserstein_distance(*counted(reference, analysis)) / reference.std()
    expected = evidently(wasserstein_stat_test, reference, analysis)
    assert found == pytest.approx(expected, abs=WITHIN)


@pytest.mark.parametrize("seed", SEEDS)
def test_kolmogorov_smirnov(seed):
    """Evidently returns only the probability, so ours is converted into one."""
    samples = numbers(seed)
    effective = N_REFERENCE * N_ANALYSIS / (N_REFERENCE + N_ANALYSIS)
    found = kstwo.sf(kolmogorov_smirnov_statistic(*counted(*samples)[1:]), round(effective))
    assert found == pytest.approx(evidently(ks_stat_test, *samples), abs=WITHIN)


@pytest.mark.parametrize("seed", SEEDS)
def test_chi_square(seed):
    """Evidently returns only the probability, so ours is converted into one."""
    rng = np.random.default_rng(seed)
    samples = [rng.choice(list("abcdefgh"), n) for n in (N_REFERENCE, N_ANALYSIS)]  # alike: else it is 0 on both sides
    found = chi2.sf(chi_square_statistic(*counted(*samples)[1:]), 7)
    assert found == pytest.approx(evidently(chi_stat_test, *samples, ColumnType.Categorical), abs=WITHIN)
