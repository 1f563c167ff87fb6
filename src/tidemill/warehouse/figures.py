"""Figures of a model over its partitions. The role ``tidemill_reader`` is enough."""

from dataclasses import dataclass

from tidemill.records import FigureName, FigureOfPartition
from tidemill.warehouse.connections import fetch_all, transaction
from tidemill.warehouse.statements import execute

__all__ = ["MOST_PARTITIONS", "Wanted", "figure_names", "figures"]

N_NEWEST = 30  # partitions in which names are looked for
MOST_PARTITIONS = 5000  # of one answer: more than a decade of days


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which figure, of which rows, over which partitions."""

    part: str
    """Part of monitoring."""
    name: str
    """Name of the figure."""
    slice: str | None = None
    """Slice; None for all rows."""
    feature: str | None = None
    """Feature; None for a figure of no feature."""
    first: str | None = None
    """First partition; None for the oldest."""
    last: str | None = None
    """Last partition, included; None for the newest."""


def figure_names(url: str, model: str) -> tuple[FigureName, ...]:
    """Return the names and slices of the figures of a model's newest partitions."""
    with transaction(url) as cursor:
        execute(cursor, "figure_names", model=model, limit=N_NEWEST)
        return fetch_all(cursor, FigureName)


def figures(url: str, model: str, wanted: Wanted, limit: int = MOST_PARTITIONS) -> tuple[FigureOfPartition, ...]:
    """Return one figure over partitions, oldest first; if there are more, the newest.

    Parameters
    ----------
    url : str
        Connection of the ledger.
    model : str
        Name of the model.
    wanted : Wanted
        The figure.
    limit : int, default 5000
        How many partitions at most.
    """
    asked = {name: getattr(wanted, name) for name in Wanted.__slots__}
    with transaction(url) as cursor:
        execute(cursor, "figures", model=model, limit=limit, **asked)
        return fetch_all(cursor, FigureOfPartition)
