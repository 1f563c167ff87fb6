"""Prepare: labels joined, and the window cut by time into train, validation and test; never at random.

Rows whose partition has not matured, or whose label is unknown, are left out and counted.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.errors import NotTrainable
from tidemill.intervals import Partition
from tidemill.records import SnapshotRef, SplitRef
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec
from tidemill.steps.data.features import piece_rows, read_some
from tidemill.steps.data.labels import labelled
from tidemill.steps.train.leaks import refuse_leaks
from tidemill.storage.layout import FEATURES, LABELS, PARTITION, TARGET
from tidemill.storage.tables import read_batches, read_schema, read_table, table_writer

__all__ = ["SETS", "SplitPlan", "cut", "plan_split", "prepare"]

SETS = ("train", "validation", "test")
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPlan:
    """Where the window is cut; all instants are starts of partitions."""

    train_start: datetime
    """First instant of the train set."""
    validation_start: datetime
    """First instant of the validation set."""
    test_start: datetime
    """First instant of the test set."""
    test_end: datetime
    """First instant after the test set; later partitions have not matured."""

    def set_of(self, start: datetime) -> str | None:
        """Return which set a partition belongs to, by its start; None if it has not matured."""
        if start >= self.test_end:
            return None
        return "test" if start >= self.test_start else "validation" if start >= self.validation_start else "train"


def plan_split(spec: ModelSpec, partitions: tuple[Partition, ...], cutoff: datetime) -> SplitPlan:
    """Decide where to cut a window.

    Parameters
    ----------
    spec : ModelSpec
        Lengths of the sets, and the time that labels take.
    partitions : tuple of Partition
        The window, oldest first.
    cutoff : datetime
        Instant as of which labels are known.

    Raises
    ------
    NotTrainable
        If the matured part of the window is no longer than validation and test together, of which each has at least one
        partition, be it longer than the spec says.
    """
    mature = [item for item in partitions if item.interval.end + spec.label.matures_after <= cutoff]
    if mature:
        end = mature[-1].interval.end
        test_start = _first_start(mature, end - spec.train.test)
        earlier = [item for item in mature if item.interval.start < test_start]
        validation_start = _first_start(earlier or mature, test_start - spec.train.validation)
        if mature[0].interval.start < validation_start < test_start:
            return SplitPlan(
                train_start=mature[0].interval.start,
                validation_start=validation_start,
                test_start=test_start,
                test_end=end,
            )
    raise NotTrainable(
        f"Only {len(mature)} partition(s) of {spec.model!r} have matured by {cutoff:%Y-%m-%d %H:%M %Z}; "
        f"validation ({spec.train.validation / DAY:g} days) and test ({spec.train.test / DAY:g} days) leave nothing to "
        "train on.",
        "Train as of a later partition, lengthen train.window, or shorten train.validation and train.test.",
    )


@declarations.prepare
def prepare(job: Job, snapshot: SnapshotRef) -> SplitRef:
    """Cut a training snapshot into three labelled sets.

    Raises
    ------
    NotTrainable
        If the window is too short.
    LeakageFound
        If there is any sign that the training knows what only the future knows.
    """
    return cut(job, snapshot, look=partial(refuse_leaks, job))


def cut(
    job: Job, snapshot: SnapshotRef, look: Callable[[pa.Table, dict[str, pa.Table]], None] | None = None
) -> SplitRef:
    """Cut a training snapshot into three labelled sets, and look for nothing unless asked to.

    Parameters
    ----------
    job : Job
        Model and storage; the ledger is not needed.
    snapshot : SnapshotRef
        What to cut.
    look : callable, optional
        Given all rows and the three sets before they are stored; may refuse them.

    Raises
    ------
    NotTrainable
        If the window is too short, or no row of the validation set has a label.
    """
    folder = job.store.folder(snapshot.uri, snapshot.digest)
    marks = _Marks.of(job.spec, folder, snapshot.cutoff)
    if not marks.count("validation"):
        raise NotTrainable(
            f"No row of {job.spec.model!r} from {marks.plan.validation_start:%Y-%m-%d %H:%M} to "
            f"{marks.plan.test_start:%Y-%m-%d %H:%M %Z}, the validation set, has a label.",
            f"See whether {job.spec.source.labels} gives any by {snapshot.cutoff:%Y-%m-%d %H:%M %Z}, and whether "
            "label.matures_after is long enough.",
        )
    way = _in_memory if job.spec.train.engine == "local" else _in_pieces
    fill = way(folder / FEATURES, marks, look or (lambda rows, sets: None))
    stored = job.store.write(job.spec.model, "splits", fill)
    plan = marks.plan
    return SplitRef(
        snapshot_digest=snapshot.digest,
        digest=stored.digest,
        uri=stored.uri,
        n_train=marks.count("train"),
        n_validation=marks.count("validation"),
        n_test=marks.count("test"),
        n_unlabelled=marks.n_unlabelled,
        n_immature=marks.n_immature,
        train_start=plan.train_start,
        validation_start=plan.validation_start,
        test_start=plan.test_start,
        test_end=plan.test_end,
    )


Look = Callable[[pa.Table, dict[str, pa.Table]], None]
Fill = Callable[[Path], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Marks:
    """Of each row of a snapshot, in its order, which set it belongs to and what its label is."""

    plan: SplitPlan
    member: pa.Array
    """Name of the set; null if the row's partition has not matured."""
    target: pa.ChunkedArray
    """Label; null if it is not known."""

    @classmethod
    def of(cls, spec: ModelSpec, folder: Path, cutoff: datetime) -> "_Marks":
        rows = read_table(folder / FEATURES, [spec.entity_key, PARTITION])
        keys = pc.unique(rows[PARTITION])
        partitions = {key: spec.partition(key) for key in sorted(keys.to_pylist())}
        plan = plan_split(spec, tuple(partitions.values()), cutoff)
        sets = pa.array([plan.set_of(partitions[key].interval.start) for key in keys.to_pylist()], pa.string())
        member = sets.take(pc.index_in(rows[PARTITION], value_set=keys).combine_chunks())
        return cls(plan=plan, member=member, target=labelled(rows[spec.entity_key], read_table(folder / LABELS), spec))

    def count(self, name: str) -> int:
        """Count the labelled rows of a set."""
        return int(pc.sum(self._rows_of(name)).as_py() or 0)

    @property
    def n_immature(self) -> int:
        """Rows whose partition has not matured."""
        return int(self.member.null_count)

    @property
    def n_unlabelled(self) -> int:
        """Rows of matured partitions without a label."""
        return int(pc.sum(pc.and_(pc.is_valid(self.member), pc.is_null(self.target))).as_py() or 0)

    def cut(self, rows: pa.Table) -> dict[str, pa.Table]:
        """Return the labelled rows of each set; of all rows, or of those that these are the marks of."""
        rows = rows.append_column(TARGET, self.target)
        return {name: rows.filter(self._rows_of(name)) for name in SETS}

    def at(self, positions: pa.Array) -> "_Marks":
        """Return the marks of some rows."""
        return replace(self, member=self.member.take(positions), target=self.target.take(positions))

    def slice(self, start: int, n_rows: int) -> "_Marks":
        """Return the marks of rows that follow each other."""
        return replace(self, member=self.member.slice(start, n_rows), target=self.target.slice(start, n_rows))

    def _rows_of(self, name: str) -> pa.ChunkedArray:
        return pc.and_(pc.fill_null(pc.equal(self.member, name), False), pc.is_valid(self.target))


def _in_memory(path: Path, marks: _Marks, look: Look) -> Fill:
    rows = read_table(path)
    tables = marks.cut(rows)
    look(rows, tables)

    def fill(target: Path) -> None:
        for name, table in tables.items():
            with table_writer(target / f"{name}.parquet", table.schema) as writer:
                writer.write_table(table)

    return fill


def _in_pieces(path: Path, marks: _Marks, look: Look) -> Fill:
    """Look at a sample, and write the sets while the rows stream by."""
    rows, positions = read_some(path)
    look(rows, marks.at(positions).cut(rows))
    schema = read_schema(path)
    written = schema.append(pa.field(TARGET, marks.target.type))

    def fill(target: Path) -> None:
        with ExitStack() as open_files:
            writers = {
                name: open_files.enter_context(table_writer(target / f"{name}.parquet", written)) for name in SETS
            }
            start = 0
            for batch in read_batches(path, schema.names, piece_rows(len(schema))):
                sets = marks.slice(start, batch.num_rows).cut(pa.Table.from_batches([batch]))
                start += batch.num_rows
                for name, table in sets.items():
                    if table.num_rows:
                        writers[name].write_table(table)

    return fill


def _first_start(partitions: list[Partition], instant: datetime) -> datetime:
    """Return the start of the first partition that begins at an instant or later, or of the last one."""
    return next(
        (item.interval.start for item in partitions if item.interval.start >= instant), partitions[-1].interval.start
    )
