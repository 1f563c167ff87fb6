"""What is set aside, checked against plain Python that judges one row after the other."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.checks import in_words, why_unjudged
from tidemill.errors import ContractBroken, SpecError
from tidemill.spec import Expectation, ModelSpec
from tidemill.steps.data.quarantine import SetAside, quarantine_results, without_broken
from tidemill.storage.layout import QUARANTINE
from tidemill.storage.tables import read_table

SCHEMA = pa.schema(
    {"id": pa.string(), "shop": pa.string(), "kg": pa.float64(), "limit_kg": pa.float64(), "n": pa.int64()}
)
Row = dict[str, Any]
Breaks = Callable[[Row, Sequence[Row]], bool]


def missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def too_heavy(row: Row, rows: Sequence[Row]) -> bool:
    if missing(row["kg"]) and missing(row["limit_kg"]):
        return False
    return missing(row["kg"]) or missing(row["limit_kg"]) or not row["limit_kg"] > row["kg"]


CASES: dict[str, tuple[str, dict[str, Any], Breaks]] = {
    "set": (
        "expect_column_values_to_be_in_set", {"column": "shop", "value_set": ["a", "b"]},
        lambda row, rows: row["shop"] not in (None, "a", "b"),
    ),
    "range": (
        "expect_column_values_to_be_between", {"column": "kg", "min_value": 0, "max_value": 2},
        lambda row, rows: not missing(row["kg"]) and not 0 <= row["kg"] <= 2,
    ),
    "nulls": ("expect_column_values_to_not_be_null", {"column": "kg"}, lambda row, rows: missing(row["kg"])),
    "no key": ("expect_column_values_to_not_be_null", {"column": "id"}, lambda row, rows: row["id"] is None),
    "double key": (
        "expect_column_values_to_be_unique", {"column": "id"},
        lambda row, rows: row["id"] is not None and sum(other["id"] == row["id"] for other in rows) > 1,
    ),
    "condition": (
        "expect_column_values_to_be_between", {"column": "n", "max_value": 1, "row_condition": "shop == 'a'"},
        lambda row, rows: row["shop"] == "a" and row["n"] is not None and row["n"] > 1,
    ),
    "pair": (
        "expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "limit_kg", "column_B": "kg"}, too_heavy,
    ),
}  # fmt: skip
"""Expectations, each with the judgement of one row."""

KG = st.none() | st.sampled_from([-1.0, 0.0, 1.5, 2.0, 3.0, math.nan])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.none() | st.sampled_from("klmnopqrst"), "shop": st.sampled_from([None, "a", "b", "c"]), "kg": KG,
            "limit_kg": KG, "n": st.none() | st.integers(0, 3),
        }
    ),
    max_size=25,
)  # fmt: skip
NAMES = st.lists(st.sampled_from(sorted(CASES)), max_size=4, unique=True)


def spec_of(names: Sequence[str], share: float = 0.999999, rows: int | None = None) -> ModelSpec:
    contract = [{name: arguments | {"severity": "quarantine"}} for name, arguments, _ in map(CASES.__getitem__, names)]
    return ModelSpec.model_validate(
        {
            "model": "m", "task": "binary", "entity_key": "id", "event_time": "at", "timezone": "UTC",
            "source": {"features": "a.sql", "labels": "b.sql"}, "label": {"column": "y"}, "contract": contract,
            "predict": {"quarantine": {"share": share, "rows": rows}},
        }
    )  # fmt: skip


def batches_of(rows: Sequence[Row], n_rows: int) -> list[pa.RecordBatch]:
    return pa.Table.from_pylist(list(rows), schema=SCHEMA).to_batches(max_chunksize=n_rows)


def as_text(row: Row) -> str:
    return str([None if missing(row[name]) else row[name] for name in SCHEMA.names])


@given(st.lists(ROWS, max_size=3), NAMES, st.integers(1, 30))
@example([[]], ["set", "pair", "condition", "double key"], 1)  # columns without chunks
def test_rows_in_are_rows_kept_and_rows_set_aside_each_for_what_it_breaks(
    partitions: list[list[Row]], names: list[str], n_rows: int
) -> None:
    spec = spec_of(names)
    with TemporaryDirectory() as folder:
        set_aside = SetAside(spec=spec, folder=Path(folder), purpose="train")
        kept = [
            [row for batch in set_aside.kept(batches_of(rows, n_rows), SCHEMA, str(key)) for row in batch.to_pylist()]
            for key, rows in enumerate(partitions)
        ]
        if set_aside.n_set_aside < set_aside.n_rows:
            set_aside.close()
        elif set_aside.n_rows:
            with pytest.raises(ContractBroken):
                set_aside.close()
        path = Path(folder) / QUARANTINE
        records = read_table(path).to_pylist() if path.exists() else []
        results = quarantine_results(spec, Path(folder))
    labels = {
        name: (in_words(item), item.arguments.get("column")) for name, item in zip(names, spec.contract, strict=True)
    }
    broken = {
        (str(key), place, *labels[name]): name
        for key, rows in enumerate(partitions)
        for place, row in enumerate(rows)
        for name in names
        if CASES[name][2](row, rows)
    }
    found = {(item["__partition"], item["row_number"], item["expectation"], item["column_name"]) for item in records}
    assert found == set(broken)
    lost = {(key, place) for key, place, *_ in broken}
    left = [
        [row for place, row in enumerate(rows) if (str(key), place) not in lost] for key, rows in enumerate(partitions)
    ]
    assert [[as_text(row) for row in rows] for rows in kept] == [[as_text(row) for row in rows] for rows in left]
    assert set_aside.n_set_aside == (len(lost) if names else 0)
    assert set_aside.n_rows == (sum(map(len, partitions)) if names else 0)
    per_name = Counter(broken.values())
    assert [item.n_unexpected for item in results] == [per_name[name] for name in names]
    for key, rows in enumerate(partitions):
        whole = without_broken(spec, pa.Table.from_pylist(rows, schema=SCHEMA))
        assert whole.num_rows == len(left[key])


def test_a_record_names_the_row_and_shows_its_value_shortened() -> None:
    rows = [{"id": "k", "shop": "x" * 300, "kg": 2.5, "limit_kg": None, "n": 1}]
    with TemporaryDirectory() as folder:
        set_aside = SetAside(spec=spec_of(["set", "pair"]), folder=Path(folder), purpose="score")
        assert [batch.num_rows for batch in set_aside.kept(batches_of(rows, 1), SCHEMA, "day")] == [0]
        with pytest.raises(ContractBroken, match="1 of 1 rows"):
            set_aside.close()
        first, second = read_table(Path(folder) / QUARANTINE).to_pylist()
        assert sorted(path.name for path in Path(folder).iterdir()) == [QUARANTINE]
    assert (first["entity_key"], first["column_name"], first["value"]) == ("k", "shop", "x" * 100)
    assert (second["column_name"], second["value"]) == (None, "NULL, 2.5")


@pytest.mark.parametrize(("rows", "share", "allowed"), [(None, 0.5, True), (None, 0.49, False), (1, 0.5, False)])
def test_limits_are_what_may_be_reached(rows: int | None, share: float, allowed: bool) -> None:
    bad = {"id": "k", "shop": "c", "kg": 1.0, "limit_kg": 1.0, "n": 1}
    with TemporaryDirectory() as folder:
        set_aside = SetAside(spec=spec_of(["set"], share, rows), folder=Path(folder), purpose="score")
        assert list(set_aside.kept(batches_of([bad, bad, bad | {"shop": "a"}, bad | {"shop": "b"}], 3), SCHEMA, "day"))
        if allowed:
            set_aside.close()
            return
        with pytest.raises(ContractBroken, match=f"allows {1:,}" if rows or share < 0.5 else ""):
            set_aside.close()


def test_a_training_window_may_have_more_rows_set_aside_than_one_partition() -> None:
    bad = {"id": "k", "shop": "c", "kg": 1.0, "limit_kg": 1.0, "n": 1}
    with TemporaryDirectory() as folder:
        set_aside = SetAside(spec=spec_of(["set"], 0.5, rows=1), folder=Path(folder), purpose="train")
        for day in "ab":
            assert list(set_aside.kept(batches_of([bad, bad | {"shop": "a"}], 3), SCHEMA, day))
        set_aside.close()
        assert set_aside.n_set_aside == 2


@pytest.mark.parametrize(
    "name",
    ["expect_column_mean_to_be_between", "expect_column_values_to_be_increasing", "expect_column_to_exist"],
)
def test_an_expectation_that_is_not_about_single_rows_cannot_set_rows_aside(name: str) -> None:
    arguments = {"column": "n"} | ({"min_value": 0} if "mean" in name else {})
    asked = Expectation(name=name, arguments=arguments, severity="quarantine")
    assert "not about single rows" in (why_unjudged(asked, SCHEMA) or "")
    spec = spec_of([]).model_copy(update={"contract": (asked,)})
    with TemporaryDirectory() as folder, pytest.raises(SpecError, match="not about single rows"):
        list(
            SetAside(spec=spec, folder=Path(folder), purpose="score").kept(
                batches_of([{"id": "k", "n": 1}], 1), SCHEMA, "day"
            )
        )


def test_mostly_is_refused_beside_quarantine() -> None:
    with pytest.raises(ValueError, match=r"predict\.quarantine limits"):
        Expectation(
            name="expect_column_values_to_not_be_null", arguments={"column": "n", "mostly": 0.9}, severity="quarantine"
        )
