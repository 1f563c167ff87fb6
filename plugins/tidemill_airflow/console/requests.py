"""Actions requested in the console: a form, and a DAG run of the model in the name of the person who sent it.

The API server has no right to write to the ledger, and gets none: an action opens a DAG run, or answers a waiting task.
Airflow decides who may do that. A form is accepted from the console's own pages only, once, and only from the person for
whom it was made: the token is signed, and its number becomes part of the run's id, which Airflow accepts only once.
"""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from airflow.api.common.trigger_dag import trigger_dag
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.configuration import conf
from airflow.exceptions import DagRunAlreadyExists
from airflow.models.dag import DagModel
from airflow.utils.types import DagRunTriggeredByType
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.orm import Session

from tidemill.errors import ActionImpossible, FormRefused, SettingsError, TidemillError
from tidemill.report.console.action import ActionForm, FormField, action_page
from tidemill.warehouse.connections import transaction
from tidemill.warehouse.overview import Overview, newest_spec
from tidemill.warehouse.releases.rollback_plan import RollbackPlan, plan_rollback
from tidemill_airflow.console.access import HEADERS, Ledger, Model, require_action
from tidemill_airflow.console.actions import ACTIONS, RUN_PREFIX, Action, Name
from tidemill_airflow.params import RunParams, form_fields

__all__ = ["router"]

router = APIRouter()

FORM_LIFETIME_S = 3600
MOST_FIELDS = 20  # more than any form has
N_NAMED = 20  # partitions that a preview names
_RUN_FIELD: dict[str, Any] = {
    "title": "Run",
    "description": "Run of the training that waits.",
    "schema": {"type": "string"},
}


def _wanted(name: Name, model: Model, request: Request, user: GetUserDep) -> Action:
    """Return an action; Airflow refuses it to those who may not take it."""
    require_action(ACTIONS[name], model, request, user)
    return ACTIONS[name]


async def _sent(request: Request) -> dict[str, str]:
    """Return the fields of a form."""
    form = await request.form(max_files=0, max_fields=MOST_FIELDS)
    return {key: value for key, value in form.items() if isinstance(value, str)}


Wanted = Annotated[Action, Depends(_wanted)]
Sent = Annotated[dict[str, str], Depends(_sent)]


@router.get("/{model}/act/{name}/")
def _ask(name: Name, model: Model, action: Wanted, request: Request, user: GetUserDep, overview: Ledger) -> Response:
    """Show the form of an action, prefilled from the address."""
    values = dict(request.query_params)
    form = _form(name, action, model, values, user)
    if not action.previewed:
        return _html(model, form)
    try:
        plan = _plan(overview, model, _checked(action, values)) if "preview" in values else None
    except TidemillError as error:
        return _html(model, replace(form, token="", problem=str(error)), 422)
    if plan is None:
        return _html(model, replace(form, token=""))
    fixed = [replace(field, kind="hidden") for field in form.fields if field.name != "reason"]
    return _html(model, replace(form, fields=[*fixed, form.fields[-1]], plan=_described(plan)))


@router.post("/{model}/act/{name}/")
def _act(model: Model, action: Wanted, sent: Sent, request: Request, user: GetUserDep, session: SessionDep) -> Response:
    """Carry out an action."""
    name = request.path_params["name"]
    _refuse_other_origin(request)
    number = _number_of(sent.get("token", ""), user, model, name)
    try:
        values = _checked(action, sent)
        if not values.get("reason", "").strip():
            raise SettingsError("The reason is missing.", "Say why; it is recorded.")
    except SettingsError as error:
        return _html(model, replace(_form(name, action, model, sent, user), problem=str(error)), 422)
    if action.answer is None:
        named = {"action": name} if action.verb == "act" else {}
        _open_run(session, f"{model}_{action.verb}", f"{RUN_PREFIX}{name}__{number}", values | named, user)
    else:
        _answer(session, f"{model}_{action.verb}", action.answer, values, user)
    return RedirectResponse(f"{request.scope['root_path']}/{model}/#asked", 303, HEADERS)


def _refuse_other_origin(request: Request) -> None:
    """Raise if a form was not sent by a page of this server, as far as the browser tells.

    A browser names the origin of a form only if the page's referrer policy allows it, so pages with forms have ``same-origin``.
    """
    hosts = {request.headers.get("host", ""), urlsplit(conf.get("api", "base_url", fallback="")).netloc} - {""}
    origin = urlsplit(request.headers.get("origin", "")).netloc
    if origin not in hosts or request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise FormRefused("This form was sent from another site.", "Open the page in Airflow, and send it from there.")


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(conf.get("api", "secret_key"), salt="tidemill.console.action")


def _token(user: BaseUser, model: str, name: str) -> str:
    return str(_signer().dumps([str(user.get_id()), model, name, secrets.token_hex(8)]))


def _number_of(token: str, user: BaseUser, model: str, name: str) -> str:
    """Return the number of a form that was made for this user and action.

    Raises
    ------
    FormRefused
        If it was not, or is too old.
    """
    try:
        *bound, number = _signer().loads(token, max_age=FORM_LIFETIME_S)
    except BadSignature:
        bound, number = [], ""
    if bound != [str(user.get_id()), model, name]:
        raise FormRefused("This form is too old, or was not made for you.", "Open its page again.")
    return str(number)


def _checked(action: Action, sent: Mapping[str, str]) -> dict[str, Any]:
    """Return what was filled in, as JSON types.

    Raises
    ------
    SettingsError
        If a value is missing or wrong.
    """
    given = {name: sent[name].strip() for name in (*action.fields, "reason") if sent.get(name, "").strip()}
    if missing := [name for name in action.needs if name not in given]:
        raise SettingsError(f"Missing: {', '.join(missing)}.", "Fill it in.")
    if "until" in given:
        given["until"] = _in_utc(given["until"])
    known = {name: value for name, value in given.items() if name in RunParams.model_fields}
    checked = RunParams.check(known, known).model_dump(mode="json", include=set(known))
    return {**given, **checked}


def _in_utc(text: str) -> str:
    """Mark an instant without a zone, as browsers send it, as UTC; return any other text as it is."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return text
    return text if instant.tzinfo else f"{text}Z"


def _open_run(session: Session, dag_id: str, run_id: str, values: dict[str, Any], user: BaseUser) -> None:
    """Create the run that carries an action out.

    Raises
    ------
    ActionImpossible
        If Airflow would not run it, or it has been created already.
    """
    dag = session.get(DagModel, dag_id)
    if dag is None or dag.is_stale:
        raise ActionImpossible(
            f"Airflow has no DAG {dag_id}.", "Add its file, or fix it: see the import errors on Airflow's first page."
        )
    if dag.is_paused:
        raise ActionImpossible(f"The DAG {dag_id} is paused, so nothing would happen.", "Unpause it first.")
    try:
        trigger_dag(
            dag_id,
            triggered_by=DagRunTriggeredByType.UI,
            triggering_user_name=user.get_name(),
            run_id=run_id,
            conf=values,
            note=values["reason"],
            session=session,
        )
    except DagRunAlreadyExists:
        raise ActionImpossible("This form has been sent already.", "Open its page again to do it once more.") from None


def _answer(session: Session, dag_id: str, answer: str, values: Mapping[str, str], user: BaseUser) -> None:
    """Answer the task that waits in a run; raise if it no longer waits."""
    update_hitl_detail(
        dag_id=dag_id,
        dag_run_id=values["run"],
        task_id="approve",
        update_hitl_detail_payload=UpdateHITLDetailPayload(
            chosen_options=[answer], params_input={"comment": values["reason"]}
        ),
        user=user,
        session=session,
    )


def _form(name: str, action: Action, model: str, values: Mapping[str, str], user: BaseUser) -> ActionForm:
    """Return the form of an action with the values that are known; what a link has filled in is shown, and can be changed."""
    reason = replace(_field("reason", values.get("reason", ""), required=True), kind="text")
    return ActionForm(
        title=action.title,
        effect=action.effect,
        dag_id=f"{model}_{action.verb}",
        by=user.get_name(),
        fields=[*(_field(key, values.get(key, ""), required=key in action.needs) for key in action.fields), reason],
        command=action.equivalent(model, {key: values.get(key) for key in (*action.fields, "reason")}),
        token=_token(user, model, name),
    )


def _field(name: str, value: str, *, required: bool) -> FormField:
    described = form_fields()[name] if name in RunParams.model_fields else _RUN_FIELD
    schema = described["schema"]
    choices = tuple(item for item in schema.get("enum", ()) if item is not None)
    kinds = {"boolean": "checkbox", "integer": "number"}
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    kind = next((kinds[item] for item in types if item in kinds), "choice" if choices else "text")
    return FormField(
        name=name,
        title=described.get("title") or schema["title"],
        description=described["description"],
        kind="datetime-local" if schema.get("format") == "date-time" else kind,
        value=value,
        required=required,
        choices=choices,
    )


def _plan(overview: Overview, model: str, values: Mapping[str, Any]) -> RollbackPlan:
    """Return what a rollback would change.

    Raises
    ------
    SettingsError
        If only one end of the partitions is given.
    """
    first, last = values.get("republish_from"), values.get("republish_to")
    if bool(first) != bool(last):
        raise SettingsError(
            "Only one end of the partitions is given.", "Give both, or neither to leave rows as they are."
        )
    wanted: tuple[str, ...] = ()
    if first and last:
        with transaction(overview.url) as cursor:
            spec = newest_spec(cursor, model)
        if spec is None:
            raise SettingsError(f"Model {model} has never run with this version's spec.", "Use the command.")
        wanted = tuple(item.key for item in spec.partitions_between(first, last))
    return plan_rollback(overview.url, model, values.get("to"), wanted)


def _described(plan: RollbackPlan) -> tuple[str, ...]:
    undone = ", ".join(str(item) for item in plan.undone) or "none"
    groups = (
        ("Get their earlier rows back", plan.restored),
        ("Are scored again, because they have no earlier rows", plan.rescored),
        ("Keep the rows of releases that are undone", plan.left),
    )
    return (
        f"Release {plan.release_id} serves; releases that are undone: {undone}.",
        *(f"{what}: {_listed(keys)}." for what, keys in groups),
    )


def _listed(keys: tuple[str, ...]) -> str:
    if len(keys) <= N_NAMED:
        return ", ".join(keys) or "no partition"
    return f"{', '.join(keys[:N_NAMED])} and {len(keys) - N_NAMED} more"


def _html(model: str, form: ActionForm, status: int = 200) -> Response:
    return HTMLResponse(action_page(model, form), status, HEADERS)
