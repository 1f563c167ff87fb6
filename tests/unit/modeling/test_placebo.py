"""The placebo: a sound pipeline knows nothing of shuffled labels, one that carries labels over is found out."""

import numpy as np
import pandas as pd
import pytest

from tidemill.modeling.estimators import fit
from tidemill.modeling.leakage import placebo

from .conftest import SCHEMA, make_answers, make_rows

TASKS = ("binary", "multiclass", "regression")


def answers(X, y, task, random_state):
    return y.astype(np.int8) if task == "binary" else make_answers(X, task, random_state)


@pytest.fixture(scope="module", params=TASKS)
def sets(request):
    (X_train, y_train), (X_validation, y_validation) = make_rows(1500, 1), make_rows(900, 2)
    task = request.param
    return task, (
        X_train,
        answers(X_train, y_train, task, 0),
        X_validation,
        answers(X_validation, y_validation, task, 1),
    )


def sound(task, estimator="xgboost"):
    def scorer(X_train, y_train, X_stop, y_stop):
        return fit(estimator, task, SCHEMA, X_train, y_train, X_stop, y_stop, random_state=0, n_threads=1).score

    return scorer


def test_a_sound_pipeline_knows_nothing_of_shuffled_labels(sets):
    task, rows = sets
    assert placebo(sound(task), *rows, random_state=0) == []


@pytest.mark.parametrize("random_state", range(8))
def test_no_shuffle_is_taken_for_a_leak(random_state):
    rows = make_rows(600, 1) + make_rows(400, 2)
    scorer = sound("binary", "shallow_tree")
    assert placebo(scorer, rows[0], rows[1].astype(int), rows[2], rows[3].astype(int), random_state=random_state) == []


def test_a_pipeline_that_is_fitted_on_what_it_is_measured_on_is_found(sets):
    """As an encoder that was fitted before the rows were split would be."""
    task, (X_train, y_train, X_validation, y_validation) = sets
    everything = np.random.default_rng(0)  # the same shuffle, as a pipeline sees it that keeps all labels at hand
    chosen = np.sort(everything.permutation(len(X_train))[:20_000])
    everything.permutation(np.asarray(y_train)[chosen])
    labels = everything.permutation(np.asarray(y_validation))

    def leaking(*_):
        known = pd.Series(labels, index=X_validation.index)
        if task != "multiclass":
            return lambda X: known.loc[X.index].to_numpy(dtype=np.float64)
        names = np.unique(labels)
        return lambda X: (known.loc[X.index].to_numpy()[:, None] == names[None, :]).astype(np.float64)

    (leak,) = placebo(leaking, X_train, y_train, X_validation, y_validation, random_state=0)
    assert (leak.kind, leak.subject) == ("placebo", "pipeline")


def test_too_few_rows_tell_nothing():
    X, y = make_rows(150, 1)
    assert placebo(sound("binary"), X, y.astype(int), X, y.astype(int), random_state=0) == []
