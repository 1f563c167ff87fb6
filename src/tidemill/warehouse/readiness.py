"""Ask the source whether a partition's data are ready. Imports little, because Airflow's triggerer polls."""

from collections.abc import Mapping
from datetime import datetime

from tidemill.errors import SpecError
from tidemill.warehouse.connections import transaction
from tidemill.warehouse.model_queries import bind

__all__ = ["ask_ready"]

TIMEOUT_S = 60  # seconds; the query runs four times a minute
NEXT_STEP = "Let it return one row: a boolean and, optionally, a reason as text."


def ask_ready(url: str, sql: str, file: str, parameters: Mapping[str, datetime]) -> tuple[bool, str]:
    """Run a model's ready query.

    Parameters
    ----------
    url : str
        Connection of a role that may read the source.
    file : str
        Its file, for messages.
    parameters : mapping of str to datetime
        Values of ``start``, ``end`` and ``cutoff``.

    Returns
    -------
    (bool, str)
        Whether the data are ready (NULL counts as no), and the reason why not, which is empty if they are.

    Raises
    ------
    SpecError
        If the query does not return one row with a boolean and at most one reason.
    """
    with transaction(url) as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", (f"{TIMEOUT_S}s",))
        cursor.execute(bind(sql, file), dict(parameters))
        rows = cursor.fetchmany(2)
    if len(rows) != 1 or not 1 <= len(rows[0]) <= 2:
        raise SpecError(
            f"{file} returned {len(rows) or 'no'} row(s) of {len(rows[0]) if rows else 0} columns.", NEXT_STEP
        )
    ready, reason = rows[0][0], rows[0][1] if len(rows[0]) == 2 else None
    if not (ready is None or isinstance(ready, bool)):
        raise SpecError(f"{file} returned {ready!r:.60}, which is not a boolean.", NEXT_STEP)
    return ready is True, "" if ready else str(reason or f"{file} returned {'NULL' if ready is None else 'false'}")
