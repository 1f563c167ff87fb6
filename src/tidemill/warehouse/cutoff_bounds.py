"""Tables that a features query reads without a bound by ``:cutoff``, as far as the plan of ``EXPLAIN VERBOSE`` shows.

A table counts as bounded if the plan compares one of its columns with the cutoff anywhere. A table without a time column
cannot be bounded, so it is never named. The result is only a hint: functions that Postgres does not inline are not
examined, and a table that is bounded only through a joined table is named although it is bounded.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from tidemill.warehouse.connections import Cursor
from tidemill.warehouse.model_queries import Query
from tidemill.warehouse.plans import expressions_of, plan_of

__all__ = ["find_unbounded"]

_COLUMN = re.compile(r"[\w\"]\.[\w\"]")
_TIMED = """
    SELECT DISTINCT nspname || '.' || relname
    FROM pg_catalog.pg_attribute
    JOIN pg_catalog.pg_class ON pg_class.oid = attrelid
    JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
    WHERE (nspname, relname) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
      AND atttypid = ANY ('{timestamptz,timestamp}'::regtype[]) AND attnum > 0 AND NOT attisdropped"""


def find_unbounded(cursor: Cursor, query: Query, parameters: Mapping[str, datetime]) -> list[str]:
    """Return the tables with a time column that the query reads without comparing any of their columns with the cutoff.

    Parameters
    ----------
    cursor : cursor
        Of the transaction from ``frozen_view``.
    parameters : mapping of str to datetime
        Values of ``start``, ``end`` and ``cutoff``; the cutoff must differ from the others to be recognised in the plan.
    """
    nodes = plan_of(cursor, query, parameters)
    cursor.execute("SELECT CAST(%(cutoff)s AS timestamptz)::text", parameters)
    ((cutoff,),) = cursor.fetchall()
    bounds = [found for node in nodes for text in expressions_of(node) for found in _comparisons(text, f"'{cutoff}'")]
    read = {
        (node["Schema"], node["Relation Name"])
        for node in nodes
        if "Relation Name" in node and not any(_mentions(text, node["Alias"]) for text in bounds)
    }
    cursor.execute(_TIMED, ([schema for schema, _ in read], [table for _, table in read]))
    return sorted(name for (name,) in cursor.fetchall())


def _comparisons(expression: str, literal: str) -> Iterator[str]:
    """Yield the smallest bracket with a column around each mention of a literal."""
    for match in re.finditer(re.escape(literal), expression):
        start, end = match.span()
        while not _COLUMN.search(expression[start:end]) and (start, end) != (0, len(expression)):
            start, end = _bracket_around(expression, start, end)
        yield expression[start:end]


def _bracket_around(expression: str, start: int, end: int) -> tuple[int, int]:
    """Return the bounds of the bracket around a part of an expression; without a bracket, those of the whole."""
    depth = 1
    while start > 0 and depth:
        start -= 1
        depth += {")": 1, "(": -1}.get(expression[start], 0)
    depth = 1
    while end < len(expression) and depth:
        depth += {"(": 1, ")": -1}.get(expression[end], 0)
        end += 1
    return start, end


def _mentions(expression: str, alias: str) -> bool:
    quoted = f'"{alias}"'
    return re.search(rf"(?<![\w.\"])(?:{re.escape(alias)}|{re.escape(quoted)})\.", expression) is not None
