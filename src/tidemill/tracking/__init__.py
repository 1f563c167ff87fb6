"""MLflow: where people look at trainings, and a mirror of the registry. The ledger stays the truth.

The only place that imports MLflow, which takes seconds. Everything here may be done again: a training has one run, found
by its tag, each of its estimators and trials one nested run; a release has one version, found by its digest, and one run
that its daily pages lie in.
"""

from tidemill.tracking.models import ensure_model
from tidemill.tracking.pages import PAGES_OF, DailyPage, show_page
from tidemill.tracking.registry import (
    CHALLENGER,
    CHAMPION,
    RELEASE,
    ReleaseTags,
    champion_of,
    ensure_version,
    point,
)
from tidemill.tracking.runs import show
from tidemill.tracking.server import BUDGET_S, Session, Tracking, is_loopback, is_reachable, without_login
from tidemill.tracking.showing import Child, DataUsed, StoragePlace, Training

__all__ = [
    "BUDGET_S",
    "CHALLENGER",
    "CHAMPION",
    "PAGES_OF",
    "RELEASE",
    "Child",
    "DailyPage",
    "DataUsed",
    "ReleaseTags",
    "Session",
    "StoragePlace",
    "Tracking",
    "Training",
    "champion_of",
    "ensure_model",
    "ensure_version",
    "is_loopback",
    "is_reachable",
    "point",
    "show",
    "show_page",
    "without_login",
]
