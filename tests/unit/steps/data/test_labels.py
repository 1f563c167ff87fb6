import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import ContractBroken, LeakageFound, NotTrainable, SpecError
from tidemill.spec import ModelSpec
from tidemill.steps.data.extract import refuse_late_labels
from tidemill.steps.data.labels import count_labels, labelled, near_matches

ROWS = pa.table({"id": ["a", "b", "c"]})


def spec(task: str, **label: Any) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "model": "m",
            "task": task,
            "entity_key": "id",
            "event_time": "at",
            "source": {"features": "a.sql", "labels": "b.sql"},
            "label": {"column": "y", **label},
        }
    )


def labels(values: list[Any], kind: pa.DataType | None = None) -> pa.Table:
    return pa.table({"id": ["c", "a"], "y": pa.array(values, kind)})


@pytest.mark.parametrize(
    ("values", "positive", "expected"),
    [([True, False], True, [0, None, 1]), ([2, 1], 1, [1, None, 0]), (["late", "on_time"], "late", [0, None, 1])],
)
def test_binary_labels_are_1_for_the_positive_class(values: list[Any], positive: Any, expected: list[Any]) -> None:
    assert labelled(ROWS, labels(values), spec("binary", positive=positive)).to_pylist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [(["late", "on_time"], ["on_time", None, "late"]), ([3, 1], ["1", None, "3"]), ([True, False], ["false", None, "true"]),
     (["late", None], [None, None, "late"])],
)  # fmt: skip
def test_classes_are_texts(values: list[Any], expected: list[Any]) -> None:
    assert labelled(ROWS, labels(values), spec("multiclass")).to_pylist() == expected


def test_classes_that_are_floats_are_refused() -> None:
    with pytest.raises(SpecError, match="of type double"):
        labelled(ROWS, labels([1.0, 2.0]), spec("multiclass"))


@pytest.mark.parametrize("values", [[2, 1], [2.0, 1.0]])
def test_a_regression_takes_numbers(values: list[Any]) -> None:
    assert labelled(ROWS, labels(values), spec("regression")).to_pylist() == [1.0, None, 2.0]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_regression_refuses_what_is_not_a_number(odd: float) -> None:
    with pytest.raises(ContractBroken, match="1 label"):
        labelled(ROWS, labels([odd, 1.0]), spec("regression"))


@pytest.mark.parametrize(
    ("values", "positive", "said"),
    [
        (["yes", "Yes"], "yes", "1 label(s) 'y' of 'm' are another spelling of 'yes', such as 'Yes'"),
        (["no", "yes "], "yes", "another spelling of 'yes', such as 'yes '"),
        ([math.inf, 1.0], 1, "1 label(s) 'y' of 'm' are NaN or infinite"),
        (["yes", " "], "yes", "1 label(s) 'y' of 'm' are blank"),
    ],
)
def test_a_label_that_is_nearly_the_positive_one_is_refused(values: list[Any], positive: Any, said: str) -> None:
    with pytest.raises(ContractBroken) as caught:
        labelled(ROWS, labels(values), spec("binary", positive=positive))
    assert said in str(caught.value)


def test_classes_that_differ_only_in_blanks_are_refused() -> None:
    with pytest.raises(ContractBroken, match="another spelling of 'late', such as ' late'"):
        labelled(ROWS, labels(["late", " late"]), spec("multiclass"))
    assert labelled(ROWS, labels(["a", "A"]), spec("multiclass")).to_pylist() == ["A", None, "a"]


@pytest.mark.parametrize(("odd", "said"), [("", "are blank"), ("x" * 201, "have more than 200 characters")])
def test_a_class_without_a_readable_name_is_refused(odd: str, said: str) -> None:
    with pytest.raises(ContractBroken, match=f"1 label.* {said}"):
        labelled(ROWS, labels(["late", odd]), spec("multiclass"))


def test_a_regression_refuses_whole_numbers_that_lose_digits() -> None:
    with pytest.raises(ContractBroken, match=r"beyond 2\*\*53"):
        labelled(ROWS, labels([2**60 + 1, 1]), spec("regression"))


def test_a_missing_number_is_an_unknown_label() -> None:
    assert labelled(ROWS, labels([None, 1.0]), spec("regression")).to_pylist() == [1.0, None, None]


@pytest.mark.parametrize("values", [["1", "2"], [True, False]])
def test_a_regression_refuses_labels_that_are_not_numbers(values: list[Any]) -> None:
    with pytest.raises(SpecError, match="a regression predicts a number"):
        labelled(ROWS, labels(values), spec("regression"))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_an_entity_with_two_labels_is_refused_whatever_the_task(task: str) -> None:
    with pytest.raises(NotTrainable, match=r"1 key\(s\) twice"):
        labelled(ROWS, pa.table({"id": ["a", "a"], "y": np.ones(2, dtype=np.int64)}), spec(task))


@pytest.mark.parametrize(
    ("values", "positive", "expected"),
    [
        ([1, 0], True, [0, None, 1]),
        ([2**60 + 1, 2**60], 2**60 + 1, [0, None, 1]),
        ([1, 0], "1", [0, None, 1]),
        ([True, False], "true", [0, None, 1]),
        ([1.0, math.nan], 1, [None, None, 1]),
    ],
)
def test_a_positive_value_takes_the_type_of_the_label(values: list[Any], positive: Any, expected: list[Any]) -> None:
    assert labelled(ROWS, labels(values), spec("binary", positive=positive)).to_pylist() == expected


@pytest.mark.parametrize(
    ("values", "positive"),
    [(["1", "01"], 1), (["true", "no"], True), ([True, False], 2), ([1, 0], "late"), ([0.5, 1.0], 2**60 + 1)],
)
def test_a_positive_value_that_sql_would_not_compare_is_refused(values: list[Any], positive: Any) -> None:
    with pytest.raises(SpecError, match=r"label\.positive of 'm' is"):
        labelled(ROWS, labels(values), spec("binary", positive=positive))


def test_a_label_without_a_key_belongs_to_nobody() -> None:
    table = pa.table({"id": ["a", None, None], "y": [True, True, False]})
    assert labelled(ROWS, table, spec("binary")).to_pylist() == [1, None, None]


def at(*hours: int) -> pa.Array:
    return pa.array([hour * 3_600_000_000 for hour in hours], pa.timestamp("us", "UTC"))


PANEL = pa.table({"id": ["a", "b", "a", "b"], "at": at(0, 0, 24, 24)})
"""Two entities on two days."""


def test_labels_with_a_time_belong_to_the_row_of_that_time() -> None:
    known = pa.table({"id": ["b", "a", "a"], "at": at(24, 24, 48), "y": [True, False, True]})
    assert labelled(PANEL, known, spec("binary")).to_pylist() == [None, None, 0, 1]
    assert count_labels(PANEL, known, spec("binary")) == (3, 1)


def test_times_are_compared_as_instants_to_the_microsecond() -> None:
    known = pa.table({"id": ["a", "b"], "at": at(0, 0), "y": [True, True]})
    in_seconds = known.set_column(1, "at", known["at"].cast(pa.timestamp("s", "Europe/Berlin")))
    assert labelled(PANEL, in_seconds, spec("binary")).to_pylist() == [1, 1, None, None]
    later = known.set_column(1, "at", pc.add(known["at"], pa.scalar(1, pa.duration("us"))))
    assert labelled(PANEL, later, spec("binary")).to_pylist() == [None] * 4


@given(st.data())
def test_the_join_by_time_equals_the_join_by_a_composite_key(data: st.DataObject) -> None:
    row = st.tuples(st.sampled_from(["a", "b", "a\n1", "7", ""]), st.integers(0, 5))
    rows, known = (data.draw(st.lists(row, unique=True, max_size=20)) for _ in range(2))
    values = [data.draw(st.booleans()) for _ in known]
    table = pa.table({"id": pa.array([k for k, _ in rows], pa.string()), "at": at(*(h for _, h in rows))})
    given_labels = pa.table(
        {
            "id": pa.array([k for k, _ in known], pa.string()),
            "at": at(*(h for _, h in known)),
            "y": pa.array(values, pa.bool_()),
        }
    )
    by_hand = dict(zip(known, map(int, values), strict=True))
    assert labelled(table, given_labels, spec("binary")).to_pylist() == [by_hand.get(pair) for pair in rows]
    assert count_labels(table, given_labels, spec("binary")) == (len(known), len(set(known) - set(rows)))


def test_a_label_without_a_time_belongs_to_nobody_where_labels_have_times() -> None:
    known = pa.table({"id": ["a", "a"], "at": pa.array([None, 0], pa.timestamp("us", "UTC")), "y": [False, True]})
    assert labelled(PANEL, known, spec("binary")).to_pylist() == [1, None, None, None]


def test_two_labels_of_one_time_are_refused_with_both() -> None:
    known = pa.table({"id": ["a", "a"], "at": at(24, 24), "y": [True, True]})
    with pytest.raises(
        NotTrainable, match=r"1 pair\(s\) of key and time twice, such as 'a' at 1970-01-02 00:00:00 UTC"
    ):
        labelled(PANEL, known, spec("binary"))


def test_a_key_written_otherwise_is_near_only_at_its_own_time() -> None:
    rows = pa.table({"id": ["7", "8", "7"], "at": at(0, 0, 24)})
    known = pa.table({"id": ["007", "8"], "at": at(0, 0), "y": [True, True]})
    assert near_matches(rows, known, spec("binary")).to_pylist() == [True, False, False]


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (timedelta(seconds=1), "that were observed after the cutoff, 2024-03-01 00:00 UTC, such as that of 'c'"),
        (None, "that have no observed_at, such as that of 'c'"),
    ],
)
def test_a_label_that_was_not_surely_known_at_the_cutoff_is_refused(after: timedelta | None, said: str) -> None:
    cutoff = datetime(2024, 3, 1, tzinfo=UTC)
    times = [None if after is None else cutoff + after, cutoff]
    observed = labels([True, True]).append_column("observed_at", pa.array(times, pa.timestamp("us", "UTC")))
    with pytest.raises(LeakageFound, match=said):
        refuse_late_labels(observed, spec("binary"), cutoff)


def test_a_row_without_a_label_needs_no_time() -> None:
    observed = labels([None, True]).append_column(
        "observed_at", pa.array([None, datetime(2024, 2, 1, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    )
    refuse_late_labels(observed, spec("binary"), datetime(2024, 3, 1, tzinfo=UTC))
