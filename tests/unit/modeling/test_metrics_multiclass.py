import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from tidemill.errors import SpecError
from tidemill.modeling.metrics import METRICS, by_slice, encode, evaluate, paired_difference, point_value, spread

CLASSES = ("early", "late", "on time")
CODES = [0, 1, 2]
ORACLES = {
    "log_loss": lambda y, s: oracle.log_loss(y, s, labels=CODES),
    "accuracy": lambda y, s: oracle.accuracy_score(y, s.argmax(axis=1)),
    "balanced_accuracy": lambda y, s: oracle.recall_score(y, s.argmax(axis=1), labels=np.unique(y), average="macro"),
    "macro_f1": lambda y, s: oracle.f1_score(y, s.argmax(axis=1), average="macro", zero_division=0),
    "roc_auc_ovr": lambda y, s: oracle.roc_auc_score(y, s, multi_class="ovr", labels=CODES),
    "brier_score": lambda y, s: oracle.brier_score_loss(y, s, labels=CODES),
}


@st.composite
def rows(draw):
    """Labels of all three classes, and probabilities with ties and zeros among them."""
    y = [*CODES, *draw(st.lists(st.sampled_from(CODES), max_size=40))]
    parts = st.tuples(*[st.integers(0, 4)] * 3).filter(any)
    weights = np.array(draw(st.lists(parts, min_size=len(y), max_size=len(y))), dtype=float)
    return np.array(y), weights / weights.sum(axis=1, keepdims=True)


def sample(n_samples=900, random_state=0):
    rng = np.random.default_rng(random_state)
    y = rng.choice(3, n_samples, p=[0.2, 0.3, 0.5])
    score = rng.dirichlet([1, 1, 1], n_samples) + np.eye(3)[y]
    return y, score / 2, np.arange(n_samples) * 14 // n_samples


def value(metric, y, score, **options):
    return point_value(metric, y, score, task="multiclass", **options)


@pytest.mark.parametrize("metric", ORACLES)
@given(data=rows())
def test_a_metric_equals_scikit_learns(metric, data):
    assert value(metric, *data) == pytest.approx(ORACLES[metric](*data))


def test_every_metric_but_the_calibration_error_has_an_oracle():
    assert set(METRICS["multiclass"]) - set(ORACLES) == {"expected_calibration_error"}


def test_calibration_error_is_that_of_the_chosen_class():
    score = np.array([[0.85, 0.1, 0.05]] * 10)
    y = np.array([0] * 6 + [1] * 4)
    assert value("expected_calibration_error", y, score) == pytest.approx(0.25)


@pytest.mark.parametrize("metric", METRICS["multiclass"])
def test_weights_of_a_replicate_are_the_same_as_repeated_rows(metric):
    y, score, blocks = sample(90)
    figure = evaluate("multiclass", y, score, blocks=blocks, metrics=(metric,), n_replicates=1, random_state=5)[0]
    drawn = np.random.default_rng(5).integers(0, 14, size=14)
    again = np.concatenate([np.flatnonzero(blocks == block) for block in drawn])
    assert figure.low == pytest.approx(value(metric, y[again], score[again]))


@pytest.mark.parametrize("metric", METRICS["multiclass"])
def test_no_row_is_nan(metric):
    assert np.isnan(value(metric, [], np.empty((0, 3))))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1, 1.1])
@pytest.mark.parametrize("metric", METRICS["multiclass"])
def test_one_score_that_is_no_probability_makes_every_metric_nan(metric, bad):
    assert np.isnan(value(metric, [0, 1], np.array([[0.5, 0.3, 0.2], [bad, 0.5, 0.5]])))


def test_an_unlabelled_row_makes_every_metric_nan():
    score = np.full((2, 3), 1 / 3)
    figures = evaluate("multiclass", np.array(["late", None], dtype=object), score, classes=CLASSES)
    assert np.isnan([figure.value for figure in figures]).all()


def test_ranking_a_single_class_is_nan():
    assert np.isnan(value("roc_auc_ovr", [1, 1], np.full((2, 3), 1 / 3)))


def test_ranking_is_averaged_over_the_classes_that_the_rows_hold():
    y, score, _ = sample()
    some = y != 2
    expected = np.mean([oracle.roc_auc_score(y[some] == code, score[some, code]) for code in (0, 1)])
    assert value("roc_auc_ovr", y[some], score[some]) == pytest.approx(expected)


def test_names_of_classes_count_as_their_columns():
    y, score, _ = sample()
    names = np.array(CLASSES, dtype=object)[y]
    assert value("log_loss", names, score, classes=CLASSES) == value("log_loss", y, score)


def test_a_class_that_the_model_does_not_know_is_wrong_with_probability_0():
    score = np.array([[1.0, 0.0, 0.0]] * 2)
    y = ["early", "diverted"]
    found = {m: value(m, y, score, classes=CLASSES) for m in ("accuracy", "balanced_accuracy", "brier_score")}
    assert found == {"accuracy": 0.5, "balanced_accuracy": 0.5, "brier_score": 1.0}
    assert value("log_loss", y, score, classes=CLASSES) == pytest.approx(-np.log(np.finfo(float).eps) / 2)


def test_a_difference_is_the_difference_of_the_values():
    y, a, blocks = sample()
    b = np.roll(a, 1, axis=0)
    difference = paired_difference("log_loss", y, a, b, blocks, task="multiclass")
    assert difference.value == pytest.approx(value("log_loss", y, a) - value("log_loss", y, b))
    assert difference.low < difference.value < difference.high < 0


def test_models_of_other_classes_are_compared_over_all_of_them():
    y, score, blocks = sample()
    names = np.array(CLASSES, dtype=object)[y]
    less = score[:, :2] / score[:, :2].sum(axis=1, keepdims=True)
    difference = paired_difference(
        "accuracy", names, score, less, blocks, task="multiclass", classes_a=CLASSES, classes_b=CLASSES[:2]
    )
    both = value("accuracy", names, score, classes=CLASSES), value("accuracy", names, less, classes=CLASSES[:2])
    assert difference.value == pytest.approx(both[0] - both[1])


def test_a_slice_has_the_value_of_its_rows():
    y, score, blocks = sample()
    half = np.arange(len(y)) % 2
    figures = by_slice(y, score, {"half": half}, task="multiclass", blocks=blocks, metrics=("macro_f1",))
    assert figures[0].value == pytest.approx(value("macro_f1", y[half == 0], score[half == 0]))


def test_scores_that_do_not_fit_the_labels_are_the_callers_mistake():
    with pytest.raises(ValueError, match="do not fit"):
        value("accuracy", [0, 1], np.full((3, 3), 1 / 3))


def test_a_metric_of_another_task_is_refused_with_the_valid_ones():
    with pytest.raises(SpecError, match=r"'roc_auc' is unknown\. Choose one of log_loss, accuracy"):
        value("roc_auc", [0], np.ones((1, 1)))


@given(st.lists(st.sampled_from([*CLASSES, "other"])))
def test_encoding_is_the_position_of_the_class(labels):
    assert encode(labels, CLASSES).tolist() == [CLASSES.index(item) if item in CLASSES else -1 for item in labels]


def test_spreading_keeps_every_probability():
    _, score, _ = sample(5)
    assert np.array_equal(spread(score, CLASSES, ("a", *CLASSES))[:, 1:], score)
