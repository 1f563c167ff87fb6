"""Where Airflow's pages find the console."""

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

__all__ = ["PREFIX", "PartitionLink", "root"]

PREFIX = "/tidemill"


def root() -> str:
    """Return the path of the console below the host of Airflow's UI."""
    base: str = conf.get("api", "base_url", fallback="")
    return urlsplit(base).path.rstrip("/") + PREFIX


class PartitionLink(BaseOperatorLink):
    """Button of a task: the page of the partition that its run is for."""

    name = "Partition"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:
        """Return the address of the page of the run's partition."""
        return f"{root()}/run/{quote(ti_key.dag_id, safe='')}/{quote(ti_key.run_id, safe='')}"
