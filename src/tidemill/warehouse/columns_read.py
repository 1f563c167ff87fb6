"""The tables and columns that a query really reads, by the plan of ``EXPLAIN VERBOSE``, whatever they are called in the query.

A plan resolves views, aliases and common table expressions into tables, and leaves out what no reader needs. It does not show
the inside of functions that Postgres cannot inline.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tidemill.warehouse.connections import Cursor
from tidemill.warehouse.model_queries import Query
from tidemill.warehouse.plans import PARENT, Node, expressions_of, plan_of

__all__ = ["ColumnsRead", "columns_read", "missing_tables", "views_among"]

_PROJECTING = frozenset(
    {"Nested Loop", "Hash Join", "Merge Join", "Aggregate", "Group", "WindowAgg", "Result", "ProjectSet", "Limit"}
)
"""Parents that pick what they need from a scan, which may therefore hand over every column of its table."""
_TABLES = """
    SELECT namespace.nspname, relation.relname, coalesce(
        root_schema.nspname || '.' || root.relname, namespace.nspname || '.' || relation.relname)
    FROM pg_catalog.pg_class AS relation
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    LEFT JOIN pg_catalog.pg_class AS root ON root.oid = pg_catalog.pg_partition_root(relation.oid)
    LEFT JOIN pg_catalog.pg_namespace AS root_schema ON root_schema.oid = root.relnamespace
    WHERE (namespace.nspname, relation.relname) IN (SELECT * FROM unnest(%s::text[], %s::text[]))"""
_KINDS = """
    SELECT nspname || '.' || relname, relkind::text
    FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname || '.' || relname = ANY (%s::text[])"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnsRead:
    """What a query reads."""

    tables: frozenset[str]
    """Tables as ``schema.table``; of a partitioned table the table itself."""
    columns: Mapping[str, tuple[str, ...]]
    """For each column, as ``schema.table.column``, the columns of the result that show it; ``table.*`` for whole rows."""


def columns_read(
    cursor: Cursor, query: Query, parameters: Mapping[str, datetime], wanted: Sequence[str]
) -> ColumnsRead:
    """Return what a query reads to compute some columns of its result, its conditions included.

    Parameters
    ----------
    cursor : cursor
        Of the transaction from ``frozen_view``.
    query, parameters
        As for ``describe``.
    wanted : sequence of str
        Columns of the result.
    """
    nodes = plan_of(cursor, query, parameters, wanted)
    tables = _tables(cursor, nodes)
    of_alias = {
        node["Alias"]: tables[node["Schema"], node["Relation Name"]] for node in nodes if "Relation Name" in node
    }
    found: dict[str, tuple[str, ...]] = {}
    for name, text in _expressions(nodes, wanted):
        for column in _columns(text, of_alias):
            found[column] = tuple(dict.fromkeys((*found.get(column, ()), *([name] if name else []))))
    return ColumnsRead(tables=frozenset(of_alias.values()), columns=found)


def views_among(cursor: Cursor, names: Sequence[str]) -> list[str]:
    """Return which of some names, as ``schema.table``, are views: a plan shows the tables behind them instead."""
    return sorted(name for name, kind in _kinds(cursor, names).items() if kind == "v")


def missing_tables(cursor: Cursor, names: Sequence[str]) -> list[str]:
    """Return which of some names, as ``schema.table``, do not exist."""
    return sorted(set(names) - _kinds(cursor, names).keys())


def _kinds(cursor: Cursor, names: Sequence[str]) -> dict[str, str]:
    cursor.execute(_KINDS, (list(names),))
    return dict(cursor.fetchall())


def _tables(cursor: Cursor, nodes: Sequence[Node]) -> dict[tuple[str, str], str]:
    """Return the full name of each table in the plan; of a partition, that of the partitioned table."""
    scanned = sorted({(node["Schema"], node["Relation Name"]) for node in nodes if "Relation Name" in node})
    cursor.execute(_TABLES, ([schema for schema, _ in scanned], [table for _, table in scanned]))
    return {(schema, table): full for schema, table, full in cursor.fetchall()}


def _expressions(nodes: Sequence[Node], wanted: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each expression, with the column of the result that it is, if it is one."""
    yield from zip(wanted, nodes[0]["Output"], strict=True)
    for node in nodes:
        skipped = {"Output"} if node is nodes[0] or _hands_over(node) else set()
        yield from (("", text) for text in expressions_of({k: v for k, v in node.items() if k not in skipped}))


def _hands_over(node: Node) -> bool:
    is_input = node.get("Parent Relationship") in ("Outer", "Inner")  # a common table expression hands over its result
    return is_input and "Relation Name" in node and node.get(PARENT) in _PROJECTING


def _columns(text: str, of_alias: Mapping[str, str]) -> Iterator[str]:
    """Yield the columns of tables in an expression; literals are not columns.

    Examples
    --------
    >>> list(_columns("(p.age + length('p.name'))", {"p": "raw.people"}))
    ['raw.people.age']
    """
    identifier = r'(?:"(?:[^"]|"")+"|[\w$]+)'
    bare = re.sub(r"'(?:[^']|'')*'", "", text)
    for alias, column in re.findall(rf"({identifier})\.({identifier}|\*)", bare):
        table = of_alias.get(_unquoted(alias))
        if table is not None:
            yield f"{table}.{_unquoted(column)}"


def _unquoted(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier
