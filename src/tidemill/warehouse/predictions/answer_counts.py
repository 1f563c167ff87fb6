"""Answers of a prediction run counted by the server, so that its rows are neither sorted nor sent."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2 import sql

from tidemill.warehouse.connections import fetch_all, transaction

__all__ = ["BinCount", "count_levels", "count_numbers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BinCount:
    """Numbers between two edges."""

    bin: int
    """Number of the bin, from 0, which lies below the first edge."""
    n: int
    minimum: float
    maximum: float
    mean: float
    variance: float
    """Population variance."""


def count_numbers(url: str, prediction_run_id: int, edges: Sequence[float]) -> tuple[BinCount, ...]:
    """Count the scores of a prediction run between ascending edges; a bin includes its lower edge.

    Parameters
    ----------
    url : str
        Connection; any role may read.
    edges : sequence of float
        Edges; without any, all rows are in bin 0.
    """
    bucket = "width_bucket(score, %(edges)s::float8[])" if edges else "0"
    query = sql.SQL(
        f"SELECT {bucket} AS bin, count(*) AS n, min(score) AS minimum, max(score) AS maximum, avg(score) AS mean,"
        " var_pop(score) AS variance FROM {} GROUP BY 1 ORDER BY 1"
    ).format(_table(prediction_run_id))
    with transaction(url) as cursor:
        cursor.execute(query, {"edges": list(edges)})
        return fetch_all(cursor, BinCount)


def count_levels(url: str, prediction_run_id: int, column: str) -> dict[str, int]:
    """Count the rows of each level of a text column of a prediction run."""
    query = sql.SQL("SELECT {}, count(*) FROM {} GROUP BY 1 ORDER BY 1")
    with transaction(url) as cursor:
        cursor.execute(query.format(sql.Identifier(column), _table(prediction_run_id)))
        return dict(cursor.fetchall())


def _table(prediction_run_id: int) -> sql.Identifier:
    return sql.Identifier("tidemill", f"prediction_run_{int(prediction_run_id)}")
