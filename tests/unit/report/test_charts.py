import math
import re
from datetime import date, timedelta
from xml.etree import ElementTree

import numpy as np
import pytest

from tidemill.records import MetricValue
from tidemill.report import answer_charts, charts
from tidemill.report.html import picture
from tidemill.report.theme import SIZES
from tidemill.report.values import Categories, Histogram

RNG = np.random.default_rng(20130701)
LATE = RNG.random(900) < 0.24
SCORE = np.clip(RNG.normal(0.25, 0.12, 900) + 0.1 * LATE, 0, 1)
DAYS = [str(date(2013, 7, 1) + timedelta(days=offset)) for offset in range(14)]
HOURS = Histogram(edges=(0.0, 6.0, 12.0, 18.0, 24.0), counts=(10, 300, 400, 190))
CARRIERS = Categories(names=("UA", "B6", "EV"), counts=(400, 300, 200))
CLASSES = ["late", "on_time", "<b>", "late"]
HOSTILE = "<script>alert(1)</script>"


def roc_auc(value, **more):
    return MetricValue(name="roc_auc", value=value, low=value - 0.02, high=value + 0.02, **more)


PICTURES = {
    "roc_curve": lambda: charts.roc_curve(LATE, {"xgboost": SCORE, "chance": RNG.random(900) * 0 + 0.5}),
    "reliability": lambda: charts.reliability(LATE, SCORE),
    "importance": lambda: charts.importance([roc_auc(0.08, feature="dep_hour"), roc_auc(-0.01, feature="seats")]),
    "correlation": lambda: charts.correlation([MetricValue(name="r", value=-0.2, feature="visib")]),
    "score_histogram": lambda: charts.score_histogram(SCORE, LATE),
    "scores_without_labels": lambda: charts.score_histogram(SCORE),
    "numeric": lambda: charts.distribution(HOURS, HOURS, title="dep_hour"),
    "categorical": lambda: charts.distribution(CARRIERS, CARRIERS, title="carrier"),
    "mini_numeric": lambda: charts.distribution(HOURS, title="dep_hour", size="mini"),
    "mini_categorical": lambda: charts.distribution(CARRIERS, CARRIERS, title="carrier", size="mini"),
    "drift": lambda: charts.drift_over_time(
        {f"feature_{k}": {day: 0.01 * k + 0.001 * i for i, day in enumerate(DAYS)} for k in range(7)}, metric="psi"
    ),
    "metric": lambda: charts.metric_over_partitions(
        {day: roc_auc(0.7 + 0.01 * i) for i, day in enumerate(DAYS)}, title="Realised roc_auc", threshold=0.62
    ),
    "label_rate": lambda: charts.label_rate_over_time({day: (200 + i, 930) for i, day in enumerate(DAYS)}),
    "estimators": lambda: charts.estimator_comparison(
        {"xgboost": roc_auc(0.74), "prior": roc_auc(0.5)}, chosen="xgboost"
    ),
    "confusion": lambda: answer_charts.confusion_matrix(CLASSES, CLASSES[::-1]),
    "confusion_of_many": lambda: answer_charts.confusion_matrix([str(k % 30) for k in range(99)], ["1"] * 99),
    "predicted": lambda: answer_charts.predicted_against_actual(SCORE, SCORE + 0.1, SCORE - 1, SCORE + 1),
    "predicted_alone": lambda: answer_charts.predicted_against_actual(
        [1.0, 2.0], [1.0, 2.5], [math.nan] * 2, [math.nan] * 2
    ),
    "residuals": lambda: answer_charts.residuals(SCORE, SCORE * 0.9),
    "residuals_of_one": lambda: answer_charts.residuals([1.0], [1.0]),
    "shares": lambda: answer_charts.shares_over_time({"late": dict.fromkeys(DAYS, 0.2)}, title="Classes"),
    "no_confusion": lambda: answer_charts.confusion_matrix([], []),
    "no_shares": lambda: answer_charts.shares_over_time({}, title="Classes"),
    "nothing": lambda: charts.roc_curve([True, True], {"xgboost": [0.1, 0.2]}),
}


@pytest.fixture(scope="module")
def drawn():
    return {name: charts.to_svg(make()) for name, make in PICTURES.items()}


@pytest.mark.parametrize("name", PICTURES)
def test_a_chart_is_valid(name):
    assert PICTURES[name]().to_dict(validate=True)["layer"]  # its parts are not validated one by one


@pytest.mark.parametrize("name", PICTURES)
def test_the_same_values_give_the_same_bytes(drawn, name):
    assert charts.to_svg(PICTURES[name]()) == drawn[name]


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_may_enter_a_page(drawn, name):
    assert picture(drawn[name]) == drawn[name]


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_names_no_address_but_its_namespaces(drawn, name):
    namespaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"[a-z]+://[^\"' ]+", drawn[name])) <= namespaces


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_says_in_words_what_it_is(drawn, name):
    root = ElementTree.fromstring(drawn[name])
    assert root.get("role") == "img"
    assert root.get("aria-label")


@pytest.mark.parametrize(("name", "size"), [("numeric", "standard"), ("metric", "wide"), ("mini_numeric", "mini")])
def test_pictures_of_a_size_class_have_its_size(drawn, name, size):
    root = ElementTree.fromstring(drawn[name])
    assert (int(root.get("width")), int(root.get("height"))) == SIZES[size]


def test_identifiers_of_two_pictures_differ(drawn):
    identifiers = [set(re.findall(r' id="([^"]+)"', drawn[name])) for name in ("metric", "label_rate", "roc_curve")]
    assert sum(map(len, identifiers)) == len(set.union(*identifiers))


@pytest.mark.parametrize(
    "chart",
    [
        charts.distribution(Categories(names=(HOSTILE,), counts=(3,)), title=HOSTILE),
        charts.distribution(HOURS, title=HOSTILE),
        charts.importance([roc_auc(0.1, feature=HOSTILE)]),
        charts.roc_curve(LATE, {HOSTILE: SCORE}),
        charts.drift_over_time({HOSTILE: {HOSTILE: 0.1}}, metric="psi"),
        charts.estimator_comparison({HOSTILE: roc_auc(0.7)}),
    ],
    ids=["category", "title", "feature", "legend", "partition", "estimator"],
)
def test_names_are_escaped(chart):
    assert "<script" not in charts.to_svg(chart)


@pytest.mark.parametrize("name", ["a.b[0]", "a'b\"c\\d", "datum.x", "\x01\ud800", "", "onload=1 href=url(x)"])
def test_any_name_can_be_drawn(name):
    named = Categories(names=(name, "UA"), counts=(2, 1))
    assert picture(charts.to_svg(charts.distribution(named, title=name)))


@pytest.mark.parametrize(
    "chart",
    [
        charts.roc_curve([], {}),
        charts.reliability([], []),
        charts.importance([]),
        charts.correlation([]),
        charts.score_histogram([]),
        charts.distribution(Histogram(edges=(0.0, 1.0), counts=(0,)), title="dep_hour"),
        charts.distribution(Categories(names=(), counts=()), title="carrier", size="mini"),
        charts.drift_over_time({}, metric="psi"),
        charts.metric_over_partitions({}, title="Realised roc_auc"),
        charts.label_rate_over_time({"2013-07-01": (0, 0)}),
        charts.estimator_comparison({}),
    ],
)
def test_a_picture_with_nothing_to_draw_says_so(chart):
    assert re.search(r">(Not defined|No |no )[^<]*<", charts.to_svg(chart))


def test_a_partition_without_a_value_leaves_a_gap():
    values = {"2013-07-01": roc_auc(0.7), "2013-07-02": MetricValue(name="roc_auc", value=math.nan)}
    assert "NaN" not in charts.to_svg(charts.metric_over_partitions(values, title="Realised roc_auc"))


def test_rows_without_a_score_are_left_out_of_the_calibration():
    with_gap = charts.reliability([True, False, True], [0.9, 0.1, math.nan])
    assert charts.to_svg(with_gap) == charts.to_svg(charts.reliability([True, False], [0.9, 0.1]))


def test_two_kinds_of_counts_are_refused():
    with pytest.raises(ValueError, match="counted in two ways"):
        charts.distribution(HOURS, CARRIERS, title="dep_hour")


def test_save_writes_svg_and_png_side_by_side(tmp_path):
    charts.save(PICTURES["mini_numeric"](), tmp_path / "dep_hour.v1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dep_hour.v1.png", "dep_hour.v1.svg"]


def test_a_png_is_the_same_each_time(tmp_path):
    for name in ("first", "second"):
        charts.save(PICTURES["mini_numeric"](), tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_features_that_drift_little_are_not_named(drawn):
    assert ">feature_6<" in drawn["drift"]
    assert ">feature_0<" not in drawn["drift"]


def test_rare_categories_share_one_bar():
    many = Categories(names=tuple(f"carrier {k}" for k in range(30)), counts=tuple(range(30, 0, -1)))
    assert "(others)" in charts.to_svg(charts.distribution(many, title="carrier"))


def test_estimators_stand_best_first_whichever_way_is_better():
    values = {"a": roc_auc(0.7), "b": roc_auc(0.6)}
    up, down = (charts.estimator_comparison(values, greater_is_better=better).to_dict() for better in (True, False))
    first = [next(iter(chart["datasets"].values()))[0]["name"] for chart in (up, down)]
    assert first == ["a", "b"]
