"""MLflow: where people look at trainings, and a mirror of the registry. The ledger stays the truth.

The only place that imports MLflow, which takes seconds. Everything here may be done again: a training has one run, found
by its tag, each of its estimators and trials one nested run, and a release has one version, found by its digest.
"""

from tidemill.tracking.registry import (
    CHALLENGER,
    CHAMPION,
    RELEASE,
    ReleaseTags,
    champion_of,
    download,
    ensure_version,
    point,
)
from tidemill.tracking.runs import show
from tidemill.tracking.server import BUDGET_S, Session, Tracking, is_reachable
from tidemill.tracking.showing import Child, DataUsed, Training

__all__ = [
    "BUDGET_S",
    "CHALLENGER",
    "CHAMPION",
    "RELEASE",
    "Child",
    "DataUsed",
    "ReleaseTags",
    "Session",
    "Tracking",
    "Training",
    "champion_of",
    "download",
    "ensure_version",
    "is_reachable",
    "point",
    "show",
]
