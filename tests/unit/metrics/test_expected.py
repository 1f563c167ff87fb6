import numpy as np
import pytest

from tidemill.metrics.definitions import DEFINITIONS
from tidemill.metrics.evaluation import point_value, statistic_of
from tidemill.metrics.expected import expected
from tidemill.metrics.rows import Reading, read_rows

ESTIMATED = [name for name, metric in DEFINITIONS["binary"].items() if metric.estimated]


@pytest.mark.parametrize("metric", ESTIMATED)
def test_the_expected_metric_is_the_mean_over_labels_drawn_by_the_scores(metric):
    rng = np.random.default_rng(0)
    score = rng.beta(1, 3, size=3000)
    rows = read_rows("binary", np.zeros(3000), score, Reading(threshold=0.3))
    drawn = [point_value(metric, (rng.random(3000) < score).astype(float), score, 0.3) for _ in range(400)]
    assert expected(metric, rows).value == pytest.approx(np.mean(drawn), abs=5 * np.std(drawn) / np.sqrt(400) + 2e-4)


def test_leaving_rows_out_is_the_same_as_not_having_them():
    rng = np.random.default_rng(1)
    score = rng.random(50)
    rows, kept = (read_rows("binary", np.zeros(n), score[:n], Reading()) for n in (50, 30))
    left_out = expected("roc_auc", rows).values((np.arange(50) < 30).astype(float)[None])
    assert left_out[0] == pytest.approx(expected("roc_auc", kept).value)


def test_a_metric_that_scores_do_not_foretell_is_refused():
    rows = read_rows("binary", [0, 1], [0.2, 0.7], Reading())
    assert np.isfinite(statistic_of("binary", "expected_calibration_error", rows).value)
    with pytest.raises(ValueError, match="no expectation"):
        expected("expected_calibration_error", rows)
