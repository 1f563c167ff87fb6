"""A test of the monitors: faults of the source, one at a time, each on a past without other faults.

The past is replayed once. Before a partition on which faults are tried, the database is copied. Every fault starts from
that copy, is replayed for the days that it needs to be seen, and is undone. So a fault costs a day, not a year.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import psycopg2
from psycopg2 import sql

from tidemill.errors import PartitionError, SchemaChanged, SpecError, first_line
from tidemill.intervals import Partition, key_order
from tidemill.records import Record
from tidemill.simulation.injections import FEATURES_TABLE, Injection
from tidemill.simulation.outcome import Held, Opened, Policy, Stopped
from tidemill.simulation.past import Past, Progress, ignore_progress
from tidemill.simulation.replay import Replay, model_name
from tidemill.simulation.sandbox import Sandbox, open_sandbox
from tidemill.spec import ModelSpec
from tidemill.warehouse.connections import fetch_value, kept_open, transaction

__all__ = ["Drill", "Tried", "drill", "in_time", "right_rules"]

FACTOR = 1000.0  # a change of unit, such as kilometres to metres
WITHHELD = "withheld:"  # rule of the alert about rows that readers do not see; the rules behind it are counted
PERIOD = 60  # partitions; the rate of alerts without a fault refers to them
_RULES = {
    "null": ("nulls:{column}", "break:{column}"),
    "scale": ("break:{column}",),
    "rename": ("unseen:{column}", "break:{column}"),
    "half": ("volume",),
    "double": ("volume",),
    "labels_late": ("age:labels", "label_coverage"),
    "labels_corrected": (),
    "labels_stop": ("age:labels", "label_coverage"),
}
_PATIENCE = {"labels_stop": 2, "labels_late": 2}  # at its first cutoff no label is late yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried(Record):
    """One fault, and the reaction of the monitors."""

    fault: str
    """The injection, such as ``null:temp@2013-06-10``."""
    column: str
    """The affected column; empty if it affects whole rows."""
    n_rows: int
    """Number of rows of its first partition that it changes; with none there is nothing to see."""
    seen_on: str
    """Key of the partition in which the right alert opened; empty if none did."""
    alert: str
    """Rule of that alert, or ``contract`` if the contract stopped the partition and named the column."""
    message: str
    """The alert's message; otherwise why the fault could not be injected, or the errors of failed chains."""
    also: tuple[str, ...] = ()
    """Rules of other alerts that the fault opened on these days."""
    before_readers: bool = False
    """Whether the rows were withheld for the right reason, or never written, before a reader could see them."""
    partitions_seen: int | None = None
    """Wrong partitions that readers saw before the fault was detected: 0 if none, None if it never was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill(Record):
    """The outcome of a drill."""

    model: str
    first: str
    """Key of the first partition."""
    last: str
    """Key of the last partition."""
    n_partitions: int
    """Number of partitions that were replayed without a fault."""
    quiet: tuple[Opened, ...]
    """Alerts that opened without a fault."""
    tried: tuple[Tried, ...]
    """The faults, in order."""
    withheld: tuple[Held, ...] = ()
    """Partitions that were withheld without a fault, and why."""
    n_scored: int = 0
    """Number of partitions that had a champion and were scored without a fault."""

    @property
    def missed(self) -> tuple[Tried, ...]:
        """Faults that changed rows and were not detected."""
        return tuple(item for item in self.tried if item.n_rows and not item.seen_on)

    @property
    def in_time(self) -> tuple[Tried, ...]:
        """Faults that were detected before a reader could see a wrong row."""
        return tuple(item for item in self.tried if item.n_rows and item.before_readers)

    @property
    def quiet_rate(self) -> float:
        """Alerts without a fault per 60 partitions."""
        return len(self.quiet) * PERIOD / self.n_partitions


def right_rules(injection: Injection) -> tuple[str, ...]:
    """Return the rules of the alerts that correctly name a fault.

    Examples
    --------
    >>> right_rules(Injection.parse("null:temp@2013-06-10"))
    ('nulls:temp', 'break:temp')
    """
    return tuple(rule.format(column=injection.column) for rule in _RULES[injection.kind])


def drill(
    past: Past,
    *,
    on: Sequence[str] = (),
    faults: Sequence[Injection] = (),
    on_progress: Progress = ignore_progress,
) -> Drill:
    """Replay a past without faults under the spec's policy, and try faults on it one at a time.

    Parameters
    ----------
    on : sequence of str, default ()
        Keys of partitions on which every fault is tried: each feature empty, each number times 1,000, the most frequent
        category of each feature renamed, half the rows, doubled rows, and no more labels.
    faults : sequence of Injection, default ()
        Further faults, also one at a time.
    on_progress : callable
        Called with ``source``, the policy, or the partition on which faults are tried.

    Raises
    ------
    EmptyPartition
        If there is nothing before the first partition to train on.
    PartitionError
        If a fault is to be tried outside of these partitions, or on the last one, which no other follows.
    """
    past.require_time()
    partitions = past.partitions
    outside = sorted({*on, *(item.partition for item in faults)} - {item.key for item in partitions[:-1]})
    if outside:
        raise PartitionError(
            f"Faults are tried on partitions from {past.first!r} to the one before {past.last!r}, not on {outside}.",
            "Choose one in this range, or a later --to.",
        )
    tried: list[Tried] = []
    with open_sandbox() as sandbox:
        sandbox.copy_source(past, on_progress)
        sandbox.declare(past.spec, model_name(Policy.SPEC))
        replay = Replay(sandbox.workspace, Policy.SPEC, rows_are_right=True)
        for at, partition in enumerate(partitions):
            chosen = [item for item in faults if item.partition == partition.key]
            if partition.key in on:
                chosen += _every_fault(sandbox, replay.spec, partition)
            if chosen:
                tried += _tried(sandbox, replay, partitions[at : at + max(_PATIENCE.values())], chosen, on_progress)
            with kept_open():
                list(replay.run((partition,)))
            on_progress(Policy.SPEC.value, at + 1, len(partitions))
        outcome = replay.outcome(partitions)
        quiet = tuple(item for item in outcome.alerts if not item.rule.startswith(WITHHELD))
    return Drill(
        model=past.spec.model,
        first=past.first,
        last=past.last,
        n_partitions=len(partitions),
        quiet=quiet,
        tried=tuple(_without_usual(item, quiet) for item in tried),
        withheld=outcome.withheld,
        n_scored=len(outcome.quality),
    )


def _every_fault(sandbox: Sandbox, spec: ModelSpec, partition: Partition) -> Iterator[Injection]:
    """Yield all faults that the columns of a partition can have."""
    numeric, categorical = sandbox.feature_columns(spec)
    for column in (*numeric, *categorical):
        yield Injection(kind="null", partition=partition.key, column=column)
    for column in numeric:
        yield Injection(kind="scale", partition=partition.key, column=column, factor=FACTOR)
    for column in categorical:
        level = _most_frequent(sandbox, spec, partition, column)
        if level is not None:
            yield Injection(kind="rename", partition=partition.key, column=column, old=level, new=f"{level}_new")
    for kind in ("half", "double", "labels_stop"):
        yield Injection(kind=kind, partition=partition.key)


def _most_frequent(sandbox: Sandbox, spec: ModelSpec, partition: Partition, column: str) -> str | None:
    statement = sql.SQL(
        "SELECT {column}::text FROM {table} WHERE {time} >= %s AND {time} < %s AND {column} IS NOT NULL"
        " GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
    ).format(column=sql.Identifier(column), table=FEATURES_TABLE, time=sql.Identifier(spec.time_column))
    with transaction(sandbox.database.url) as cursor:
        cursor.execute(statement, (partition.interval.start, partition.interval.end))
        row = cursor.fetchone()
    return None if row is None else str(row[0])


def _tried(
    sandbox: Sandbox,
    replay: Replay,
    partitions: Sequence[Partition],
    faults: Sequence[Injection],
    on_progress: Progress,
) -> Iterator[Tried]:
    """Try faults one at a time, and restore the sandbox after each."""
    sandbox.database.keep()
    for done, fault in enumerate(faults, start=1):
        days = partitions[: _PATIENCE.get(fault.kind, 1)]
        try:
            n_rows = _count(sandbox, replay.spec, fault, partitions[0])
            sandbox.inject(replay.spec, [fault])
        except SpecError as error:
            yield Tried(
                fault=fault.words, column=fault.column or "", n_rows=0, seen_on="", alert="", message=error.problem
            )
            continue
        watching = replay.fork()
        with kept_open():
            for partition in days:
                watching.observe(partition)
            yield in_time(
                _seen(fault, n_rows, days, watching.alerts(), watching.stopped), fault, days, watching.withheld
            )
        sandbox.restore(replay.spec.model)
        on_progress(f"faults on {partitions[0].key}", done, len(faults))


def _count(sandbox: Sandbox, spec: ModelSpec, fault: Injection, partition: Partition) -> int:
    interval = partition.interval
    try:
        with transaction(sandbox.database.url) as cursor:
            cursor.execute(fault.counting(spec.entity_key, spec.time_column, interval.start, interval.end))
            return int(fetch_value(cursor))
    except (SchemaChanged, psycopg2.ProgrammingError, psycopg2.DataError) as error:
        raise SpecError(
            f"{fault.words!r} cannot be injected: {first_line(error)}.", "Name a column that can store it."
        ) from error


def _seen(
    fault: Injection,
    n_rows: int,
    days: Sequence[Partition],
    alerts: Sequence[Opened],
    stopped: Sequence[Stopped],
) -> Tried:
    """Find the right alert among those that are open."""
    keys, right = [partition.key for partition in days], right_rules(fault)
    opened = [item for item in alerts if item.last_partition in keys and not item.rule.startswith(WITHHELD)]
    opened.sort(key=lambda item: item.rule not in right)
    also = tuple(item.rule for item in opened if item.rule not in right)
    found = Tried(
        fault=fault.words, column=fault.column or "", n_rows=n_rows, seen_on="", alert="", message="", also=also
    )
    for item in opened[:1]:
        if item.rule in right:
            day = max(keys[0], item.first_partition, key=key_order)
            return replace(found, seen_on=day, alert=item.rule, message=item.message)
    for stop in stopped:
        if stop.chain == "predict" and fault.column and fault.column in stop.error:
            return replace(found, seen_on=stop.partition, alert="contract", message=stop.error)
    return replace(found, message=" ".join(stop.error for stop in stopped))


def in_time(found: Tried, fault: Injection, days: Sequence[Partition], withheld: Sequence[Held]) -> Tried:
    """Add whether readers saw wrong rows, and for how many partitions."""
    held = {item.partition for item in withheld if set(item.rules) & set(right_rules(fault))}
    if found.alert == "contract" or days[0].key in held:
        return replace(found, before_readers=True, partitions_seen=0)
    if not found.seen_on:
        return found
    return replace(found, partitions_seen=[day.key for day in days].index(found.seen_on) + 1)


def _without_usual(tried: Tried, quiet: Sequence[Opened]) -> Tried:
    """Leave out the alerts that are open on that day without the fault."""
    day = tried.fault.rpartition("@")[2]
    usual = {
        item.rule
        for item in quiet
        if key_order(item.first_partition) <= key_order(day) <= key_order(item.last_partition)
    }
    if tried.alert in usual:
        tried = replace(tried, seen_on="", alert="", message="The same alert is open without the fault.")
        tried = replace(tried, before_readers=False, partitions_seen=None)
    return replace(tried, also=tuple(rule for rule in tried.also if rule not in usual))
