"""The plan of a query, by ``EXPLAIN VERBOSE``: its nodes, and the expressions in them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg2 import sql

from tidemill.warehouse.connections import Cursor
from tidemill.warehouse.model_queries import Query

__all__ = ["PARENT", "Node", "expressions_of", "plan_of"]

Node = dict[str, Any]
PARENT = "Parent Node Type"
"""Key of a node's parent's type; missing in the root."""
_NAMES = {
    "Node Type",
    "Schema",
    "Relation Name",
    "Alias",
    "Index Name",
    "Parent Relationship",
    PARENT,
    "CTE Name",
    "Subplan Name",
}


def plan_of(
    cursor: Cursor, query: Query, parameters: Mapping[str, datetime], columns: Sequence[str] = ()
) -> list[Node]:
    """Return the nodes of a query's plan, the root first, without running it.

    Parameters
    ----------
    cursor : cursor
        Of the transaction from ``frozen_view``.
    query, parameters
        As for ``describe``.
    columns : sequence of str, default ()
        Columns of its result that somebody reads; all by default. What only others need is not in the plan.
    """
    cursor.execute("SET LOCAL enable_partition_pruning = off; SET LOCAL constraint_exclusion = off")  # sees all tables
    selected = ", ".join(sql.Identifier(name).as_string(cursor).replace("%", "%%") for name in columns) or "*"
    statement = cursor.mogrify(f"SELECT {selected} FROM ({query}\n) AS query", parameters).decode()
    cursor.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) {statement}")
    ((plan,),) = cursor.fetchall()
    return list(_nodes(plan[0]["Plan"]))


def expressions_of(node: Node) -> Iterator[str]:
    """Yield the expressions of a node: output, conditions, keys."""
    for key, value in node.items():
        if key not in _NAMES:
            yield from (item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str))


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes({**child, PARENT: node["Node Type"]})
