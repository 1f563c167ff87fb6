import pytest

from tidemill.errors import SpecError
from tidemill.modeling.estimators.registry import recipe_of
from tidemill.modeling.search.space import SPACES, at_bounds, space_of, space_problems
from tidemill.spec import Dimension, candidates

TASKS = ("binary", "multiclass", "regression")
ONE = {"learning_rate": Dimension(low=0.01, high=0.1, log=True)}


def test_the_spec_s_space_takes_the_place_of_the_usual_one() -> None:
    assert space_of("xgboost", {"xgboost": ONE}) == ONE


def test_an_estimator_without_a_space_is_not_searched() -> None:
    assert space_of("mine", {"xgboost": ONE}) == {}


@pytest.mark.parametrize("estimator", SPACES)
def test_the_usual_spaces_have_no_problem(estimator: str) -> None:
    assert list(space_problems(estimator, SPACES[estimator])) == []


@pytest.mark.parametrize(
    ("estimator", "name", "dimension", "said"),
    [
        ("xgboost", "max_dept", Dimension(low=3, high=9), "did you mean 'max_depth'"),
        ("ridge", "beta", Dimension(low=3, high=9), "valid parameters are alpha"),
        ("xgboost", "max_depth", Dimension(low=3.0, high=9.0), "takes whole numbers"),
        ("xgboost", "max_depth", Dimension(choices=(3, "deep")), "names ['deep']; it takes numbers"),
        ("xgboost", "max_depth", Dimension(choices=(3, True)), "names [True]; it takes numbers"),
        ("random_forest", "min_samples_split", Dimension(low=1, high=9), "valid values are 2 and above"),
        ("xgboost", "subsample", Dimension(low=0.5, high=1.5), "valid values are 0.01 to 1"),
        ("xgboost", "booster", Dimension(choices=("gbtree", "dart")), "dart and gblinear are refused"),
        ("xgboost", "grow_policy", Dimension(low=1, high=2), "takes text values"),
    ],
)
def test_what_an_estimator_cannot_take_is_reported(estimator: str, name: str, dimension: Dimension, said: str) -> None:
    (problem,) = space_problems(estimator, {name: dimension})
    assert f"train.search.space.{estimator}" in problem
    assert said in problem


@pytest.mark.parametrize(("estimator", "task"), [(name, task) for task in TASKS for name in candidates(task)])
def test_every_parameter_that_may_be_set_may_be_searched(estimator: str, task: str) -> None:
    choice = Dimension(choices=(1,))
    space = {name: choice for name in recipe_of(estimator, task).parameters}
    assert [said for said in space_problems(estimator, space) if "names '" in said] == []


@pytest.mark.parametrize(("estimator", "task"), [(name, task) for task in TASKS for name in candidates(task)])
def test_every_parameter_of_the_usual_spaces_may_be_set(estimator: str, task: str) -> None:
    assert set(SPACES[estimator]) <= set(recipe_of(estimator, task).parameters)


def test_a_space_with_problems_is_refused() -> None:
    with pytest.raises(SpecError, match="max_dept"):
        space_of("xgboost", {"xgboost": {"max_dept": Dimension(low=3, high=9)}})


@pytest.mark.parametrize(("value", "end"), [(0.0101, "lower"), (0.0999, "upper")])
def test_a_value_at_the_edge_is_reported_on_the_scale_of_its_range(value: float, end: str) -> None:
    (sentence,) = at_bounds("xgboost", ONE, {"learning_rate": value})
    assert f"at the {end} end" in sentence


@pytest.mark.parametrize(
    ("name", "dimension", "value"),
    [
        ("learning_rate", Dimension(low=0.01, high=0.1, log=True), 0.03),
        ("subsample", Dimension(low=0.5, high=1.0), 1.0),  # nothing lies beyond
        ("max_depth", Dimension(choices=(3, 9)), 9),
        ("reg_lambda", Dimension(low=1.0, high=9.0), None),
    ],
)
def test_a_value_that_is_at_no_edge_is_not_said(name: str, dimension: Dimension, value: float | None) -> None:
    assert at_bounds("xgboost", {name: dimension}, {name: value}) == ()


def test_defaults_lie_at_no_edge() -> None:
    assert at_bounds("xgboost", SPACES["xgboost"], {}) == ()
