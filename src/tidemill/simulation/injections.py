"""Faults of the source, injected into a simulated past: a monitor should detect them on the first day.

An injection is written as text, and becomes statements on the simulation's copy of the rows. It lasts from the start of
its partition to the end of the past.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from psycopg2 import sql

from tidemill.errors import SpecError

__all__ = ["FEATURES_TABLE", "LABELS_TABLE", "WRONG_UNTIL", "Injection"]

FEATURES_TABLE = sql.Identifier("simulation", "features")
LABELS_TABLE = sql.Identifier("simulation", "labels")
WRONG_UNTIL = "simulation_wrong_until"
"""Column of the copied labels: the instant at which a wrong one is corrected; NULL for a right one."""

_WORDS = re.compile(
    r"(?:(?P<null>null):(?P<emptied>\w+)"
    r"|(?P<scale>scale):(?P<scaled>\w+)\*(?P<factor>\d+(?:\.\d+)?)"
    r"|(?P<rename>rename):(?P<renamed>\w+)=(?P<old>[^=@]+)->(?P<new>[^=@]+)"
    r"|(?P<delayed>labels_late|labels_corrected):(?P<days>[1-9]\d{0,3})"
    r"|(?P<plain>labels_stop|half|double))"
    r"@(?P<partition>[^@]+)"
)
_KNOWN = (
    "null:<column>@<partition>, scale:<column>*<factor>@<partition>, rename:<column>=<old>-><new>@<partition>, "
    "half@<partition>, double@<partition>, labels_late:<days>@<partition>, labels_corrected:<days>@<partition> or "
    "labels_stop@<partition>"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """One fault of the source."""

    kind: str
    """``null``, ``scale``, ``rename``, ``half``, ``double``, ``labels_late``, ``labels_corrected`` or ``labels_stop``."""
    partition: str
    """Key of the first affected partition, e.g. ``2013-06-10``."""
    column: str | None = None
    """The affected feature; None if it affects whole rows."""
    old: str = ""
    """The category to rename."""
    new: str = ""
    """Its new name."""
    factor: float = 1.0
    """The factor of numbers."""
    days: int = 0
    """Days by which labels arrive late, or after which wrong ones are corrected."""

    @classmethod
    def parse(cls, words: str) -> Self:
        """Parse an injection.

        Raises
        ------
        SpecError
            If the text is not an injection.

        Examples
        --------
        >>> Injection.parse("scale:temp*1000@2013-06-10").factor
        1000.0
        >>> Injection.parse("rename:carrier=UA->UAL@2013-06-10").new
        'UAL'
        """
        match = _WORDS.fullmatch(words)
        if match is None:
            raise SpecError(f"{words!r} is not an injection.", f"Write {_KNOWN}.")
        return cls(
            kind=match["null"] or match["scale"] or match["rename"] or match["delayed"] or match["plain"],
            partition=match["partition"],
            column=match["emptied"] or match["scaled"] or match["renamed"],
            old=match["old"] or "",
            new=match["new"] or "",
            factor=float(match["factor"] or 1),
            days=int(match["days"] or 0),
        )

    @property
    def words(self) -> str:
        """The injection as on the command line."""
        what = {
            "null": f":{self.column}",
            "scale": f":{self.column}*{self.factor:g}",
            "rename": f":{self.column}={self.old}->{self.new}",
            "labels_late": f":{self.days}",
            "labels_corrected": f":{self.days}",
        }.get(self.kind, "")
        return f"{self.kind}{what}@{self.partition}"

    def statements(
        self, entity_key: str, event_time: str, start: datetime, label: str = "label"
    ) -> Iterator[sql.Composable]:
        """Yield the statements that inject the fault into the copied rows.

        Parameters
        ----------
        entity_key, event_time : str
            Columns of the copied features.
        start : datetime
            First instant of ``partition``.
        label : str, default "label"
            Column of the copied labels.
        """
        hit = sql.SQL("{} >= {}").format(sql.Identifier(event_time), sql.Literal(start))
        key = sql.Identifier(entity_key)
        if self.kind == "labels_corrected":
            yield from _labels_corrected(self, key, sql.Identifier(label), start)
        else:
            yield from _STATEMENTS[self.kind](self, key, hit, start)

    def counting(self, entity_key: str, event_time: str, start: datetime, end: datetime) -> sql.Composable:
        """Return the query that counts the rows of an interval that the fault would change.

        Parameters
        ----------
        entity_key, event_time : str
            Columns of the copied features.
        start, end : datetime
            The interval, half-open.
        """
        changed = _CHANGED.get(self.kind, "true")
        where = sql.SQL(f"{{time}} >= {{start}} AND {{time}} < {{end}} AND ({changed})").format(
            time=sql.Identifier(event_time),
            start=sql.Literal(start),
            end=sql.Literal(end),
            key=sql.Identifier(entity_key),
            old=sql.Literal(self.old),
            column=sql.Identifier(self.column or entity_key),
        )
        return sql.SQL("SELECT count(*) FROM {} WHERE {}").format(FEATURES_TABLE, where)


Statements = Iterator[sql.Composable]


def _null(injection: Injection, key: sql.Composable, hit: sql.Composable, start: datetime) -> Statements:
    yield sql.SQL("UPDATE {} SET {} = NULL WHERE {}").format(FEATURES_TABLE, _column(injection), hit)


def _scale(injection: Injection, key: sql.Composable, hit: sql.Composable, start: datetime) -> Statements:
    column = _column(injection)
    yield sql.SQL("UPDATE {} SET {} = {} * {} WHERE {}").format(
        FEATURES_TABLE, column, column, sql.Literal(injection.factor), hit
    )


def _rename(injection: Injection, key: sql.Composable, hit: sql.Composable, start: datetime) -> Statements:
    column = _column(injection)
    yield sql.SQL("UPDATE {} SET {} = {} WHERE {} = {} AND {}").format(
        FEATURES_TABLE, column, sql.Literal(injection.new), column, sql.Literal(injection.old), hit
    )


def _half(injection: Injection, key: sql.Composable, hit: sql.Composable, start: datetime) -> Statements:
    yield sql.SQL("DELETE FROM {} WHERE {} AND hashtext({}::text) % 2 = 0").format(FEATURES_TABLE, hit, key)


def _double(injection: Injection, key: sql.Composable, hit: sql.Composable, start: datetime) -> Statements:
    # The same rows under other keys, as in a source that was loaded twice.
    yield sql.SQL("CREATE TEMP TABLE twice AS SELECT * FROM {} WHERE {}").format(FEATURES_TABLE, hit)
    yield sql.SQL("UPDATE twice SET {} = {}").format(key, sql.SQL("{} || '#2'").format(key))
    yield sql.SQL("INSERT INTO {} SELECT * FROM twice").format(FEATURES_TABLE)
    yield sql.SQL("DROP TABLE twice")


def _labels_stop(injection: Injection, key: sql.Composable, hit: sql.Composable, start: datetime) -> Statements:
    yield sql.SQL("DELETE FROM {} WHERE observed_at >= {}").format(LABELS_TABLE, sql.Literal(start))


def _labels_late(injection: Injection, key: sql.Composable, hit: sql.Composable, start: datetime) -> Statements:
    yield sql.SQL("UPDATE {} SET observed_at = observed_at + {} WHERE observed_at >= {}").format(
        LABELS_TABLE, sql.Literal(timedelta(days=injection.days)), sql.Literal(start)
    )


def _labels_corrected(injection: Injection, key: sql.Composable, label: sql.Composable, start: datetime) -> Statements:
    """Yield statements by which each label is first that of the next row, and right some days later."""
    yield sql.SQL(
        "CREATE TEMP TABLE wrong AS SELECT l.*, lead({label}, 1, {label}) OVER (ORDER BY {key}) AS of_next"
        " FROM {table} l WHERE observed_at >= {start}"
    ).format(label=label, key=key, table=LABELS_TABLE, start=sql.Literal(start))
    yield from _labels_late(injection, key, label, start)
    yield sql.SQL(f"UPDATE wrong SET {{}} = of_next, {WRONG_UNTIL} = observed_at + {{}}").format(
        label, sql.Literal(timedelta(days=injection.days))
    )
    yield sql.SQL("ALTER TABLE wrong DROP COLUMN of_next")
    yield sql.SQL("INSERT INTO {} SELECT * FROM wrong").format(LABELS_TABLE)
    yield sql.SQL("DROP TABLE wrong")


_STATEMENTS: dict[str, Callable[[Injection, sql.Composable, sql.Composable, datetime], Statements]] = {
    "null": _null,
    "scale": _scale,
    "rename": _rename,
    "half": _half,
    "double": _double,
    "labels_late": _labels_late,
    "labels_stop": _labels_stop,
}

_CHANGED = {
    "null": "{column} IS NOT NULL",
    "scale": "{column} <> 0",
    "rename": "{column} = {old}",
    "half": "hashtext({key}::text) % 2 = 0",
    "labels_corrected": "false",  # no alert is right: the figures are computed again
}


def _column(injection: Injection) -> sql.Identifier:
    assert injection.column is not None  # the parsed text has one
    return sql.Identifier(injection.column)
