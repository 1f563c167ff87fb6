"""The console's pages. Every link is relative: the console lies below a path of Airflow's server."""

from tidemill.report.console.models import model_page, models_page
from tidemill.report.console.partition import partition_page
from tidemill.report.console.release import release_card_page

__all__ = ["model_page", "models_page", "partition_page", "release_card_page"]
