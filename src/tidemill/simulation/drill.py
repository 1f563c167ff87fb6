"""A fire drill for the monitors: faults of the source, one at a time, each on a past that was quiet until then.

The quiet past is lived once. Before a partition on which faults are tried, the ledger is kept aside; every fault then
starts from there, is lived through for as long as it takes to be seen, and is undone. So a fault costs a day, not a year.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import psycopg2
from psycopg2 import sql

from tidemill.errors import PartitionError, SchemaChanged, SpecError
from tidemill.intervals import Partition
from tidemill.records import Record
from tidemill.runtime.job import Job
from tidemill.simulation.ground import Ground, throwaway_ground
from tidemill.simulation.injections import FEATURES_TABLE, Injection
from tidemill.simulation.outcome import Opened, Policy, Stopped
from tidemill.simulation.replay import Replay, model_name
from tidemill.simulation.run import SOURCE
from tidemill.spec import ModelSpec
from tidemill.steps.data.extract import training_partitions
from tidemill.warehouse.connections import fetch_value, kept_open, transaction
from tidemill.workspace import Workspace

__all__ = ["Drill", "Tried", "drill", "right_rules"]

FACTOR = 1000.0  # of a unit that changes
PERIOD = 60  # partitions that the rate of alerts without a cause is given for
_RULES = {
    "null": ("nulls:{column}", "break:{column}"),
    "scale": ("break:{column}",),
    "rename": ("unseen:{column}", "break:{column}"),
    "half": ("volume",),
    "double": ("volume",),
    "labels_stop": ("age:labels", "label_coverage"),
}
_PATIENCE = {"labels_stop": 2}  # at its first cutoff no label is late yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried(Record):
    """One fault, and what the monitors said."""

    fault: str
    """In words, such as ``null:temp@2013-06-10``."""
    column: str
    """Column that it hits; empty if it hits none."""
    n_rows: int
    """Rows of its first partition that it changes; with none there is nothing to see."""
    seen_on: str
    """Key of the partition in which the right alert spoke; empty if none did."""
    alert: str
    """Rule of that alert, or ``contract`` if the contract stopped the partition and named the column."""
    message: str
    """What it said; else why the fault could not be put in, or what chains ended with."""
    also: tuple[str, ...] = ()
    """Rules of other alerts that spoke on these days and would not have without the fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill(Record):
    """What came of a drill."""

    model: str
    """Name of the model."""
    first: str
    """Key of the first quiet partition."""
    last: str
    """Key of the last one."""
    n_partitions: int
    """Quiet partitions that were watched."""
    quiet: tuple[Opened, ...]
    """Alerts that opened without a fault."""
    tried: tuple[Tried, ...]
    """The faults."""

    @property
    def missed(self) -> tuple[Tried, ...]:
        """Faults that changed rows and were not seen."""
        return tuple(item for item in self.tried if item.n_rows and not item.seen_on)

    @property
    def quiet_rate(self) -> float:
        """Alerts without a fault in 60 partitions."""
        return len(self.quiet) * PERIOD / self.n_partitions


def right_rules(injection: Injection) -> tuple[str, ...]:
    """Return the rules of the alerts that name a fault rightly.

    Examples
    --------
    >>> right_rules(Injection.parse("null:temp@2013-06-10"))
    ('nulls:temp', 'break:temp')
    """
    return tuple(rule.format(column=injection.column) for rule in _RULES[injection.kind])


def drill(
    spec: ModelSpec,
    first: str,
    last: str,
    workspace: Workspace,
    *,
    on: Sequence[str] = (),
    faults: Sequence[Injection] = (),
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Drill:
    """Live a quiet past under the spec's policy, and try faults on it one at a time.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    first, last : str
        Keys, both included. The first model is trained as of the first.
    workspace : Workspace
        Where the real source is; nothing of it is changed.
    on : sequence of str, default ()
        Keys of partitions on which every fault is tried: each feature empty, each number times 1,000, the most frequent
        level of each category renamed, half the rows, doubled rows, no labels any more.
    faults : sequence of Injection, default ()
        Other faults, each alone as well.
    on_progress : callable
        Told what is done, how many of it, and of how many.

    Raises
    ------
    EmptyPartition
        If there is nothing before the first partition to train on.
    PartitionError
        If a fault is to be tried outside of these partitions, or on the last one, which has no next to show it.
    """
    partitions = tuple(spec.partitions_between(first, last))
    outside = sorted({*on, *(item.partition for item in faults)} - {item.key for item in partitions[:-1]})
    if outside:
        raise PartitionError(
            f"Faults are tried on partitions from {first!r} to the one before {last!r}, not on {outside}.",
            "Choose one inside, or a later --to.",
        )
    needed = (*training_partitions(Job(spec=spec, partition=partitions[0], workspace=workspace, run_id=0)), *partitions)
    tried: list[Tried] = []
    with throwaway_ground() as ground:
        copied = iter(range(1, len(needed) + 1))
        ground.copy_source(spec, workspace, needed, lambda key: on_progress(SOURCE, next(copied), len(needed)))
        ground.declare(spec, model_name(Policy.SPEC))
        replay = Replay(ground.workspace, Policy.SPEC)
        for at, partition in enumerate(partitions):
            chosen = [item for item in faults if item.partition == partition.key]
            if partition.key in on:
                chosen += _every_fault(ground, replay.spec, partition)
            if chosen:
                tried += _tried(ground, replay, partitions[at : at + max(_PATIENCE.values())], chosen, on_progress)
            with kept_open():
                list(replay.live((partition,)))
            on_progress(Policy.SPEC.value, at + 1, len(partitions))
        quiet = replay.outcome(partitions).alerts
    return Drill(
        model=spec.model,
        first=first,
        last=last,
        n_partitions=len(partitions),
        quiet=quiet,
        tried=tuple(_but(item, quiet) for item in tried),
    )


def _every_fault(ground: Ground, spec: ModelSpec, partition: Partition) -> Iterator[Injection]:
    """Return all faults that a partition's columns can have."""
    numeric, categorical = ground.feature_columns(spec)
    for column in (*numeric, *categorical):
        yield Injection(kind="null", partition=partition.key, column=column)
    for column in numeric:
        yield Injection(kind="scale", partition=partition.key, column=column, factor=FACTOR)
    for column in categorical:
        level = _most_frequent(ground, spec, partition, column)
        if level is not None:
            yield Injection(kind="rename", partition=partition.key, column=column, old=level, new=f"{level}_new")
    for kind in ("half", "double", "labels_stop"):
        yield Injection(kind=kind, partition=partition.key)


def _most_frequent(ground: Ground, spec: ModelSpec, partition: Partition, column: str) -> str | None:
    statement = sql.SQL(
        "SELECT {column}::text FROM {table} WHERE {time} >= %s AND {time} < %s AND {column} IS NOT NULL"
        " GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
    ).format(column=sql.Identifier(column), table=FEATURES_TABLE, time=sql.Identifier(spec.event_time))
    with transaction(ground.database.url) as cursor:
        cursor.execute(statement, (partition.interval.start, partition.interval.end))
        row = cursor.fetchone()
    return None if row is None else str(row[0])


def _tried(
    ground: Ground,
    replay: Replay,
    partitions: Sequence[Partition],
    faults: Sequence[Injection],
    on_progress: Callable[[str, int, int], None],
) -> Iterator[Tried]:
    """Try faults one at a time, and leave the ground as it was."""
    ground.database.keep()
    for done, fault in enumerate(faults, start=1):
        lived = partitions[: _PATIENCE.get(fault.kind, 1)]
        try:
            n_rows = _count(ground, replay.spec, fault, partitions[0])
            ground.inject(replay.spec, [fault])
        except SpecError as error:
            yield Tried(
                fault=fault.words, column=fault.column or "", n_rows=0, seen_on="", alert="", message=error.problem
            )
            continue
        watching = replay.fork()
        with kept_open():
            for partition in lived:
                watching.look(partition)
            yield _seen(fault, n_rows, lived, watching.alerts(), watching.stopped)
        ground.database.restore()
        on_progress(f"faults on {partitions[0].key}", done, len(faults))


def _count(ground: Ground, spec: ModelSpec, fault: Injection, partition: Partition) -> int:
    interval = partition.interval
    try:
        with transaction(ground.database.url) as cursor:
            cursor.execute(fault.counting(spec.entity_key, spec.event_time, interval.start, interval.end))
            return int(fetch_value(cursor))
    except (SchemaChanged, psycopg2.ProgrammingError, psycopg2.DataError) as error:
        raise SpecError(
            f"{fault.words!r} cannot be injected: {str(error).splitlines()[0]}.", "Name a column that can hold it."
        ) from error


def _seen(
    fault: Injection,
    n_rows: int,
    lived: Sequence[Partition],
    alerts: Sequence[Opened],
    stopped: Sequence[Stopped],
) -> Tried:
    """Find the right alert among those that spoke."""
    keys, right = [partition.key for partition in lived], right_rules(fault)
    spoke = sorted((item for item in alerts if item.last_partition in keys), key=lambda item: item.rule not in right)
    also = tuple(item.rule for item in spoke if item.rule not in right)
    found = Tried(
        fault=fault.words, column=fault.column or "", n_rows=n_rows, seen_on="", alert="", message="", also=also
    )
    for item in spoke[:1]:
        if item.rule in right:
            day = max(keys[0], item.first_partition)
            return replace(found, seen_on=day, alert=item.rule, message=item.message)
    for stop in stopped:
        if stop.chain == "predict" and fault.column and fault.column in stop.error:
            return replace(found, seen_on=stop.partition, alert="contract", message=stop.error)
    return replace(found, message=" ".join(stop.error for stop in stopped))


def _but(tried: Tried, quiet: Sequence[Opened]) -> Tried:
    """Leave out what spoke on that day without the fault, too."""
    day = tried.fault.rpartition("@")[2]
    usual = {item.rule for item in quiet if item.first_partition <= day <= item.last_partition}
    if tried.alert in usual:
        tried = replace(tried, seen_on="", alert="", message="The same alert spoke without the fault.")
    return replace(tried, also=tuple(rule for rule in tried.also if rule not in usual))
