"""Rows without a score are told apart, whatever the model answers."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from tidemill.errors import IncompletePublish
from tidemill.records import ReleaseRef, SnapshotRef
from tidemill.steps.predict.undefined import UndefinedRows, is_defined, with_undefined

DAY = datetime(2024, 3, 1, tzinfo=UTC)
RELEASE = ReleaseRef(
    model="m", release_id=1, bundle_digest="0" * 64, bundle_uri="", snapshot_digest="0" * 64, known_until=DAY,
    partition="2024-03-01", simulated=False,
)  # fmt: skip
SNAPSHOT = SnapshotRef(
    model="m", purpose="score", partition="2024-03-01", digest="0" * 64, uri="", n_rows=5, size_bytes=0, start=DAY, end=DAY,
    cutoff=DAY, query_digest="", n_set_aside=1,
)  # fmt: skip


def answered() -> pa.RecordBatch:
    """Return three rows of a model of several classes, of which the last two have no score."""
    json = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}']))
    defined = pa.record_batch(
        {"entity_key": ["a"], "event_time": [DAY], "score": [1.0], "predicted": ["a"], "probabilities": json}
    )
    return with_undefined(defined, pa.record_batch({"entity_key": ["b", "c"], "event_time": [DAY, DAY]}))


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.5, np.nan, np.inf, -np.inf], [True, False, False, False]),
        ([[0.5, 0.5], [np.nan, 1.0], [0.0, np.inf]], [True, False, False]),
        (np.empty((0, 3)), []),
    ],
)
def test_a_score_is_defined_if_every_number_of_it_is_finite(scores: object, expected: list[bool]) -> None:
    assert is_defined(np.asarray(scores)).tolist() == expected


def test_rows_without_a_score_are_recorded_and_the_others_go_on() -> None:
    rows = UndefinedRows(release=RELEASE, snapshot=SNAPSHOT, limit=3)
    left = [key for batch in rows.left_out([answered()]) for key in batch["entity_key"].to_pylist()]
    records = [item for batch in rows.records() for item in batch.to_pylist()]
    assert (left, [item["entity_key"] for item in records]) == (["a"], ["b", "c"])
    assert {(item["row_number"], item["expectation"], item["column_name"], item["value"]) for item in records} == {
        (None, "score_is_a_number", "score", None)
    }


def test_rows_beyond_the_limit_are_refused_and_those_of_the_contract_count() -> None:
    rows = UndefinedRows(release=RELEASE, snapshot=SNAPSHOT, limit=2)
    with pytest.raises(
        IncompletePublish, match=r"for 2 or more of 5 rows, such as \['b', 'c'\].* aside 1, .* allows 2"
    ):
        list(rows.left_out([answered()]))
