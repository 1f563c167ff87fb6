"""The pages of a row and of two releases: every figure is where it belongs, and every text stays text."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tidemill.records import (
    Decision,
    EvaluationReport,
    ReleaseEvidence,
    ReleaseOrigin,
    RowLookup,
    RowVersion,
    SnapshotRef,
)
from tidemill.report.console import comparison_page, row_page

from .conftest import metric

HOSTILE = '"><script>alert(1)</script>'
VERSION = RowVersion(
    partition="2013-07-07", prediction_run_id=12, release_id=7, status="published",
    published_at=datetime(2013, 7, 8, 5, tzinfo=UTC), simulated=False, score=0.812, predicted="true", low=None, high=None,
)  # fmt: skip
FOUND = RowLookup(
    model="flight_delays",
    entity_key="UA-1545",
    partition="2013-07-07",
    trace={
        "entity_key": "UA-1545",
        "task": "binary",
        "score": 0.812,
        "predicted_label": True,
        "reasons": [{"feature": "dep_hour", "value": 22, "contribution": 0.41}],
        "release_id": 7,
        "scoring_snapshot": "ab12",
        "approved_by": None,
    },
    history=(VERSION, replace(VERSION, prediction_run_id=9, release_id=6, status="superseded", score=0.7)),
)


def cells(page: str, caption: str) -> list[list[str]]:
    """The rows of the table with a caption, as text."""
    table = page.partition(f"<caption>{caption}</caption>")[2].partition("</tbody>")[0].partition("<tbody>")[2]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in table.split("<tr>")[1:]]
    return [[" ".join(re.sub(r"<[^>]*>", " ", cell).split()) for cell in row] for row in rows]


def test_a_row_shows_answer_reasons_history_and_trace() -> None:
    page = row_page("flight_delays", "UA-1545", "", FOUND, 90)
    assert "<h1>UA-1545 in 2013-07-07: true.</h1>" in page
    assert cells(page, "Features with the largest contributions to the score, as stored with the row") == [
        ["dep_ hour", "22", "0.410"]
    ]
    history = cells(page, "What readers see of this key, and saw before; withheld rows are not shown")
    assert [(row[1], row[2], row[3], row[5]) for row in history] == [
        ("12", "7", "published", "0.812"),
        ("9", "6", "superseded", "0.700"),
    ]
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert (facts["scoring snapshot"], facts["approved by"]) == ("ab12", "not on record")
    assert "score" not in facts


def test_a_number_has_its_interval_and_a_class_its_probabilities() -> None:
    number = {"prediction": 12.5, "low": 10.0, "high": 15.0, "reasons": None, "release_id": 7}
    page = row_page("m", "k", "", replace(FOUND, trace=number, history=(replace(VERSION, low=10.0, high=15.0),)), 90)
    assert "<h1>k in 2013-07-07: 12.500.</h1>" in page
    assert "10.000 to 15.000" in page
    assert "<code>predict.reasons</code>" in page
    classes = {"predicted_label": "b", "score": 0.6, "probabilities": {"a": 0.4, "b": 0.6}, "release_id": 7}
    page = row_page("m", "k", "", replace(FOUND, trace=classes), 90)
    assert cells(page, "Probability of each class") == [["b", "0.600"], ["a", "0.400"]]


@pytest.mark.parametrize(
    ("key", "partition", "answer"),
    [
        ("", "", "Enter the key of a row."),
        ("x", "", "The newest 90 published partitions have no row x."),
        ("x", "2013-07-07", "Partition 2013-07-07 has no row x."),
    ],
)
def test_without_a_row_the_page_says_what_was_searched(key: str, partition: str, answer: str) -> None:
    page = row_page("flight_delays", key, partition, None, 90)
    assert f"<h1>{answer}</h1>" in page
    assert f'<input name="key" value="{key}"' in page
    assert "form-action &#39;self&#39;" in page


def test_a_hostile_key_and_a_hostile_row_stay_text() -> None:
    trace: dict[str, Any] = {
        "predicted_label": HOSTILE, "score": 0.5, "probabilities": {HOSTILE: 1.0}, HOSTILE: HOSTILE,
        "reasons": [{"feature": HOSTILE, "value": HOSTILE, "contribution": 0.1}], "release_id": 7,
    }  # fmt: skip
    version = replace(VERSION, partition=HOSTILE, status=HOSTILE, predicted=HOSTILE)
    hostile = RowLookup(model=HOSTILE, entity_key=HOSTILE, partition=HOSTILE, trace=trace, history=(version,))
    for page in (row_page(HOSTILE, HOSTILE, HOSTILE, hostile, 90), row_page(HOSTILE, HOSTILE, HOSTILE, None, 90)):
        assert "<script" not in page
        assert page.count("<input") == 2
        assert "&#34;&gt;&lt;script" in page


# ---------------------------------------------------------------- two releases


@pytest.fixture
def left(snapshot: SnapshotRef, evaluation: EvaluationReport, decision: Decision) -> ReleaseEvidence:
    origin = ReleaseOrigin(bundle_uri="b", mlflow_run_id=None, mlflow_version=None, profile=None, contract=None)
    settings = {"train": {"window": "90 days", "estimators": ["xgboost"]}, "owner": "team"}
    report = replace(
        evaluation,
        metrics=(metric(0.742, 0.735, 0.749), metric(0.61, 0.5, 0.7, slice="carrier=OO")),
        importance=(
            metric(0.05, feature="dep_hour", name="importance"),
            metric(0.2, feature="carrier", name="importance"),
        ),
    )
    return ReleaseEvidence(snapshot=snapshot, evaluation=report, decision=decision, settings=settings, origin=origin)


@pytest.fixture
def right(left: ReleaseEvidence) -> ReleaseEvidence:
    report = replace(
        left.evaluation,
        metrics=(metric(0.75, 0.744, 0.756), metric(0.3, 0.2, 0.4, name="brier")),
        importance=(
            metric(0.3, feature="wind", name="importance"),
            metric(0.06, feature="dep_hour", name="importance"),
        ),
    )
    settings = {"train": {"window": "60 days", "estimators": ["xgboost"]}, "owner": "team", "draft": False}
    return replace(left, evaluation=report, settings=settings)


def test_settings_that_differ_are_side_by_side_and_equal_ones_are_not_shown(
    left: ReleaseEvidence, right: ReleaseEvidence
) -> None:
    page = comparison_page("flight_delays", (7, 8), left, right)
    assert cells(page, "Settings of the spec that differ") == [
        ["draft", "not set", "False"],
        ["train.window", "90 days", "60 days"],
    ]
    assert "<li>2 settings of the spec differ.</li>" in page
    assert "No setting differs." in comparison_page("flight_delays", (7, 8), left, left)


def test_metrics_slices_and_features_of_both_are_side_by_side(left: ReleaseEvidence, right: ReleaseEvidence) -> None:
    page = comparison_page("flight_delays", (7, 8), left, right)
    assert cells(page, "Metrics on all rows of the test set") == [
        ["roc_ auc", "0.742 0.735 to 0.749", "0.750 0.744 to 0.756", "-0.008"],
        ["brier", "none", "0.300 0.200 to 0.400", ""],
    ]
    assert cells(page, "Metrics by slice") == [["roc_ auc", "carrier=OO", "0.610 0.500 to 0.700", "none", ""]]
    assert page.count('<th scope="col" class="number">release 7 minus 8</th>') == 3
    assert [row[:3] for row in cells(page, "Permutation importance on the test set")] == [
        ["wind", "none", "0.300"],
        ["carrier", "0.200", "none"],
        ["dep_ hour", "0.050", "0.060"],
    ]
    assert re.findall(r'href="([^"]*)"', page) == ["../../../../../", "../../../../", "../../../7/", "../../../8/"]


def test_a_slice_of_few_rows_is_marked(left: ReleaseEvidence, right: ReleaseEvidence) -> None:
    few = replace(left, evaluation=replace(left.evaluation, metrics=(metric(0.0, slice="carrier=OO", n=2),)))
    assert cells(comparison_page("m", (7, 8), few, right), "Metrics by slice")[0][2] == "0.000 few rows"


def test_hostile_settings_and_figures_stay_text(left: ReleaseEvidence, right: ReleaseEvidence) -> None:
    evaluation = replace(
        left.evaluation,
        estimator=HOSTILE,
        metrics=(metric(0.7, name=HOSTILE), metric(0.7, slice=HOSTILE)),
        importance=(metric(0.1, feature=HOSTILE),),
    )
    decision = replace(left.decision, reasons=(HOSTILE,))
    hostile = replace(left, evaluation=evaluation, decision=decision, settings={HOSTILE: {HOSTILE: [HOSTILE]}})
    for page in (comparison_page(HOSTILE, (7, 8), hostile, right), comparison_page("m", (7, 8), right, hostile)):
        assert "<script" not in page
        assert "&lt;script" in page


def test_every_table_of_these_pages_has_a_caption_and_scopes(left: ReleaseEvidence, right: ReleaseEvidence) -> None:
    for page in (row_page("m", "k", "", FOUND, 90), comparison_page("m", (7, 8), left, right)):
        assert page.count("<table") == page.count("<caption>") > 0
        assert re.findall(r"<th(?! scope=)[ >]", page) == []
