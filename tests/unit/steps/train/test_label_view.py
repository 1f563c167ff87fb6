import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tidemill.report import charts
from tidemill.spec import Task
from tidemill.steps.train.label_view import LabelView, label_view

DAYS = [f"2024-03-0{day}" for day in range(1, 7)]


def view(task: Task, values: list[Any], kind: pa.DataType | None = None) -> LabelView:
    days = pa.chunked_array([[DAYS[number * len(DAYS) // len(values)] for number in range(len(values))]])
    return label_view(task, pa.chunked_array([pa.array(values, kind)]), days)


VIEWS = {
    Task.BINARY: view(Task.BINARY, [0, 1, None, 0, 1, 1] * 10, pa.int8()),
    Task.MULTICLASS: view(Task.MULTICLASS, ["late", "on_time", None, "on_time", "on_time", "gone"] * 10),
    Task.REGRESSION: view(Task.REGRESSION, [1.0, 2.0, None, 4.0, 5.0, 9.0] * 10),
}
UNKNOWN = {
    Task.BINARY: view(Task.BINARY, [None] * 6, pa.int8()),
    Task.MULTICLASS: view(Task.MULTICLASS, [None] * 6, pa.string()),
    Task.REGRESSION: view(Task.REGRESSION, [None] * 6, pa.float64()),
}


@pytest.mark.parametrize(
    ("task", "facts"),
    [(Task.BINARY, {"Positive labels": "60 %"}),
     (Task.MULTICLASS, {"Labels on_time": "60 %", "Labels gone": "20 %", "Labels late": "20 %"}),
     (Task.REGRESSION, {"Median label": "4", "Labels, four of five": "1 to 9"})],
)  # fmt: skip
def test_figures_suit_the_task(task: Task, facts: dict[str, str]) -> None:
    assert VIEWS[task].facts() == facts


@pytest.mark.parametrize("views", [VIEWS, UNKNOWN], ids=["known", "unknown"])
@pytest.mark.parametrize("task", list(Task))
def test_pictures_can_be_drawn(views: dict[Task, LabelView], task: Task) -> None:
    assert all("<svg" in charts.to_svg(chart) for chart in views[task].pictures().values())


@pytest.mark.parametrize("task", list(Task))
def test_labels_that_are_all_unknown_have_no_figures_and_no_findings(task: Task) -> None:
    assert (UNKNOWN[task].facts(), UNKNOWN[task].findings()) == ({}, [])


@pytest.mark.parametrize("task", list(Task))
def test_labels_that_stay_as_they_are_are_no_finding(task: Task) -> None:
    assert VIEWS[task].findings() == []


@pytest.mark.parametrize(
    ("moved", "said"),
    [(view(Task.BINARY, [0] * 20 + [0, 1] * 10 + [1] * 20, pa.int8()), "positive labels has moved within the window"),
     (view(Task.MULTICLASS, ["a"] * 30 + ["b"] * 30), "labels 'a' has moved within the window, from 100 % to 0 %"),
     (view(Task.REGRESSION, [1.0] * 30 + [3.0] * 30), "mean label has moved within the window, from 1 to 3")],
)  # fmt: skip
def test_labels_that_move_are_a_finding(moved: LabelView, said: str) -> None:
    assert said in moved.findings()[0]


def test_association_of_a_number_is_pearsons() -> None:
    regression = VIEWS[Task.REGRESSION]
    values = np.where(regression.known, 1.0, np.nan)
    values[regression.known] = -2 * regression.y.astype(float)
    assert regression.association(values) == pytest.approx(-1.0)


def test_association_of_several_classes_is_the_correlation_ratio() -> None:
    classes = VIEWS[Task.MULTICLASS]
    values = np.zeros(len(classes.known))
    values[classes.known] = np.where(classes.y.astype(str) == "late", 5.0, 1.0)
    assert classes.association(values) == pytest.approx(1.0)


@pytest.mark.parametrize("task", list(Task))
def test_association_of_a_constant_is_not_defined(task: Task) -> None:
    assert math.isnan(VIEWS[task].association(np.ones(len(VIEWS[task].known))))
