"""Names that a spec may not take, because tables and views of the warehouse have them, and those of time zones."""

import re
from collections.abc import Mapping
from functools import cache
from zoneinfo import available_timezones

from tidemill.spec.data import Task

__all__ = ["ANSWER_COLUMNS", "OWN_TABLES", "VIEW_COLUMNS", "time_zones"]

OWN_TABLES = re.compile(r"(run|part)(_\d+)?")  # tidemill.prediction_<model> would collide with a ledger table
ANSWER_COLUMNS: Mapping[Task, set[str]] = {
    Task.BINARY: {"score", "predicted_label"},
    Task.MULTICLASS: {"score", "predicted_label", "probabilities"},
    Task.REGRESSION: {"prediction", "low", "high"},
}
"""Columns of the view ``predictions.<model>`` that hold predictions, by task."""
VIEW_COLUMNS = {"partition", "release_id", "prediction_run_id", "simulated", "published_at", "reasons"}
"""Columns of the view ``predictions.<model>`` other than the predictions, the key and the time."""


@cache  # finding them reads hundreds of files
def time_zones() -> set[str]:
    """Return the zones that are the same on every machine, which ``localtime`` is not."""
    return available_timezones() - {"localtime", "Factory"}
