"""Rows of two snapshots are compared by key and value, in any order; checked against a comparison in pandas."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.records import RowChanges
from tidemill.steps.data.row_changes import compare_snapshots
from tidemill.storage.tables import rows_writer

SCHEMA = pa.schema({"id": pa.int64(), "n": pa.int64(), "x": pa.float64(), "flag": pa.bool_(), "text": pa.string()})
values = st.tuples(
    st.one_of(st.none(), st.integers(0, 2)),
    st.one_of(st.none(), st.floats(0, 1)),
    st.one_of(st.none(), st.booleans()),
    st.one_of(st.none(), st.sampled_from(["", "a", "b"])),
)
snapshots = st.dictionaries(st.integers(0, 8), values, max_size=8)


def write(path: Path, rows: dict[int, tuple[object, ...]]) -> Path:
    table = pa.Table.from_pylist(
        [dict(zip(SCHEMA.names, (key, *row), strict=True)) for key, row in rows.items()], schema=SCHEMA
    )
    with rows_writer(path, SCHEMA) as writer:
        writer.write_table(table)
    return path


@given(before=snapshots, after=snapshots)
def test_every_difference_is_counted_once(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[int, tuple[object, ...]],
    after: dict[int, tuple[object, ...]],
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    found = compare_snapshots(write(folder / "before", before), write(folder / "after", after), "id")
    both = before.keys() & after.keys()
    assert found == RowChanges(
        n_added=len(after.keys() - both),
        n_removed=len(before.keys() - both),
        n_changed=sum(before[key] != after[key] for key in both),
    )


def test_the_order_of_rows_and_the_batches_they_come_in_do_not_count(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    keys = rng.permutation(40_000)  # three batches; a NULL is only in one of them
    rows = {int(key): (None if key == 7 else int(key), float(key), key % 2 == 0, str(key)) for key in keys}
    again = {key: rows[key] for key in sorted(rows)}
    assert not compare_snapshots(write(tmp_path / "before", rows), write(tmp_path / "after", again), "id").any


def test_a_key_that_appears_twice_counts_as_added(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    row = pa.Table.from_pylist([{"id": 1, "n": 2}], schema=SCHEMA)
    for path, table in ((before, row), (after, pa.concat_tables([row, row]))):
        with rows_writer(path, SCHEMA) as writer:
            writer.write_table(table)
    assert compare_snapshots(before, after, "id") == RowChanges(n_added=1, n_removed=0, n_changed=0)
