"""The console's pages. Every link is relative: the console lies below a path of Airflow's server."""

from tidemill.report.console.comparison import comparison_page
from tidemill.report.console.explore import explore_page
from tidemill.report.console.models import model_page, models_page
from tidemill.report.console.partition import partition_page
from tidemill.report.console.release import release_card_page
from tidemill.report.console.row import row_page
from tidemill.report.console.score import score_page

__all__ = [
    "comparison_page",
    "explore_page",
    "model_page",
    "models_page",
    "partition_page",
    "release_card_page",
    "row_page",
    "score_page",
]
