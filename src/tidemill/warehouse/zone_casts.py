"""Wall clocks interpreted as UTC: where a query converts a ``timestamp`` or ``date`` to an instant without a zone.

Postgres then silently uses the session's time zone, which is UTC here. The plan of ``EXPLAIN VERBOSE`` shows such
conversions, explicit and implicit. It shows neither the inside of functions that Postgres cannot inline nor the type of an
expression, so only columns of tables in a converted expression are found.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from tidemill.warehouse.connections import Cursor
from tidemill.warehouse.model_queries import Query
from tidemill.warehouse.plans import expressions_of, plan_of

__all__ = ["find_zone_casts"]

_INSTANT = "::timestamp with time zone"
_CLOCKS = """
    SELECT DISTINCT attname
    FROM pg_catalog.pg_attribute
    JOIN pg_catalog.pg_class ON pg_class.oid = attrelid
    JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
    WHERE (nspname, relname) IN (SELECT * FROM unnest(%s::text[], %s::text[])) AND atttypid = ANY (%s::regtype[])
    ORDER BY attname"""


def find_zone_casts(
    cursor: Cursor, query: Query, parameters: Mapping[str, datetime], timezone: str
) -> list[tuple[str, str]]:
    """Return each column without a zone that the query interprets as UTC, with the expression that does so.

    For a model in UTC only casts of ``timestamp`` are returned, because a date then does begin at midnight UTC.

    Parameters
    ----------
    cursor : cursor
        Of the transaction from ``frozen_view``.
    query, parameters
        As for ``describe``.
    """
    in_utc = timezone in ("UTC", "Etc/UTC")
    nodes = plan_of(cursor, query, parameters)
    tables = sorted({(node["Schema"], node["Relation Name"]) for node in nodes if "Relation Name" in node})
    types = ["timestamp"] if in_utc else ["timestamp", "date"]
    cursor.execute(_CLOCKS, ([table[0] for table in tables], [table[1] for table in tables], types))
    clocks = [name for (name,) in cursor.fetchall()]
    texts = dict.fromkeys(text for node in nodes for text in expressions_of(node))
    found: dict[str, str] = {}
    for text in texts:
        for expression in (*_cast(text), *(() if in_utc else _compared(text))):
            for name in clocks:
                if name not in found and _mentions(expression, name):
                    found[name] = expression
    return list(found.items())


def _cast(text: str) -> Iterator[str]:
    """Return the operands of casts to an instant, with the cast."""
    for match in re.finditer(re.escape(_INSTANT), text):
        start = _start_of_operand(text, match.start())
        yield text[start : match.end()]


def _compared(text: str) -> Iterator[str]:
    """Return comparisons of one value with the instant of a literal."""
    instant, value, operator = rf"'[^']*'{_INSTANT}", r"[\w.\"]+", r"(?:<=|>=|<>|=|<|>)"
    for pattern in (rf"{value} {operator} {instant}", rf"{instant} {operator} {value}"):
        yield from re.findall(pattern, text)


def _start_of_operand(text: str, end: int) -> int:
    """Return the start of the operand that ends at a position: its opening bracket or its first letter."""
    if not text[:end].endswith(")"):
        return re.search(r"(?:'[^']*'|[\w.\"]*)$", text[:end]).start()  # type: ignore[union-attr]  # also matches nothing
    depth = 0
    for at in range(end - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(text[at], 0)
        if depth == 0:
            return re.search(r"\w*$", text[:at]).start()  # type: ignore[union-attr]  # the name of a function, if any
    return 0


def _mentions(expression: str, name: str) -> bool:
    """Whether an expression contains a column without its own zone."""
    column = rf'(?:\w+\.)?(?:{re.escape(name)}\b|"{re.escape(name)}")'
    without = re.sub(rf"\(?{column} AT TIME ZONE [^)]*\)?|timezone\('[^']*'::text, \(?{column}\)?\)", "", expression)
    without = re.sub(r"'[^']*'", "", without)
    return re.search(rf"(?<![\w.\"]){column}", without) is not None
