"""Costs of a training's fits, from the runs of the step ``train``."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from tidemill.warehouse.connections import fetch_all, transaction
from tidemill.warehouse.statements import execute

__all__ = ["FitCost", "fit_costs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitCost:
    """One run of the step ``train``, its search included."""

    digest: str
    started_at: datetime
    """When it began."""
    wall_s: float
    cpu_s: float
    """Seconds of processor time."""
    peak_rss_bytes: int
    """Largest resident set of the process, bytes."""


def fit_costs(url: str, model: str, partition: str, digests: Collection[str]) -> dict[str, FitCost]:
    """Return the newest fit of each bundle, by digest.

    Parameters
    ----------
    url : str
        Connection; any role reads.
    """
    with transaction(url) as cursor:
        execute(cursor, "fit_costs", model=model, partition=partition, digests=list(digests))
        return {cost.digest: cost for cost in fetch_all(cursor, FitCost)}
