"""What identifies a row: an index, a column, some columns, an entity within its partition, or the row's content."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from tidemill.onboarding.columns import TIMES
from tidemill.onboarding.event_time import Clock
from tidemill.onboarding.names import quoted
from tidemill.onboarding.profile import Profile, TableReader

__all__ = ["RowKey", "guess_key"]

_PLAIN = {"text", "character varying", "smallint", "integer", "bigint", "uuid", "name"}
_PARTS = _PLAIN | TIMES | {"character", "boolean"}
_NAMES = {"text", "character varying", "uuid", "name"}  # what may name a row, where a number may be unique by chance
MAX_TRIED = 8  # columns among which pairs and triples are tried
MAX_CHECKED = 12  # sets of columns that are checked on the whole table


@dataclass(frozen=True, slots=True, kw_only=True)
class RowKey:
    """The key of a row, and SQL that reads it."""

    columns: tuple[str, ...]
    """Columns of the table; none if the row's content is the key."""
    expression: str
    why: str
    within_partition: bool = False
    """Whether it recurs in other partitions, so that labels are joined by key and time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Panel:
    """What tells whether a column names an entity that has one row in each partition."""

    reader: TableReader
    profile: Profile
    clock: Clock
    every: str

    def key(self, columns: tuple[str, ...]) -> RowKey | None:
        """Return the column that is left without the time as the key, if it is one column, once per partition."""
        others = [name for name in columns if name != self.clock.column.name]
        if len(others) != 1 or self.profile.column(others[0]).type not in _PLAIN:
            return None
        if not self.reader.is_once_per(others[0], self.every, self.clock.local):
            return None
        why = f"once per {self.every}; it recurs, so labels.sql returns the time too"
        return RowKey(columns=(others[0],), expression=quoted(others[0]), why=why, within_partition=True)


def guess_key(
    reader: TableReader, profile: Profile, calendar: tuple[Clock, str] | None, label: str, asked: tuple[str, ...]
) -> RowKey:
    """Return the key: the columns asked for, else the first set of columns that is unique in the whole table.

    An entity's column and the time are one key only if the entity has several rows in a partition; otherwise the entity is
    the key, within a partition.

    Parameters
    ----------
    calendar : (Clock, str), optional
        The event's time and the length of a partition; None if rows have no time.
    label : str
        The label's column.
    asked : tuple of str
        Columns asked for; empty to guess.
    """
    panel = calendar and _Panel(reader=reader, profile=profile, clock=calendar[0], every=calendar[1])
    time = calendar and calendar[0].column.name
    if asked:
        columns = tuple(profile.column(name).name for name in asked)
        found = None if not panel or (len(columns) == 1 and reader.is_unique(columns)) else panel.key(columns)
        return found or _key(profile, columns, "as asked")
    if profile.unique and not set(profile.unique[0]) & {label}:
        columns = profile.unique[0]
        found = panel.key(columns) if panel and time in columns else None
        return found or _key(profile, columns, "the table's primary key or unique index")
    n_checked = 0
    for columns in _sets(profile, time, label):
        if n_checked < MAX_CHECKED and _is_unique_in_sample(profile, columns):
            n_checked += 1
            if reader.is_unique(columns):
                found = panel.key(columns) if panel and len(columns) > 1 else None
                return found or _key(profile, columns, "unique in all rows of the table")
    return _content(profile, label)


def _sets(profile: Profile, time: str | None, label: str) -> Iterator[tuple[str, ...]]:
    """Return the sets of columns to try, the most plausible first."""
    usable = [column for column in profile.columns if column.type in _PARTS and column.name != label]
    ids = [column.name for column in usable if column.is_id and column.type not in TIMES]
    others = [c.name for c in usable if c.name not in ids and c.type in _PLAIN and c.name != time]
    yield from ((name,) for name in ids)
    names = [(name,) for name in others if profile.column(name).type in _NAMES]
    if time is None:
        yield from names
        yield from combinations(ids, 2)
        return
    few = [*ids, *others][:MAX_TRIED]
    yield (time,)
    yield from names
    yield from ((name, time) for name in [*ids, *others])
    yield from combinations(ids, 2)
    yield from ((*pair, time) for pair in combinations(few, 2))


def _is_unique_in_sample(profile: Profile, columns: tuple[str, ...]) -> bool:
    by_column = {item.column: item.name for item in profile.features}
    names = [by_column.get(name, name) for name in columns]
    if any(name not in profile.sample for name in names):
        return False
    rows = profile.sample[names]
    return not rows.isna().any(axis=None) and not rows.duplicated().any()


def _key(profile: Profile, columns: tuple[str, ...], why: str) -> RowKey:
    if len(columns) == 1:
        name = quoted(columns[0])
        is_plain = profile.column(columns[0]).type in _PLAIN
        return RowKey(columns=columns, expression=name if is_plain else f"CAST({name} AS text)", why=why)
    listed = ", ".join(map(quoted, columns))
    return RowKey(columns=columns, expression=f"CAST(jsonb_build_array({listed}) AS text)", why=why)


def _content(profile: Profile, label: str) -> RowKey:
    """Return a key made of a row's content without its label; equal rows are numbered."""
    listed = ", ".join(quoted(column.name) for column in profile.columns if column.name != label)
    digest = f"md5(CAST(ROW({listed}) AS text))"
    number = f"row_number() OVER (PARTITION BY {digest} ORDER BY CAST({quoted(label)} AS text))"
    why = "no few columns are unique, so the content of a row is its key; a column with a number would be better"
    return RowKey(columns=(), expression=f"{digest} || '-' || {number}", why=why)
