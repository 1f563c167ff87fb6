"""Links between the console's pages, and from them to Airflow and MLflow."""

from urllib.parse import quote, urlsplit

from tidemill.records import AskedRun, FailedStep, OpenAlert, ReleaseOrigin, StepOfPartition, UnrecordedFailure
from tidemill.report.html import Link

__all__ = ["release_links", "report_trail", "run_path", "task_path", "trail_of"]

UP = "../../"
"""From a page ``<model>/<kind>/<name>/`` to the model's."""


def trail_of(model: str, *here: str, up: str = UP) -> tuple[Link, ...]:
    """Return the way from all models to a page: the last entry is the page itself, without an address.

    Parameters
    ----------
    up : str, default ``../../``
        From the page to that of the model.
    """
    return (Link("All models", f"{up}../"), Link(model, up), *(Link(text) for text in here))


def report_trail(model: str, partition: str | None) -> tuple[Link, ...]:
    """Return the way to a stored report, by its partition if the link to it names one."""
    *above, _ = trail_of(model, "report")
    between = [Link(partition, f"{UP}partitions/{quote(partition)}/")] if partition else []
    return (*above, *between, Link("report"))


def release_links(model: str, origin: ReleaseOrigin, tracking_uri: str | None) -> tuple[Link, ...]:
    """Return the links of a release's page: card, pages about its training data, and MLflow."""
    pages = (("profile of the training data", origin.profile), ("contract", origin.contract))
    stored = [Link(name, f"{UP}{uri.removeprefix(f'{model}/')}/") for name, uri in pages if uri]
    return (Link("model card", "card/"), *stored, *_mlflow_links(tracking_uri, model, origin))


def run_path(step: StepOfPartition | FailedStep | UnrecordedFailure | OpenAlert | AskedRun) -> str:
    """Return the path of a step's DAG run in Airflow; empty if Airflow did not run it."""
    if not (step.dag_id and step.dag_run_id):
        return ""
    return f"dags/{quote(step.dag_id, safe='')}/runs/{quote(step.dag_run_id, safe='')}"


def task_path(step: StepOfPartition | FailedStep | OpenAlert) -> str:
    """Return the path of a step's task in Airflow, which opens with its log; empty if Airflow did not run it."""
    run = run_path(step)
    if not (run and step.task_id):
        return ""
    mapped = f"/mapped/{step.map_index}" if step.map_index is not None and step.map_index >= 0 else ""
    attempt = f"?try_number={step.try_number}" if step.try_number else ""
    return f"{run}/tasks/{quote(step.task_id, safe='')}{mapped}{attempt}"


def _mlflow_links(tracking_uri: str | None, model: str, origin: ReleaseOrigin) -> tuple[Link, ...]:
    """Return the links to a release's run and version in MLflow; none without a server, or before MLflow shows it."""
    parts = urlsplit(tracking_uri or "")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ()
    server = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl().rstrip("/")
    run, version = origin.mlflow_run_id, origin.mlflow_version
    links = [Link("MLflow run", f"{server}/#/runs/{quote(run, safe='')}")] if run else []
    if version:
        name = f"{quote(model, safe='')}/versions/{quote(version, safe='')}"
        links.append(Link(f"MLflow version {version}", f"{server}/#/models/{name}"))
    return tuple(links)
