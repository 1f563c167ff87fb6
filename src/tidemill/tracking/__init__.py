"""MLflow: trainings for people to browse, and a mirror of the registry. The ledger stays the source of truth.

Only this package imports MLflow, which takes seconds. All operations are idempotent: a training has one run, found by its
tag, and each of its estimators and trials one nested run; a release has one version, found by its digest, and one run for
its daily pages.
"""

from tidemill.tracking.models import ensure_model
from tidemill.tracking.pages import PAGES_OF, DailyPage, show_page
from tidemill.tracking.registry import (
    ReleaseTags,
    champion_of,
    ensure_version,
    point,
)
from tidemill.tracking.runs import show
from tidemill.tracking.server import Session, Tracking, answers, is_reachable, without_login
from tidemill.tracking.showing import Child, DataUsed, Training

__all__ = [
    "PAGES_OF",
    "Child",
    "DailyPage",
    "DataUsed",
    "ReleaseTags",
    "Session",
    "Tracking",
    "Training",
    "answers",
    "champion_of",
    "ensure_model",
    "ensure_version",
    "is_reachable",
    "point",
    "show",
    "show_page",
    "without_login",
]
