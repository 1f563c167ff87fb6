"""Quality before labels compared with NannyML's CBPE, on NannyML's own example data."""

import numpy as np
import pytest

from tidemill.monitoring.estimate import calibrated, estimate_binary

nannyml = pytest.importorskip("nannyml", reason="NannyML needs an environment of its own: make oracles")

METRICS = ("roc_auc", "accuracy", "precision", "recall", "f1")
CHUNK = 5000


@pytest.fixture(scope="module")
def example():
    reference, analysis, _ = nannyml.load_synthetic_binary_classification_dataset()
    estimator = nannyml.CBPE(
        y_pred_proba="y_pred_proba",
        y_pred="y_pred",
        y_true="work_home_actual",
        metrics=list(METRICS),
        chunk_size=CHUNK,
        problem_type="classification_binary",
    ).fit(reference)
    return reference, analysis, estimator.estimate(analysis).filter(period="analysis").to_df()


@pytest.fixture(scope="module")
def knots(example):
    from sklearn.isotonic import IsotonicRegression

    reference, *_ = example
    fitted = IsotonicRegression(out_of_bounds="clip").fit(reference.y_pred_proba, reference.work_home_actual)
    return fitted.X_thresholds_, fitted.y_thresholds_


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("metric", METRICS)
def test_estimate_before_labels(example, knots, metric, number):
    _, analysis, estimated = example
    chunk = analysis.iloc[number * CHUNK : (number + 1) * CHUNK]
    score = chunk.y_pred_proba.to_numpy()
    threshold = float(score[chunk.y_pred == 1].min())
    found = {
        item.name.removeprefix("estimated_"): item.value
        for item in estimate_binary(score, calibrated(score, knots), threshold=threshold)
    }
    expected = float(estimated[metric]["value"].iloc[number])
    assert np.isfinite(expected)
    # NannyML rounds the cumulative counts of its curve; everything else is equal except for the last bits.
    assert found[metric] == pytest.approx(expected, abs=1e-8 if metric == "roc_auc" else 1e-12)
