import numpy as np
import pandas as pd
import pytest

from tidemill.metrics.evaluation import point_value
from tidemill.modeling.leakage import find_telling, telling
from tidemill.modeling.schema import FeatureSchema

from .conftest import SCHEMA, make_answers, make_rows


def with_leaks(X, y):
    """Plant what leaks look like: a noisy copy of the label as flag and as text, and a delay known afterwards."""
    rng = np.random.default_rng(0)
    copy = y ^ (rng.random(len(y)) < 0.05)
    delay = np.where(y, rng.normal(50, 20, len(y)), rng.normal(0, 10, len(y)))
    return X.assign(
        copy=copy, status=np.where(copy, "late", "on time"), dep_delay=delay, code=np.arange(len(y)).astype(str)
    )


LEAKY = FeatureSchema(
    numeric=("hour", "wind", "gust", "copy", "dep_delay"), categorical=("origin", "carrier", "status", "code")
)


def test_planted_leaks_are_named_and_no_honest_feature_is(train):
    found = find_telling(with_leaks(*train), train[1], LEAKY)
    assert {leak.subject for leak in found} == {"copy", "status", "dep_delay"}


def test_the_worst_leak_comes_first(train):
    found = telling(with_leaks(*train), train[1], LEAKY)
    aucs = [found[leak.subject] for leak in find_telling(with_leaks(*train), train[1], LEAKY)]
    assert aucs == sorted(aucs, reverse=True)


def test_a_copy_with_five_percent_noise_reaches_95(train):
    assert telling(with_leaks(*train), train[1], LEAKY)["copy"] == pytest.approx(0.95, abs=0.02)


def test_a_leak_that_points_down_is_folded(train):
    X = train[0].assign(hour=-with_leaks(*train)["dep_delay"])
    assert telling(X, train[1], LEAKY_HOUR)["hour"] > 0.95


LEAKY_HOUR = FeatureSchema(numeric=("hour",))


def test_a_leak_by_being_missing_is_found(train):
    X, y = train
    assert telling(X.assign(hour=np.where(y, np.nan, X["hour"])), y, LEAKY_HOUR) == {"hour": 1.0}


def test_a_leak_in_the_middle_of_the_range_is_found(train):
    X, y = train
    rng = np.random.default_rng(0)
    hour = np.where(y, rng.uniform(-1, 1, len(y)), rng.choice([-1, 1], len(y)) * rng.uniform(1, 2, len(y)))
    assert find_telling(X.assign(hour=hour), y, LEAKY_HOUR)[0].subject == "hour"


def test_a_key_of_its_own_for_each_row_says_nothing(train):
    auc = telling(with_leaks(*train), train[1], FeatureSchema(categorical=("code",)))["code"]
    assert auc < 0.55


def test_the_auc_of_a_number_is_at_least_its_rank_auc(train):
    X, y = train
    assert telling(X, y, LEAKY_HOUR)["hour"] >= point_value("roc_auc", y, X["hour"] / 24)


@pytest.mark.parametrize("values", [np.nan, 1.0])
def test_a_column_of_one_value_says_nothing(train, values):
    assert telling(train[0].assign(hour=values), train[1], LEAKY_HOUR)["hour"] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("n_rows", [6, 14, 40])
def test_a_few_rows_name_no_column_without_meaning(train, schema, n_rows):
    rng = np.random.default_rng(3)
    for _ in range(20):
        rows = rng.permutation(len(train[0]))[:n_rows]
        assert find_telling(train[0].iloc[rows], rng.permutation(np.arange(n_rows) % 2), schema) == []


def test_a_copy_of_a_rare_label_is_found(train):
    y = np.arange(1500) % 75 == 0  # 20 positives
    assert find_telling(train[0].assign(hour=y.astype(float)), y, LEAKY_HOUR)[0].subject == "hour"


def test_a_single_class_names_nothing(train, schema):
    assert find_telling(train[0], np.ones(1500), schema) == []


def test_the_limit_is_the_callers(train, schema):
    found = find_telling(pd.DataFrame(train[0]), train[1], schema, limit=0.6)
    assert {leak.subject for leak in found} == {"hour"}


# --- other tasks


@pytest.fixture(scope="module", params=["multiclass", "regression"])
def answered(request):
    """Task, rows and labels, with a copy of the label in which one of twenty is wrong."""
    X, _ = make_rows(1500, 1)
    y = make_answers(X, request.param, 0)
    rng = np.random.default_rng(0)
    copy = np.where(rng.random(len(y)) < 0.05, rng.permutation(y), y)
    numeric = request.param == "regression"
    schema = FeatureSchema(
        numeric=(*SCHEMA.numeric, *(("copy",) if numeric else ())),
        categorical=(*SCHEMA.categorical, *(() if numeric else ("copy",))),
    )
    return request.param, X.assign(copy=copy), y, schema


def test_a_copy_of_any_label_is_named_and_no_honest_feature_is(answered):
    task, X, y, schema = answered
    assert {leak.subject for leak in find_telling(X, y, schema, task)} == {"copy"}


def test_the_message_has_the_figure_of_the_task(answered):
    task, X, y, schema = answered
    statistic = {"multiclass": "AUC 0.9", "regression": "R² 0."}[task]
    assert statistic in find_telling(X, y, schema, task)[0].how


def test_a_number_that_was_written_after_the_outcome_is_named_for_a_regression():
    """As the departure delay of a flight is for its arrival delay: most of it, with far ends."""
    rng = np.random.default_rng(0)
    late = rng.exponential(1, 3000) ** 2 * 30
    y, X = late + rng.normal(0, 10, 3000), pd.DataFrame({"dep_delay": late})
    assert [leak.subject for leak in find_telling(X, y, FeatureSchema(numeric=("dep_delay",)), "regression")] == [
        "dep_delay"
    ]


def test_a_square_of_the_label_tells_it_too():
    y = np.random.default_rng(0).normal(size=2000)
    X = pd.DataFrame({"turned": np.abs(y - 0.1)})
    assert telling(X, y**2, FeatureSchema(numeric=("turned",)), "regression")["turned"] > 0.9


def test_a_code_for_each_row_says_nothing_about_a_number():
    X = pd.DataFrame({"code": np.arange(900).astype(str)})
    y = np.random.default_rng(0).normal(size=900)
    assert telling(X, y, FeatureSchema(categorical=("code",)), "regression")["code"] < 0.05


def test_a_constant_label_names_nothing(train, schema):
    assert find_telling(train[0], np.zeros(1500), schema, "regression") == []


def test_a_class_of_a_few_rows_is_not_looked_for(schema, train):
    y = np.array(["most"] * 1490 + ["few"] * 10, dtype=object)
    assert find_telling(train[0], y, schema, "multiclass") == []


def panel(rng, n_entities=121, n_days=20):
    """Draw entities that keep two values and a label by chance, on each of some days."""
    entities = np.tile(np.arange(n_entities), n_days)
    age, town = rng.integers(0, 60, n_entities).astype(float), [f"town {n}" for n in rng.integers(0, 80, n_entities)]
    X = pd.DataFrame({"age": np.tile(age, n_days), "town": town * n_days})
    return X, np.tile(rng.random(n_entities) < 0.1, n_days).astype(float), entities


def test_a_column_that_identifies_an_entity_does_not_predict_the_label_by_itself():
    rng, schema = np.random.default_rng(0), FeatureSchema(numeric=("age",), categorical=("town",))
    found = [panel(rng) for _ in range(40)]
    accused = [bool(find_telling(X, y, schema)) for X, y, _ in found]  # each row by itself
    assert np.mean(accused) > 0.5
    assert not any(find_telling(X, y, schema, entities=entities) for X, y, entities in found)


def test_a_column_written_after_the_outcome_is_found_in_a_panel_too():
    X, y, entities = panel(np.random.default_rng(1), n_entities=401)
    X["closed"] = np.where(np.random.default_rng(2).random(len(y)) < 0.05, 1 - y, y)
    (leak,) = find_telling(X, y, FeatureSchema(numeric=("age", "closed")), entities=entities)
    assert leak.subject == "closed"


def test_rows_that_each_have_their_own_entity_give_the_same_figures():
    X, y, _ = panel(np.random.default_rng(3))
    schema = FeatureSchema(numeric=("age",))
    assert telling(X, y, schema) == telling(X, y, schema, entities=np.arange(len(y)))
