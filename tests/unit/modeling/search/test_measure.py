"""What a setting is worth on the folds: what reaches them, what is remembered, and what is compared."""

import numpy as np
import pytest

from tidemill.modeling.schema import FeatureSchema
from tidemill.modeling.search.folds import Fold
from tidemill.modeling.search.measure import Fitting, FoldSet

SLOW = {"learning_rate": 0.3}
FOLDS = (Fold(train=("1", "2"), validation=("3",)), Fold(train=("1", "2", "3"), validation=("4",)))


@pytest.fixture
def cut(train, schema):
    """Cut 1,500 rows into four blocks of time, two of them measured."""
    X, y = train
    blocks = np.repeat(np.array(["1", "2", "3", "4"], dtype=object), [400, 400, 350, 350])

    def make(estimator="xgboost", schema=schema, **changes):
        how = {"metric": "roc_auc", "schema": schema, "random_state": 7, "n_threads": 1, **changes}
        return FoldSet.cut(FOLDS, X, y, blocks, Fitting(estimator=estimator, task="binary", **how))

    return make


@pytest.mark.parametrize("estimator", ["xgboost", "hist_gradient_boosting"])
def test_a_declared_direction_holds_on_every_fold(cut, test_set, estimator):
    held = FeatureSchema(numeric=("hour", "wind"), categorical=("origin",), decreasing=("hour",))
    rows = test_set[0].head(50)
    for fold in cut(estimator, held).rows:
        bundle = fold.prepared.fit(SLOW)
        scores = np.array([bundle.score(rows.assign(hour=hour)) for hour in (5.0, 9.0, 13.0, 17.0, 22.0)])
        assert (np.diff(scores, axis=0) <= 0).all()  # though the label rises with it


def test_what_was_measured_is_not_measured_again(cut):
    folds = cut()
    assert folds.measure(SLOW, 1) is folds.measure(dict(SLOW), 1)


def test_each_fold_and_each_setting_is_measured_by_itself(cut):
    folds = cut()
    found = [folds.measure(setting, fold) for setting in ({}, SLOW) for fold in (0, 1)]
    assert len({measured.score for measured in found}) == 4


def test_only_what_is_compared_is_kept(cut):
    folds = cut()
    for depth in (1, 2, 3):
        folds.measure({"max_depth": depth}, 0)
    folds.forget_all_but({}, {"max_depth": 2})
    assert len(folds.memory) == 1


def test_a_gain_is_the_same_whether_it_was_remembered_or_not(cut):
    warm, cold = cut(), cut()
    for fold in (0, 1):
        warm.measure(SLOW, fold)
    assert warm.gain(SLOW).value == cold.gain(SLOW).value != 0


def test_the_defaults_gain_nothing_over_themselves(cut):
    assert cut().gain({}).value == 0.0


def test_the_threshold_rule_of_the_spec_decides_the_metric(cut):
    by_f1, by_recall = (cut(metric="recall", threshold=rule).measure({}, 0) for rule in ("f1", "recall 0.9"))
    assert by_recall.score >= 0.9 > by_f1.score


def test_calibration_is_fitted_on_the_newer_half_as_for_a_candidate(cut):
    raw, bent = (cut(metric="log_loss", calibration=method).measure(SLOW, 0) for method in ("none", "sigmoid"))
    assert bent.score != raw.score
    assert len(np.unique(bent.y_score)) > 10
