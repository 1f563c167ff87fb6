"""Set rows aside while a snapshot is written, so that every later step sees only the rows that are kept."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from tidemill.checks import (
    RECORD,
    compares_rows,
    find_broken,
    kept_rows,
    missing_columns,
    needed_columns,
    quarantine_result,
    quarantining,
)
from tidemill.errors import ContractBroken
from tidemill.records import CheckResult
from tidemill.spec import ModelSpec
from tidemill.storage.layout import PARTITION, QUARANTINE
from tidemill.storage.tables import read_table, table_writer

__all__ = ["SetAside", "quarantine_results", "without_broken"]

_STORED = RECORD.append(pa.field(PARTITION, pa.string()))


@dataclass(slots=True, kw_only=True)
class SetAside:
    """The rows of a snapshot that break an expectation of severity ``quarantine``."""

    spec: ModelSpec
    """Model with the contract."""
    folder: Path
    purpose: str
    """``score`` or ``train``; of a training window, only the share is limited."""
    n_rows: int = 0
    """Rows that the source has returned so far."""
    n_set_aside: int = 0
    """Rows set aside so far."""
    _writer: Any = None

    def kept(self, batches: Iterable[pa.RecordBatch], schema: pa.Schema, partition: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a partition that are kept, and record the others.

        The rows wait on disk until all are judged, since some expectations compare rows.
        """
        if not quarantining(self.spec):
            yield from batches
            return
        path, n_rows = self.folder / "waiting.arrow", 0
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as waiting:
            for batch in batches:
                waiting.write_batch(batch)
                n_rows += batch.num_rows
        broken = _broken(self.spec, schema.names, partial(_pieces, path))
        self._record(broken, partition)
        kept = kept_rows(n_rows, broken)
        self.n_rows += n_rows
        self.n_set_aside += int((~kept).sum())
        with pa.OSFile(str(path)) as source:
            stored = pa.ipc.open_file(source)
            start = 0
            for batch in map(stored.get_batch, range(stored.num_record_batches)):
                mask, start = kept[start : start + batch.num_rows], start + batch.num_rows
                yield batch if mask.all() else batch.filter(pa.array(mask))
        path.unlink()

    def close(self) -> None:
        """Complete the file of records, and refuse a snapshot with too many.

        Raises
        ------
        ContractBroken
            If the spec allows fewer rows to be set aside; with the number of rows per expectation.
        """
        if self._writer is None:
            return
        self._writer.close()
        limits = self.spec.predict.quarantine
        if self.purpose == "train":
            limits = limits.model_copy(update={"rows": None})
        limit = limits.limit(self.n_rows)
        if self.n_set_aside > limit:
            found = [item for item in quarantine_results(self.spec, self.folder) if not item.success]
            listed = "\n".join(f"  {item.column or 'table'}: {item.expectation}: {item.observed}" for item in found)
            raise ContractBroken(
                f"{self.n_set_aside:,} of {self.n_rows:,} rows of {self.spec.model!r} break expectations of severity "
                f"quarantine, and predict.quarantine allows {limit:,}:\n{listed}",
                "Correct the source or the contract, or raise predict.quarantine.",
            )

    def _record(self, broken: list[pa.Table], partition: str) -> None:
        for records in broken:
            if records.num_rows:
                self._writer = self._writer or table_writer(self.folder / QUARANTINE, _STORED)
                keys = pa.repeat(pa.scalar(partition), records.num_rows)
                self._writer.write_table(records.append_column(_STORED.field(PARTITION), keys))


def quarantine_results(spec: ModelSpec, folder: Path) -> tuple[CheckResult, ...]:
    """Return the results of the expectations that set rows aside, from a snapshot's records."""
    path = folder / QUARANTINE
    records = read_table(path) if path.exists() else RECORD.empty_table()
    return tuple(quarantine_result(expectation, records) for expectation in quarantining(spec))


def without_broken(spec: ModelSpec, rows: pa.Table) -> pa.Table:
    """Return the rows of one partition that break no expectation of severity ``quarantine``."""
    broken = _broken(spec, rows.column_names, lambda names: [rows.select(names)])
    return rows.filter(pa.array(kept_rows(rows.num_rows, broken)))


def _broken(spec: ModelSpec, names: Sequence[str], pieces: Callable[[list[str]], Iterable[pa.Table]]) -> list[pa.Table]:
    """Return the records of a partition per expectation; all rows are in memory only if the expectation compares them."""
    key, found = spec.entity_key, []
    for expectation in quarantining(spec):
        if missing_columns(expectation, names):  # only in monitoring: extraction requires them
            continue
        tables = pieces(list(dict.fromkeys([key, *needed_columns(expectation, names)])))
        records, first = [RECORD.empty_table()], 0
        for rows in _together(tables) if compares_rows(expectation) else tables:
            records.append(find_broken(expectation, rows, key, first))
            first += rows.num_rows
        found.append(pa.concat_tables(records))
    return found


def _together(pieces: Iterable[pa.Table]) -> list[pa.Table]:
    tables = list(pieces)
    return [pa.concat_tables(tables)] if tables else []


def _pieces(path: Path, names: list[str]) -> Iterator[pa.Table]:
    """Yield some columns of the rows that wait on disk."""
    with pa.OSFile(str(path)) as source:
        schema = pa.ipc.open_file(source).schema
        options = pa.ipc.IpcReadOptions(included_fields=[schema.get_field_index(name) for name in names])
        waiting = pa.ipc.open_file(source, options=options)
        for number in range(waiting.num_record_batches):
            yield pa.Table.from_batches([waiting.get_batch(number)])
