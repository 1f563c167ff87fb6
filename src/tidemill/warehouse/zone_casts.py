"""Wall clocks interpreted as UTC: where a query converts a ``timestamp`` or ``date`` to an instant without a zone.

Postgres then silently uses the session's time zone, which is UTC here. The plan of ``EXPLAIN VERBOSE`` shows such
conversions: explicit and implicit casts, functions that make an instant, and arithmetic with one. It shows neither the inside
of functions that Postgres cannot inline nor the type of an expression, so only columns of tables in a converted expression are
found.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import accumulate

from tidemill.warehouse.connections import Cursor
from tidemill.warehouse.model_queries import Query
from tidemill.warehouse.plans import expressions_of, plan_of

__all__ = ["IN_UTC", "find_zone_casts", "made_instants", "mentions", "zone_problem"]

IN_UTC = ("UTC", "Etc/UTC")
"""Time zones in which a date begins at midnight UTC."""
_INSTANT = "::timestamp with time zone"
_MAKES_INSTANT = re.compile(r"\b(?:to_timestamp|make_timestamptz)\s*\(", re.IGNORECASE)
_ALONE = re.compile(r" AND | OR | WHEN | THEN | ELSE ")  # between them, an expression is about one comparison or value
_BY_EPOCH = re.compile(
    rf"(?=.*'[^']*'{_INSTANT}).*(?:EXTRACT\(epoch|date_part\('epoch'|'::timestamp without time zone)"
)
_AS_CLOCK = re.compile(rf"'[^']*'{_INSTANT}\)+::(?:timestamp without time zone|date)\b")
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
    in_utc = timezone in IN_UTC
    nodes = plan_of(cursor, query, parameters)
    tables = sorted({(node["Schema"], node["Relation Name"]) for node in nodes if "Relation Name" in node})
    types = ["timestamp"] if in_utc else ["timestamp", "date"]
    cursor.execute(_CLOCKS, ([table[0] for table in tables], [table[1] for table in tables], types))
    clocks = [name for (name,) in cursor.fetchall()]
    texts = dict.fromkeys(text for node in nodes for text in expressions_of(node))
    found: dict[str, str] = {}
    for text in texts:
        for expression in (*_cast(text), *made_instants(text), *_computed(text), *(() if in_utc else _compared(text))):
            for name in clocks:
                if name not in found and mentions(expression, name):
                    found[name] = expression
    return list(found.items())


def zone_problem(name: str, expression: str, timezone: str) -> str:
    """Return a column without a zone that is interpreted as UTC as a sentence with advice."""
    return (
        f"{expression} reads {name!r}, which has no time zone, as UTC. Specify its time zone: "
        f"{name} AT TIME ZONE '{timezone}'."
    )


def _cast(text: str) -> Iterator[str]:
    """Return the operands of casts to an instant, with the cast."""
    for match in re.finditer(re.escape(_INSTANT), text):
        start = _start_of_operand(text, match.start())
        yield text[start : match.end()]


def made_instants(text: str) -> Iterator[str]:
    """Return the calls of functions that make an instant from numbers or from a text.

    Examples
    --------
    >>> list(made_instants("(to_timestamp(EXTRACT(epoch FROM placed)) >= now())"))
    ['to_timestamp(EXTRACT(epoch FROM placed))']
    """
    for match in _MAKES_INSTANT.finditer(text):
        depths = accumulate({"(": 1, ")": -1}.get(letter, 0) for letter in text[match.end() - 1 :])
        length = next((at for at, depth in enumerate(depths, 1) if depth == 0), len(text))
        yield text[match.start() : match.end() - 1 + length]


def _computed(text: str) -> Iterator[str]:
    """Return expressions that add seconds or a difference to the instant of a literal, or compare them."""
    return (piece for piece in _ALONE.split(text) if _BY_EPOCH.search(piece))


def _compared(text: str) -> Iterator[str]:
    """Return comparisons of one value with the instant of a literal, or with its clock or day."""
    instant, value, operator = rf"'[^']*'{_INSTANT}", r"[\w.\"]+", r"(?:<=|>=|<>|=|<|>)"
    for pattern in (rf"{value} {operator} {instant}", rf"{instant} {operator} {value}"):
        yield from re.findall(pattern, text)
    yield from (piece for piece in _ALONE.split(text) if _AS_CLOCK.search(piece))


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


def mentions(expression: str, name: str) -> bool:
    """Whether an expression contains a column without its own zone.

    Examples
    --------
    >>> mentions("to_timestamp(EXTRACT(epoch FROM o.placed))", "placed"), mentions("(placed AT TIME ZONE 'UTC')", "placed")
    (True, False)
    """
    column = rf'(?:\w+\.)?(?:{re.escape(name)}\b|"{re.escape(name)}")'
    without = re.sub(rf"\(?{column} AT TIME ZONE [^)]*\)?|timezone\('[^']*'::text, \(?{column}\)?\)", "", expression)
    without = re.sub(r"'[^']*'", "", without)
    return re.search(rf"(?<![\w.\"]){column}", without) is not None
