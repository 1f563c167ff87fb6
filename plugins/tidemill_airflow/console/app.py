"""The console inside Airflow's UI: whether every model is fine, and why not.

It is an app below Airflow's API server, which protects no plugin's app. So every page asks Airflow who the reader is, and
shows a model to those who may read the runs of its DAGs. It reads the ledger as ``tidemill_reader``, the storage, and
Airflow's runs and heartbeats. It writes nothing to the ledger, and runs no script: what a person asks for is a DAG run.
"""

from dataclasses import replace
from typing import Annotated, Literal
from urllib.parse import quote

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as AnyHTTPException

from tidemill.errors import ActionImpossible, ArtifactCorrupt, FormRefused, TidemillError
from tidemill.records import Wishes
from tidemill.report.console import (
    comparison_page,
    explore_page,
    model_page,
    models_page,
    partition_page,
    release_card_page,
    row_page,
    score_page,
)
from tidemill.report.console.explore import scripts
from tidemill.report.console.links import release_links, report_trail, trail_of
from tidemill.report.html import with_trail
from tidemill.report.pages import evaluation_page, read_pictures
from tidemill.score import read_scorecard
from tidemill.storage.bundles.load import MODEL_CARD
from tidemill.storage.store import Store
from tidemill.warehouse.connections import transaction
from tidemill.warehouse.overview import newest_spec
from tidemill.warehouse.predictions.lookup import N_SEARCHED, look_up_row
from tidemill.workspace import Workspace
from tidemill_airflow.console import api
from tidemill_airflow.console.access import (
    HEADERS,
    Digest,
    EntityKey,
    Ledger,
    Model,
    PartitionKey,
    ReleaseId,
    ledger,
    may_read,
    permitted,
    possible_actions,
)
from tidemill_airflow.console.airflow_state import asked_runs, observe, outages, partition_of, waiting_approvals
from tidemill_airflow.console.requests import router
from tidemill_airflow.model_dags import PURPOSE

__all__ = ["app", "ledger"]

app = FastAPI(title="Tidemill", docs_url=None, redoc_url=None, openapi_url=None)
app.include_router(router)
app.include_router(api.router)

Possible = Annotated[frozenset[str], Depends(possible_actions)]
STATUS: dict[type[TidemillError], int] = {ArtifactCorrupt: 404, FormRefused: 403, ActionImpossible: 409}
"""Status of the answer to each error; 503 for all others."""
SCRIPT_HEADERS = {
    "Content-Type": "text/javascript; charset=utf-8",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, max-age=3600",
}
PAGES = ("index.html", "profile.html")  # what a folder of reports may hold


@app.get("/")
def _models(request: Request, user: GetUserDep, session: SessionDep, overview: Ledger) -> Response:
    readable = [model for model in overview.names() if may_read(model, request, user)]
    stopped = outages()
    return _html(models_page(observe(session, overview, overview.states(readable), stopped), stopped))


@app.get("/dag/{dag_id}")
def _model_of_a_dag(dag_id: str, request: Request, user: GetUserDep) -> Response:
    """Redirect to the model of a DAG, or to all models if the DAG belongs to none."""
    model, _, verb = dag_id.rpartition("_")
    place = f"{model}/" if verb in PURPOSE and model.isidentifier() else ""
    return RedirectResponse(f"{request.scope['root_path']}/{place}")


@app.get("/run/{dag_id}/{run_id:path}")
def _partition_of_a_run(dag_id: str, run_id: str, request: Request, user: GetUserDep, session: SessionDep) -> Response:
    """Redirect to the partition of a DAG run, or to its model if the run names none."""
    model, _, verb = dag_id.rpartition("_")
    if verb not in PURPOSE or not model.isidentifier():
        return RedirectResponse(f"{request.scope['root_path']}/")
    permitted(model, request, user)
    key = partition_of(session, dag_id, run_id)
    place = f"partitions/{quote(key, safe='')}/" if key else ""
    return RedirectResponse(f"{request.scope['root_path']}/{model}/{place}")


@app.get("/{model}/")
def _model(model: Model, session: SessionDep, overview: Ledger, possible: Possible) -> Response:
    details = overview.model(model)
    if details is None:
        return _missing(f"Model {model} has never run.")
    (state,) = observe(session, overview, [details.state], outages())
    wishes = Wishes(possible=possible, asked=asked_runs(session, model), waiting=waiting_approvals(session, model))
    return _html(model_page(replace(details, state=state), wishes))


@app.get("/{model}/partitions/{partition}/")
def _partition(model: Model, partition: PartitionKey, overview: Ledger, possible: Possible) -> Response:
    found = overview.partition(model, partition)
    if found is None:
        return _missing(f"Nothing has run for {partition} of model {model}.")
    return _html(partition_page(found, possible))


@app.get("/{model}/rows/")
def _row(model: Model, overview: Ledger, key: EntityKey = "", partition: PartitionKey | Literal[""] = "") -> Response:
    """Show a form that asks for a key, and the row that it names."""
    found = look_up_row(overview.url, model, key, partition or None) if key else None
    return _html(row_page(model, key, partition, found, N_SEARCHED))


@app.get("/{model}/score/")
def _score(model: Model, overview: Ledger) -> Response:
    with transaction(overview.url) as cursor:
        spec = newest_spec(cursor, model)
        return _html(score_page(read_scorecard(cursor, spec))) if spec else _missing(f"Model {model} has never run.")


@app.get("/assets/{name}")
def _script(name: str, user: GetUserDep) -> Response:
    text = scripts().get(name)
    return _missing("There is no such script.") if text is None else Response(text, headers=SCRIPT_HEADERS)


@app.get("/{model}/figures/")
def _explore(model: Model, overview: Ledger) -> Response:
    with transaction(overview.url) as cursor:
        spec = newest_spec(cursor, model)
    return _html(explore_page(model, spec.accept.metric if spec else ""))


@app.get("/{model}/releases/{release_id}/")
def _release(model: Model, release_id: ReleaseId, overview: Ledger) -> Response:
    found = overview.release(model, release_id)
    if found is None:
        return _missing(f"Model {model} has no release {release_id}.")
    workspace = Workspace.from_environment()
    evaluation = found.evaluation
    folder = Store.of(workspace).folder(evaluation.uri, evaluation.uri.rpartition("/")[2])
    page = evaluation_page(
        found.snapshot,
        evaluation,
        found.decision,
        pictures=read_pictures(folder),
        trail=trail_of(model, f"release {release_id}"),
        links=release_links(model, found.origin, workspace.tracking_uri),
    )
    return _html(page)


@app.get("/{model}/releases/{release_id}/against/{other_id}/")
def _comparison(model: Model, release_id: ReleaseId, other_id: ReleaseId, overview: Ledger) -> Response:
    left, right = (overview.release(model, number) for number in (release_id, other_id))
    if left is None or right is None:
        return _missing(f"Model {model} has no release {other_id if left else release_id}.")
    return _html(comparison_page(model, (release_id, other_id), left, right))


@app.get("/{model}/releases/{release_id}/card/")
def _card(model: Model, release_id: ReleaseId, overview: Ledger) -> Response:
    found = overview.release(model, release_id)
    path = None if found is None else _store().path(found.origin.bundle_uri) / MODEL_CARD
    if path is None or not path.is_file():
        return _missing(f"Release {release_id} of model {model} has no card here.")
    return _html(release_card_page(model, release_id, path.read_text(encoding="utf-8")))


@app.get("/{model}/reports/{digest}/")
def _report(model: Model, digest: Digest, partition: PartitionKey | None = None) -> Response:
    folder = _store().folder(f"{model}/reports/{digest}", digest)
    page = next((path for name in PAGES if (path := folder / name).is_file()), None)
    if page is None:
        return _missing(f"Report {digest} is not a page.")
    return _html(with_trail(page.read_text(encoding="utf-8"), report_trail(model, partition)))


@app.exception_handler(AnyHTTPException)
def _refused(_: Request, error: AnyHTTPException) -> Response:
    return PlainTextResponse(str(error.detail), error.status_code, HEADERS)


@app.exception_handler(RequestValidationError)
def _no_address(_: Request, __: RequestValidationError) -> Response:
    return _missing("There is no such page.")


@app.exception_handler(TidemillError)
def _failed(_: Request, error: TidemillError) -> Response:
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 503)
    return PlainTextResponse(str(error), status, HEADERS)


def _html(page: str) -> Response:
    return HTMLResponse(page, headers=HEADERS)


def _missing(why: str) -> Response:
    return PlainTextResponse(why, 404, HEADERS)


def _store() -> Store:
    return Store.of(Workspace.from_environment())
