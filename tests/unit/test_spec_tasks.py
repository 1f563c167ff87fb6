"""What a spec says about its task: the metric that decides, the floor, and custom estimators."""

import pytest
from pydantic import ValidationError

from tidemill.errors import SpecError
from tidemill.metrics.definitions import DECIDABLE, METRICS, default_metric, greater_is_better
from tidemill.spec import ModelSpec, Task


def spec(task="binary", accept=None, train=None):
    return ModelSpec.model_validate(
        {
            "model": "m",
            "task": task,
            "entity_key": "k",
            "event_time": "t",
            "source": {"features": "m/f.sql", "labels": "m/l.sql"},
            "label": {"column": "y"},
            "accept": accept or {},
            "train": train or {},
        }
    )


def own(**more):
    return {"estimators": ["mine"], "own": {"mine": {"type": "sklearn.svm.SVR", **more}}}


@pytest.mark.parametrize(
    ("task", "metric", "minimum"),
    [("binary", "roc_auc", 0.5), ("multiclass", "log_loss", None), ("regression", "mean_absolute_error", None)],
)
def test_each_task_has_a_metric_that_decides_and_a_floor_where_there_is_a_natural_one(task, metric, minimum):
    accept = spec(task).accept
    assert (accept.metric, accept.minimum) == (metric, minimum)


def test_the_floor_follows_the_metric():
    assert spec("regression", {"metric": "r2_score"}).accept.minimum == 0.0
    assert spec("binary", {"metric": "log_loss"}).accept.minimum is None


def test_a_floor_that_is_named_stands():
    assert spec("binary", {"minimum": 0.7}).accept.minimum == 0.7
    assert spec("binary", {"minimum": None}).accept.minimum is None


@pytest.mark.parametrize(
    ("task", "metric", "said"),
    [
        ("regression", "roc_auc", "'roc_auc' cannot be decided on for task 'regression'. Choose one of mean_absolute"),
        ("binary", "r2_score", "Choose one of roc_auc, "),
        ("multiclass", "macro_f", "Did you mean 'macro_f1'?"),
        ("regression", "mean_error", "cannot be decided on"),
    ],
)
def test_a_metric_of_another_task_is_refused_with_the_valid_ones(task, metric, said):
    with pytest.raises(ValidationError) as caught:
        spec(task, {"metric": metric})
    (problem,) = caught.value.errors()
    assert problem["loc"] == ("accept",)
    assert said in problem["msg"]


def test_a_default_that_is_written_out_does_not_change_the_digest():
    written = spec("regression", {"metric": "mean_absolute_error", "minimum": None})
    assert written.digest == spec("regression").digest


@pytest.mark.parametrize("task", Task)
def test_every_metric_that_decides_is_computed(task):
    assert set(DECIDABLE[task]) <= set(METRICS[task.value])


@pytest.mark.parametrize("task", Task)
def test_the_default_metric_decides(task):
    assert default_metric(task) in DECIDABLE[task]


def test_a_direction_is_asked_of_a_task_or_of_all():
    assert greater_is_better("accuracy") is greater_is_better("accuracy", "multiclass") is True
    with pytest.raises(SpecError, match="cannot be decided on for task 'regression'"):
        greater_is_better("accuracy", "regression")


def test_what_a_spec_trusts_is_the_classes_and_what_stands_beside_them():
    assert spec("regression", train=own(trust=["a.b.C"])).train.trusted == {"sklearn.svm.SVR", "a.b.C"}
    assert spec().train.trusted == frozenset()


@pytest.mark.parametrize("more", [{"type": "SVR"}, {"type": "a b.C"}, {"encoding": "one_hot"}, {"trust": ["x"]}])
def test_malformed_descriptions_are_refused(more):
    with pytest.raises(ValidationError):
        spec("regression", train=own(**more))


def test_an_estimator_that_is_described_but_not_listed_is_refused():
    with pytest.raises(ValidationError, match="own describes mine, which estimators does not list"):
        spec("regression", train=own() | {"estimators": ["ridge"]})


@pytest.mark.parametrize("train", [{}, {"estimators": ["xgboost", "ridge"]}, {**own(), "estimators": ["mine"]}])
def test_an_engine_that_only_xgboost_knows_refuses_any_other_candidate(train):
    with pytest.raises(ValidationError, match="engine external_memory trains only 'xgboost', and estimators lists"):
        spec(train={**train, "engine": "external_memory"})


def test_a_custom_estimator_called_xgboost_is_a_different_one():
    mine = {"estimators": ["xgboost"], "own": {"xgboost": {"type": "sklearn.svm.SVC"}}}
    with pytest.raises(ValidationError, match="trains only 'xgboost'"):
        spec(train={**mine, "engine": "external_memory"})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"train": {"estimators": ["xgboost"], "engine": "dask"}},
            "refit needs all rows in memory, and engine is dask",
        ),
        ({"train": {"estimators": ["xgboost", "catboost"]}}, "refit cannot repeat catboost"),
        ({"event_time": "none"}, "no row is left"),
    ],
)
def test_a_refit_that_could_not_be_made_or_measured_is_refused(changes, said):
    train = {"train": {"refit": True, **changes.pop("train", {})}}
    with pytest.raises(ValidationError, match=said):
        ModelSpec.model_validate(spec().model_dump(exclude_unset=True) | changes | train)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weight": "y"}, "weight names 'y', which is a feature, the key, a time, the label or an audit column"),
        ({"weight": "w", "features": {"numeric": ["w"]}}, "return a column of its own"),
        (
            {"weight": "w", "train": {"engine": "external_memory", "estimators": ["xgboost"]}},
            "'external_memory' knows no weights",
        ),
        ({"train": {"class_weight": "balanced"}}, "set train.calibration to isotonic or sigmoid"),
        ({"task": "regression", "accept": {}, "train": {"class_weight": "balanced"}}, "only for task 'binary'"),
        ({"train": {"class_weight": {"positive": 0}, "calibration": "sigmoid"}}, "greater than 0"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(changes, said):
    with pytest.raises(ValidationError, match=said):
        ModelSpec.model_validate(spec().model_dump(exclude_unset=True) | changes)


def test_precision_at_a_number_of_rows_may_be_written_with_blanks():
    assert spec("binary", {"metric": "precision at 500"}).accept.metric == "precision_at_500"
    assert spec("binary", {"metric": "precision_at_500"}).accept.minimum is None
    with pytest.raises(ValidationError, match=r"Choose one of .*precision_at_500 \(or another number\)"):
        spec("binary", {"metric": "precision at 0"})


def test_republishing_without_watching_is_refused_and_says_what_to_do():
    with pytest.raises(ValidationError, match="set watch, such as '14 days', or remove republish"):
        spec(accept={"republish": True})
    assert spec(accept={"republish": True, "watch": "14 days"}).accept.in_shadow
