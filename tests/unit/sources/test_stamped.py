"""A source of rows without a time adds the start of the partition, and refuses queries that ask for an interval."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pyarrow as pa
import pytest

from tidemill.errors import SpecError
from tidemill.sources.stamped import StampedSource
from tidemill.warehouse.reading import Column

START = datetime(2026, 11, 30, tzinfo=UTC)
WINDOW = {"start": START, "end": START + timedelta(days=1), "cutoff": START}


class Rows:
    """A source of two rows with the given columns."""

    cursor, inputs = None, {}

    def __init__(self, *names: str) -> None:
        self.names = names

    def columns(self, file, window):
        return tuple(Column.of(name, "bigint") for name in self.names)

    @contextmanager
    def batches(self, file, window, columns, rounded=None) -> Iterator[Iterator[pa.RecordBatch]]:
        assert [column.name for column in columns] == list(self.names)
        yield iter([pa.RecordBatch.from_pydict({name: [1, 2] for name in self.names})])


def stamped(*names: str, query: str = "SELECT") -> StampedSource:
    files = SimpleNamespace(features="f.sql", labels="l.sql")
    spec = SimpleNamespace(model="m", source=files)
    return StampedSource(source=Rows(*names), workspace=SimpleNamespace(query=lambda file: query), spec=spec)


@pytest.mark.parametrize(("file", "added"), [("f.sql", "partition_start"), ("l.sql", "observed_at")])
def test_features_get_the_partitions_start_and_labels_the_time_at_which_they_are_known(file: str, added: str) -> None:
    source = stamped("k")
    columns = source.columns(file, WINDOW)
    with source.batches(file, WINDOW, columns) as batches:
        (batch,) = batches
    assert batch.to_pydict() == {"k": [1, 2], added: [START, START]}
    assert [column.name for column in columns] == ["k", added]


def test_labels_with_a_time_of_their_own_keep_it() -> None:
    assert [column.name for column in stamped("k", "observed_at").columns("l.sql", WINDOW)] == ["k", "observed_at"]


@pytest.mark.parametrize(
    ("query", "names", "said"),
    [("SELECT WHERE at >= :start", ["k"], ":start"), ("SELECT", ["partition_start"], "'partition_start'")],
)
def test_an_interval_and_a_column_of_the_stamps_name_are_refused(query: str, names: list[str], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        stamped(*names, query=query).columns("f.sql", WINDOW)
