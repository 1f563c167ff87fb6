"""MLflow: trainings for people to browse, and a mirror of the registry. The ledger stays the source of truth.

Only this package imports MLflow, which takes seconds. All operations are idempotent: a training has one run, found by its
tag, and each of its estimators and trials one nested run; a release has one version, found by its digest, and one run for
its daily pages.
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
from tidemill.tracking.server import BUDGET_S, Session, Tracking, answers, is_loopback, is_reachable, without_login
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
    "answers",
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
