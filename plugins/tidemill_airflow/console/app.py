"""The console inside Airflow's UI: whether every model is fine, and why not.

It is an app below Airflow's API server, which protects no plugin's app. So every page asks Airflow who the reader is, and
shows a model to those who may read the runs of its DAGs. It reads the ledger as ``tidemill_reader``, the storage, and
Airflow's runs and heartbeats. It writes nothing, and runs no script.
"""

from dataclasses import replace
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from tidemill.errors import ArtifactCorrupt, TidemillError
from tidemill.report.console import model_page, models_page
from tidemill.report.pages import evaluation_page, read_pictures
from tidemill.storage.store import Store
from tidemill.warehouse.overview import Overview
from tidemill.workspace import SOURCE, Workspace
from tidemill_airflow.connections import connection_url
from tidemill_airflow.console.airflow_state import observe, outages
from tidemill_airflow.model_dags import PURPOSE

__all__ = ["app", "ledger"]

app = FastAPI(title="Tidemill", docs_url=None, redoc_url=None, openapi_url=None)

HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'self'",  # the UI shows the pages in a frame; the rest is in each page
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
}


def _permitted(
    model: Annotated[str, Path(pattern="^[a-z][a-z0-9_]{0,47}$")], request: Request, user: GetUserDep
) -> str:
    requires_access_dag("GET", DagAccessEntity.RUN, f"{model}_predict")(request, user)
    return model


def ledger() -> Overview:
    """Return the ledger as the reader's role sees it, judged at the database's present time."""
    return Overview(connection_url(SOURCE))


Model = Annotated[str, Depends(_permitted)]
Ledger = Annotated[Overview, Depends(ledger)]
Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]


@app.get("/")
def _models(request: Request, user: GetUserDep, session: SessionDep, overview: Ledger) -> Response:
    stopped = outages()
    readable = [state for state in overview.models() if _may_read(state.model, request, user)]
    return _html(models_page([observe(session, overview, state, stopped) for state in readable], stopped))


@app.get("/dag/{dag_id}")
def _model_of_a_dag(dag_id: str, request: Request, user: GetUserDep) -> Response:
    """Redirect to the model of a DAG, or to all models if the DAG belongs to none."""
    model, _, verb = dag_id.rpartition("_")
    place = f"{model}/" if verb in PURPOSE and model.isidentifier() else ""
    return RedirectResponse(f"{request.scope['root_path']}/{place}")


@app.get("/{model}/")
def _model(model: Model, session: SessionDep, overview: Ledger) -> Response:
    details = overview.model(model)
    if details is None:
        return _missing(f"Model {model} has never run.")
    return _html(model_page(replace(details, state=observe(session, overview, details.state, outages()))))


@app.get("/{model}/releases/{release_id}/")
def _release(model: Model, release_id: Annotated[int, Path(ge=1, lt=2**63)], overview: Ledger) -> Response:
    found = overview.release(model, release_id)
    if found is None:
        return _missing(f"Model {model} has no release {release_id}.")
    evaluation = found.evaluation
    folder = _store().folder(evaluation.uri, evaluation.uri.rpartition("/")[2])
    return _html(evaluation_page(found.snapshot, evaluation, found.decision, pictures=read_pictures(folder)))


@app.get("/{model}/reports/{digest}/")
def _report(model: Model, digest: Digest) -> Response:
    page = _store().folder(f"{model}/reports/{digest}", digest) / "index.html"
    return _html(page.read_text(encoding="utf-8")) if page.is_file() else _missing(f"Report {digest} is not a page.")


@app.exception_handler(HTTPException)
def _refused(_: Request, error: HTTPException) -> Response:
    return PlainTextResponse(str(error.detail), error.status_code, HEADERS)


@app.exception_handler(RequestValidationError)
def _no_address(_: Request, __: RequestValidationError) -> Response:
    return _missing("There is no such page.")


@app.exception_handler(TidemillError)
def _failed(_: Request, error: TidemillError) -> Response:
    return _missing(str(error)) if isinstance(error, ArtifactCorrupt) else PlainTextResponse(str(error), 503, HEADERS)


def _may_read(model: str, request: Request, user: BaseUser) -> bool:
    try:
        _permitted(model, request, user)
    except HTTPException:
        return False
    return True


def _html(page: str) -> Response:
    return HTMLResponse(page, headers=HEADERS)


def _missing(why: str) -> Response:
    return PlainTextResponse(why, 404, HEADERS)


def _store() -> Store:
    return Store.of(Workspace.from_environment())
