from dataclasses import replace

import numpy as np
import pytest

from tidemill.modeling.estimators import fit
from tidemill.modeling.postprocess import Validated, finish
from tidemill.modeling.schema import FeatureSchema
from tidemill.storage.bundles import load_bundle
from tidemill.storage.bundles.save import keep_bundle


def finished(bundle, validation, calibration="none", threshold="f1", newer=True):
    X, y = validation
    return finish(
        bundle,
        Validated(score=bundle.score(X), y=np.asarray(y), blocks=np.zeros(len(y))),
        calibration=calibration,
        threshold=threshold,
        calibrate_on=np.arange(len(y)) >= (len(y) // 2 if newer else len(y)),
    )


@pytest.mark.parametrize("method", ["isotonic", "sigmoid"])
def test_a_calibrated_bundle_comes_back_from_disk_with_the_same_scores(fitted, validation, test_set, tmp_path, method):
    bundle = finished(fitted("random_forest"), validation, method)
    folder, digest = keep_bundle(bundle, tmp_path, validation[0].head(20))
    assert np.array_equal(load_bundle(folder, digest).score(test_set[0]), bundle.score(test_set[0]))


def test_the_curve_says_what_it_was_fitted_on(fitted, validation):
    bundle = finished(fitted("xgboost"), validation, "isotonic")
    assert bundle.calibration.described == "isotonic on 250 validation rows, which the threshold was chosen on too"


def test_the_rule_of_the_spec_chooses_the_threshold_on_calibrated_scores(fitted, validation):
    bundle = finished(fitted("xgboost"), validation, "sigmoid", "recall 0.8")
    positive = validation[1]
    assert bundle.threshold_criterion.startswith("recall at least 0.8 on 500 validation rows")
    assert bundle.predict(validation[0])[positive].mean() >= 0.8


def test_without_rows_of_both_classes_it_stays_uncalibrated_and_says_so(fitted, validation):
    bundle = finished(fitted("xgboost"), validation, "isotonic", newer=False)
    assert bundle.calibration is None
    assert bundle.remarks == (
        "Not calibrated: the 0 validation rows for it need both classes, and scores that rise with the label.",
    )


def test_a_model_of_another_task_stays_as_it_is(fitted, validation):
    bundle = replace(fitted("xgboost"), task="regression", threshold=None)
    assert finished(bundle, validation, "isotonic") is bundle


@pytest.mark.parametrize("name", ["xgboost", "hist_gradient_boosting"])
def test_a_declared_direction_holds_for_boosted_trees(train, validation, test_set, name):
    schema = FeatureSchema(
        numeric=("hour", "wind"), categorical=("origin",), increasing=("wind",), decreasing=("hour",)
    )
    bundle = fit(name, "binary", schema, *train, *validation, random_state=7, n_threads=1)
    rows = test_set[0].head(50)
    wind = np.array([bundle.score(rows.assign(wind=value)) for value in (0.0, 5.0, 10.0, 20.0, 40.0)])
    hour = np.array([bundle.score(rows.assign(hour=value)) for value in (5.0, 9.0, 13.0, 17.0, 22.0)])
    assert (np.diff(wind, axis=0) >= 0).all()
    assert (np.diff(hour, axis=0) <= 0).all()  # though the label rises with it
