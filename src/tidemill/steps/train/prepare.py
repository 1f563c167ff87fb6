"""Prepare: join labels, and split the window by time into train, validation and test set, never at random.

Rows without a time are split by a hash of their key.

Rows are left out and counted if their partition has not matured, their label is unknown, or their label was not yet
known when the next set begins.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.errors import NotTrainable
from tidemill.intervals import key_order
from tidemill.records import SnapshotRef, SplitRef
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec
from tidemill.steps.data.features import feature_schema, features_with_gaps, piece_rows, read_some
from tidemill.steps.data.label_join import is_joined_by_time, join_columns
from tidemill.steps.data.labels import count_labels, labelled, near_matches
from tidemill.steps.data.split_plan import SplitPlan, plan_folds, plan_split
from tidemill.steps.data.weights import row_weights, weight_columns
from tidemill.steps.train.leaks import probe_leaks
from tidemill.storage.layout import FEATURES, LABELS, PARTITION, TARGET, WEIGHT
from tidemill.storage.tables import count_rows, count_values, read_batches, read_schema, read_table, table_writer

__all__ = ["SETS", "cut", "prepare"]

SETS = ("train", "validation", "test")
GAP = "gap"


@declarations.prepare
def prepare(job: Job, snapshot: SnapshotRef) -> SplitRef:
    """Cut a training snapshot into three labelled sets.

    Raises
    ------
    NotTrainable
        If the window is too short.
    LeakageFound
        If there is a sign that the training data contain information from the future.
    """
    strong: list[str] = []
    split = cut(job, snapshot, look=lambda rows, sets: strong.extend(probe_leaks(job, rows, sets)))
    return replace(split, strong_columns=tuple(strong))


def cut(
    job: Job, snapshot: SnapshotRef, look: Callable[[pa.Table, dict[str, pa.Table]], None] | None = None
) -> SplitRef:
    """Cut a training snapshot into three labelled sets, without a leak probe unless ``look`` is given.

    Parameters
    ----------
    job : Job
        Model and storage; the ledger is not needed.
    look : callable, optional
        Called with all rows and the three sets before they are stored; may refuse them.

    Raises
    ------
    NotTrainable
        If the window is too short, no row of the validation set has a label, or a feature has no value in one of the sets.
    """
    folder = job.store.folder(snapshot.uri, snapshot.digest)
    marks = _Marks.of(job.spec, folder, snapshot.cutoff)
    marks.refuse_weightless(job.spec)
    if not marks.count("validation"):
        raise NotTrainable(
            f"No row of {job.spec.model!r} from {marks.plan.validation_start:%Y-%m-%d %H:%M} to "
            f"{marks.plan.test_start:%Y-%m-%d %H:%M %Z}, the validation set, has a label.",
            f"See whether {job.spec.source.labels} gives any by {snapshot.cutoff:%Y-%m-%d %H:%M %Z}, and whether "
            f"label.matures_after is long enough{_unlike_keys(marks)}{_unlike_times(job.spec, folder, marks)}.",
        )
    way = _in_memory if job.spec.train.engine == "local" else _in_pieces
    stored = job.store.write(job.spec.model, "splits", way(folder / FEATURES, marks, look or (lambda rows, sets: None)))
    plan, train = marks.plan, job.store.path(stored.uri) / "train.parquet"
    names = feature_schema(job.spec, read_schema(train)).names
    with_gaps = features_with_gaps(train, names) if job.spec.has_time else ()
    _refuse_empty_features(job.spec, train.parent, {"train": names})
    if job.spec.has_time:
        usual = [name for name in names if name not in with_gaps]
        _refuse_empty_features(job.spec, train.parent, {"validation": usual, "test": usual})
    return SplitRef(
        snapshot_digest=snapshot.digest,
        digest=stored.digest,
        uri=stored.uri,
        n_train=marks.count("train"),
        n_validation=marks.count("validation"),
        n_test=marks.count("test"),
        n_unlabelled=marks.n_unlabelled,
        n_set_aside=snapshot.n_set_aside,
        n_purged=marks.n_purged,
        n_immature=marks.n_immature,
        n_labels=marks.n_labels,
        n_unmatched_labels=marks.n_unmatched_labels,
        n_near_matches=marks.n_near_matches,
        with_gaps=with_gaps,
        by_key=not job.spec.has_time,
        train_start=plan.train_start,
        validation_start=plan.validation_start,
        test_start=plan.test_start,
        test_end=plan.test_end,
    )


def _unlike_keys(marks: "_Marks") -> str:
    """Return a further reason if there are labels, and none belongs to a row."""
    if not marks.n_labels or marks.n_labels > marks.n_unmatched_labels:
        return ""
    near = f"; {marks.n_near_matches:,} keys differ only in blanks, case, leading zeros or '.0'"
    return (
        f", and whether both queries write keys alike: none of the {marks.n_labels:,} labels matches a row"
        f"{near if marks.n_near_matches else ''}"
    )


def _unlike_times(spec: ModelSpec, folder: Path, marks: "_Marks") -> str:
    """Return a further reason if labels are joined by time, and none belongs to a row."""
    if marks.n_labels > marks.n_unmatched_labels or not is_joined_by_time(read_schema(folder / LABELS).names, spec):
        return ""
    return f", and whether {spec.time_column} is the same instant in both queries: labels are joined by it, too"


def _refuse_empty_features(spec: ModelSpec, folder: Path, expected: Mapping[str, Sequence[str]]) -> None:
    """Refuse a set with a feature that has no value, where values are expected.

    A model would see the values that a train set lacks for the first time at scoring. Those that a later set lacks, the
    next partitions lack, too: `predict` would refuse them.
    """
    for name, features in expected.items():
        path = folder / f"{name}.parquet"
        n_values = count_values(path)
        empty = [feature for feature in features if n_values.get(feature) == 0] if count_rows(path) else []
        if empty:
            raise NotTrainable(
                f"Feature(s) {', '.join(map(repr, empty))} of {spec.model!r} have no value in any row of the {name} set.",
                f"Fill them in the source or in {spec.source.features}, or leave them out of the query and of 'features'.",
            )


Look = Callable[[pa.Table, dict[str, pa.Table]], None]
Fill = Callable[[Path], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Marks:
    """The set and the label of each row of a snapshot, in its order."""

    plan: SplitPlan
    member: pa.Array
    """Name of the set, or ``gap``; null if the row's partition has not matured."""
    target: pa.ChunkedArray
    """Label; null if unknown."""
    weight: pa.ChunkedArray | None
    """How often each row counts; null where the label is unknown, None without ``weight`` in the spec."""
    n_labels: int
    """Known labels."""
    n_unmatched_labels: int
    """Known labels that belong to no row."""
    n_near_matches: int
    """Unlabelled rows of the three sets whose key nearly matches that of an unmatched label."""

    @classmethod
    def of(cls, spec: ModelSpec, folder: Path, cutoff: datetime) -> "_Marks":
        labels = read_table(folder / LABELS)
        of_rows = weight_columns(spec, read_schema(folder / FEATURES).names, labels.column_names)
        rows = read_table(folder / FEATURES, [*join_columns(labels, spec), PARTITION, *of_rows])
        values = pc.unique(rows[PARTITION])
        partitions = {key: spec.block(key) for key in sorted(values.to_pylist(), key=key_order)}
        plan = plan_split(spec, tuple(partitions.values()), cutoff) if spec.has_time else plan_folds(spec.train.folds)
        starts = [partitions[key].interval.start for key in values.to_pylist()]
        sets = pa.array(
            [plan.set_of(start) or (GAP if start < plan.test_end else None) for start in starts], pa.string()
        )
        member = sets.take(pc.index_in(rows[PARTITION], value_set=values).combine_chunks())
        target = labelled(rows, labels, spec)
        n_labels, n_unmatched = count_labels(rows, labels, spec)
        n_near = 0
        if n_unmatched and target.null_count:
            missed = pc.and_(pc.is_in(member, value_set=pa.array(SETS)), pc.is_null(target))
            n_near = pc.sum(near_matches(rows.filter(missed), labels, spec)).as_py() or 0
        known = pc.and_(pc.is_in(member, value_set=pa.array(SETS)), pc.is_valid(target))
        return cls(
            plan=plan,
            member=member,
            target=target,
            weight=row_weights(rows, labels, spec, known),
            n_labels=n_labels,
            n_unmatched_labels=n_unmatched,
            n_near_matches=n_near,
        )

    def count(self, name: str) -> int:
        """Count the labelled rows of a set."""
        return int(pc.sum(self._rows_of(name)).as_py() or 0)

    def refuse_weightless(self, spec: ModelSpec) -> None:
        """Refuse a set whose rows have labels, and together no weight.

        Raises
        ------
        NotTrainable
            With the name of the set.
        """
        for name in SETS if self.weight is not None else ():
            labelled_rows = pc.and_(pc.fill_null(pc.equal(self.member, name), False), pc.is_valid(self.target))
            if pc.any(labelled_rows).as_py() and not self.count(name):
                raise NotTrainable(
                    f"Every row of the {name} set of {spec.model!r} has weight 0 in {spec.weight!r}.",
                    "Give the rows that count a weight above 0, or leave 'weight' out of the spec.",
                )

    @property
    def n_immature(self) -> int:
        """Rows whose partition has not matured."""
        return int(self.member.null_count)

    @property
    def n_purged(self) -> int:
        """Rows whose label was not known when the next set begins."""
        return int(pc.sum(pc.equal(self.member, GAP)).as_py() or 0)

    @property
    def n_unlabelled(self) -> int:
        """Rows of the three sets without a label."""
        inside = pc.is_in(self.member, value_set=pa.array(SETS))
        return int(pc.sum(pc.and_(inside, pc.is_null(self.target))).as_py() or 0)

    def cut(self, rows: pa.Table) -> dict[str, pa.Table]:
        """Return the labelled rows of each set, of all rows or of those that these marks belong to."""
        rows = rows.append_column(TARGET, self.target)
        if self.weight is not None:
            rows = rows.append_column(WEIGHT, self.weight)
        return {name: rows.filter(self._rows_of(name)) for name in SETS}

    def at(self, positions: pa.Array) -> "_Marks":
        """Return the marks of some rows."""
        weight = None if self.weight is None else self.weight.take(positions)
        return replace(self, member=self.member.take(positions), target=self.target.take(positions), weight=weight)

    def slice(self, start: int, n_rows: int) -> "_Marks":
        """Return the marks of consecutive rows."""
        weight = None if self.weight is None else self.weight.slice(start, n_rows)
        return replace(
            self, member=self.member.slice(start, n_rows), target=self.target.slice(start, n_rows), weight=weight
        )

    def _rows_of(self, name: str) -> pa.ChunkedArray:
        chosen = pc.and_(pc.fill_null(pc.equal(self.member, name), False), pc.is_valid(self.target))
        return chosen if self.weight is None else pc.and_(chosen, pc.fill_null(pc.greater(self.weight, 0), False))


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
    """Probe a sample, and write the sets while streaming the rows."""
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
