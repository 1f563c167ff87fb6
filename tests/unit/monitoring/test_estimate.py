import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit
from scipy.stats import binom
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_score, recall_score, roc_auc_score

from tidemill.monitoring.calibration import fit_curve
from tidemill.monitoring.estimate import calibrated, estimate_binary, estimate_multiclass
from tidemill.records import MetricValue

ORACLE = json.loads(Path(__file__).with_name("oracles").joinpath("nannyml_cbpe.json").read_text(encoding="utf-8"))
NANNYML_THRESHOLD = 0.475  # its predictions flip between 0.47 and 0.48
shares = st.floats(0, 1, allow_subnormal=False)


def by_name(metrics: tuple[MetricValue, ...]) -> dict[str, MetricValue]:
    return {item.name.removeprefix("estimated_"): item for item in metrics}


def rows(counted: dict[str, list[Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Unfold counts by score and label."""
    score = np.repeat(counted["score"] * 2, counted["negative"] + counted["positive"])
    label = np.repeat([0, 1], [sum(counted["negative"]), sum(counted["positive"])])
    return score, label


@pytest.fixture(scope="module")
def knots() -> tuple[np.ndarray, np.ndarray]:
    fitted = IsotonicRegression(out_of_bounds="clip").fit(*rows(ORACLE["reference"]))
    return fitted.X_thresholds_, fitted.y_thresholds_


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("metric", ["roc_auc", "accuracy", "precision", "recall", "f1"])
def test_estimate_equals_nannymls(metric: str, number: int, knots: tuple[np.ndarray, np.ndarray]) -> None:
    chunk = ORACLE["chunks"][number]
    score, _ = rows(chunk)
    found = by_name(estimate_binary(score, calibrated(score, knots), threshold=NANNYML_THRESHOLD))
    # NannyML rounds its cumulated counts to 5 digits and orders equal scores as they come.
    assert found[metric].value == pytest.approx(chunk["estimated"][metric], abs=3 * chunk["sampling_error"] / 10)


@pytest.mark.parametrize("number", range(10))
def test_realised_figure_falls_into_the_interval(number: int, knots: tuple[np.ndarray, np.ndarray]) -> None:
    score, label = rows(ORACLE["chunks"][number])
    auc = by_name(estimate_binary(score, calibrated(score, knots)))["roc_auc"]
    margin = auc.high - auc.value
    assert abs(roc_auc_score(label, score) - auc.value) < 1.5 * margin  # ten of ten: a little wider than 95 %


def test_interval_covers_what_labels_drawn_from_the_probabilities_give() -> None:
    rng = np.random.default_rng(1)
    p = rng.beta(1, 3, size=400)
    auc = by_name(estimate_binary(p, p))["roc_auc"]
    drawn = [roc_auc_score(rng.random(400) < p, p) for _ in range(1000)]
    covered = np.mean([(auc.low <= value) & (value <= auc.high) for value in drawn])
    assert covered == pytest.approx(0.95, abs=0.02)
    assert np.mean(drawn) == pytest.approx(auc.value, abs=0.005)


@pytest.mark.parametrize(
    ("metric", "oracle"),
    [("accuracy", accuracy_score), ("precision", precision_score), ("recall", recall_score), ("f1", f1_score)],
)
def test_certain_probabilities_give_the_realised_figure(metric: str, oracle: Any) -> None:
    rng = np.random.default_rng(2)
    label, score = rng.integers(0, 2, 300), rng.random(300)
    found = by_name(estimate_binary(score, label.astype(float), threshold=0.4))[metric]
    assert found.value == pytest.approx(oracle(label, score >= 0.4))
    assert found.high == pytest.approx(found.low)


def test_certain_probabilities_give_the_realised_ranking() -> None:
    rng = np.random.default_rng(3)
    label, score = rng.integers(0, 2, 300), rng.integers(0, 20, 300) / 20
    assert by_name(estimate_binary(score, label.astype(float)))["roc_auc"].value == pytest.approx(
        roc_auc_score(label, score)
    )


@given(arrays(float, st.integers(1, 40), elements=shares))
def test_figures_stay_within_their_bounds(p: np.ndarray) -> None:
    for item in estimate_binary(p, p):
        assert np.isnan(item.value) or item.low is None or item.low <= item.value <= item.high


def test_a_few_rows_have_no_interval_that_an_alert_could_rest_on() -> None:
    p = np.full(29, 0.4)
    assert {item.low for item in estimate_binary(p, p)} == {None}
    assert by_name(estimate_binary(np.append(p, 0.4), np.append(p, 0.4)))["accuracy"].low is not None


@given(arrays(float, st.integers(2, 40), elements=shares), st.randoms())
def test_order_of_rows_does_not_matter(p: np.ndarray, random: Any) -> None:
    order = list(range(len(p)))
    random.shuffle(order)
    one, other = estimate_binary(p, p)[0].value, estimate_binary(p[order], p[order])[0].value
    assert one == pytest.approx(other, nan_ok=True)


def test_no_rows_give_no_figure() -> None:
    assert all(np.isnan(item.value) and item.low is None for item in estimate_binary([], []))


def test_a_probability_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        estimate_binary([0.5], [1.5])


def test_multiclass_with_certain_probabilities_gives_the_realised_figures() -> None:
    rng = np.random.default_rng(4)
    score = rng.dirichlet(np.ones(3), size=200)
    label = rng.integers(0, 3, 200)
    found = by_name(estimate_multiclass(score, np.eye(3)[label]))
    assert found["accuracy"].value == pytest.approx(accuracy_score(label, score.argmax(axis=1)))
    assert found["log_loss"].value == pytest.approx(log_loss(label, score))
    assert found["macro_f1"].value == pytest.approx(f1_score(label, score.argmax(axis=1), average="macro"))
    assert found["roc_auc_ovr"].value == pytest.approx(roc_auc_score(label, score, multi_class="ovr", average="macro"))


def test_multiclass_interval_covers_labels_drawn_from_the_probabilities() -> None:
    rng = np.random.default_rng(5)
    p = rng.dirichlet(np.ones(4), size=300)
    accuracy = by_name(estimate_multiclass(p, p))["accuracy"]
    labels = (rng.random((1000, 300, 1)) > p.cumsum(axis=1)).sum(axis=2)
    drawn = (labels == p.argmax(axis=1)).mean(axis=1)
    assert ((drawn >= accuracy.low) & (drawn <= accuracy.high)).mean() == pytest.approx(0.95, abs=0.03)


def test_multiclass_without_rows_gives_no_figure() -> None:
    assert all(np.isnan(item.value) for item in estimate_multiclass(np.empty((0, 3)), np.empty((0, 3))))


def draw(rng: np.random.Generator, n: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of a model that is not calibrated and sees the features through noise."""
    x = rng.normal(size=n)
    return rng.random(n) < expit(rate + x), expit(rate + 0.9 * x + 0.4 * rng.normal(size=n))


N_RUNS, N_DRAWS = 200, 199
"""With 199 draws, the 5th from either end bound the interval: it misses 5 % of the time, as with 1,000."""


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "n_test"), [(-1.5, 300), (-1.5, 1_400), (-4.6, 1_400), (-4.6, 12_600)])
def test_estimates_are_neither_optimistic_nor_too_sure(
    rate: float, n_test: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.monitoring.estimate._N_DRAWS", N_DRAWS)
    rng = np.random.default_rng(0)
    inside: dict[str, list[bool]] = {}
    bias = []
    for run in range(N_RUNS):
        curve = fit_curve(*draw(rng, n_test, rate))
        label, score = draw(rng, 900, rate)
        if curve is None or not 0 < label.sum() < 900:
            continue
        probability, deviations = curve.probability(score), curve.deviations(score)
        found = by_name(
            estimate_binary(score, probability, threshold=expit(rate), deviations=deviations, random_state=run)
        )
        decided = score >= expit(rate)
        real = {
            "roc_auc": roc_auc_score(label, score),
            "log_loss": log_loss(label, score, labels=[False, True]),
            "brier_score": ((score - label) ** 2).mean(),
            "recall": recall_score(label, decided),
            "precision": precision_score(label, decided),
            "f1": f1_score(label, decided),
            "accuracy": accuracy_score(label, decided),
            "base_rate": label.mean(),
        }
        bias.append(found["roc_auc"].value - real["roc_auc"])
        for name, value in real.items():
            inside.setdefault(name, []).append(found[name].low <= value <= found[name].high)
    assert abs(np.mean(bias)) < 0.02  # an isotonic curve promised 0.046 too much
    coverage = {name: float(np.mean(values)) for name, values in inside.items()}
    assert min(coverage.values()) > 0.91, coverage
    assert max(coverage.values()) <= 0.99, coverage


def test_the_interval_of_a_count_holds_it_in_95_of_100_cases() -> None:
    counts, covered = np.arange(901), []
    for number, share in enumerate(np.linspace(0.005, 0.03, 30)):
        *_, base_rate = estimate_binary(np.full(900, 0.5), np.full(900, share), random_state=number)
        assert base_rate.low is not None
        assert base_rate.high is not None
        held = (counts / 900 >= base_rate.low) & (counts / 900 <= base_rate.high)
        covered.append(binom.pmf(counts, 900, share)[held].sum())
    assert np.mean(covered) == pytest.approx(0.95, abs=0.005)  # 0.960 if an end lies on a count
