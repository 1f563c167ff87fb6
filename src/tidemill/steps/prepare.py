"""Prepare: labels joined, and the window cut by time into train, validation and test; never at random.

Rows whose partition has not matured, or whose label is unknown, are left out and counted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tidemill.errors import NotTrainable
from tidemill.intervals import Partition
from tidemill.records import SnapshotRef, SplitRef
from tidemill.spec import ModelSpec
from tidemill.steps.extract import FEATURES, LABELS, PARTITION
from tidemill.steps.features import TARGET
from tidemill.steps.labels import labelled
from tidemill.steps.leaks import refuse_leaks
from tidemill.steps.running import Job
from tidemill.storage.tables import read_table

__all__ = ["SETS", "SplitPlan", "cut", "plan_split", "prepare"]

SETS = ("train", "validation", "test")


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
        """Say which set a partition belongs to, by its start; None if it has not matured."""
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
        If the matured part of the window is no longer than validation and test together.
    """
    mature = [item for item in partitions if item.interval.end + spec.label.matures_after <= cutoff]
    if mature:
        end = mature[-1].interval.end
        test_start = _first_start(mature, end - spec.train.test)
        validation_start = _first_start(mature, test_start - spec.train.validation)
        if mature[0].interval.start < validation_start < test_start:
            return SplitPlan(
                train_start=mature[0].interval.start,
                validation_start=validation_start,
                test_start=test_start,
                test_end=end,
            )
    raise NotTrainable(
        f"Only {len(mature)} partition(s) of {spec.model!r} have matured by {cutoff:%Y-%m-%d %H:%M %Z}; "
        f"validation ({spec.train.validation}) and test ({spec.train.test}) leave nothing to train on.",
        "Train as of a later partition, or shorten train.validation and train.test.",
    )


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
        If the window is too short.
    """
    folder = job.store.folder(snapshot.uri, snapshot.digest)
    rows = read_table(folder / FEATURES)
    labels = read_table(folder / LABELS)
    partitions = tuple(job.spec.partition(key) for key in sorted(set(rows[PARTITION].to_pylist())))
    plan = plan_split(job.spec, partitions, snapshot.cutoff)
    rows = rows.append_column(TARGET, labelled(rows[job.spec.entity_key], labels, job.spec))
    set_of = {item.key: plan.set_of(item.interval.start) for item in partitions}
    member = pa.array([set_of[key] for key in rows[PARTITION].to_pylist()], pa.string())
    known = pc.is_valid(rows[TARGET])
    tables = {name: rows.filter(pc.and_(pc.fill_null(pc.equal(member, name), False), known)) for name in SETS}
    if look is not None:
        look(rows, tables)
    immature = pc.sum(pc.is_null(member)).as_py() or 0
    unlabelled = pc.sum(pc.and_(pc.is_valid(member), pc.invert(known))).as_py() or 0

    def fill(target: Path) -> None:
        for name, table in tables.items():
            pq.write_table(table, target / f"{name}.parquet", compression="zstd", write_page_checksum=True)

    stored = job.store.write(job.spec.model, "splits", fill)
    return SplitRef(
        snapshot_digest=snapshot.digest, digest=stored.digest, uri=stored.uri,
        n_train=tables["train"].num_rows, n_validation=tables["validation"].num_rows, n_test=tables["test"].num_rows,
        n_unlabelled=unlabelled, n_immature=immature, train_start=plan.train_start,
        validation_start=plan.validation_start, test_start=plan.test_start, test_end=plan.test_end,
    )  # fmt: skip


def _first_start(partitions: list[Partition], instant: datetime) -> datetime:
    """Give the start of the first partition that begins at an instant or later."""
    return next(
        (item.interval.start for item in partitions if item.interval.start >= instant), partitions[-1].interval.end
    )
