"""Who may see and do what: Airflow's own answer about a model's DAGs, and the values that an address may hold."""

from collections.abc import AsyncIterator
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, HTTPException, Path, Request
from pydantic import StringConstraints

from tidemill.warehouse.connections import ConnectionPool
from tidemill.warehouse.overview import Overview
from tidemill.workspace import SOURCE
from tidemill_airflow.connections import connection_url
from tidemill_airflow.console.actions import ACTIONS, Action

__all__ = [
    "HEADERS",
    "Digest",
    "EntityKey",
    "Ledger",
    "Model",
    "PartitionKey",
    "ReleaseId",
    "ledger",
    "may_act",
    "may_read",
    "permitted",
    "possible_actions",
    "require_action",
]

HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'self'",  # the UI shows the pages in a frame; the rest is in each page
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
}


def permitted(model: Annotated[str, Path(pattern="^[a-z][a-z0-9_]{0,47}$")], request: Request, user: GetUserDep) -> str:
    """Return the model whose predictions' runs the user may read; raise if it is not allowed."""
    requires_access_dag("GET", DagAccessEntity.RUN, f"{model}_predict")(request, user)
    return model


_POOL = ConnectionPool(max_idle=8)  # per process of the API server; a login costs more than most queries


async def _pooled() -> AsyncIterator[None]:
    """Let a request use the pool's connections; async, so that the functions called in threads see it too."""
    with _POOL.borrowed():
        yield


def ledger(_: Annotated[None, Depends(_pooled)]) -> Overview:
    """Return the ledger as the reader's role sees it, judged at the database's present time."""
    return Overview(connection_url(SOURCE))


Model = Annotated[str, Depends(permitted)]
Ledger = Annotated[Overview, Depends(ledger)]
Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
PartitionKey = Annotated[str, StringConstraints(pattern="^[0-9][0-9A-Z+-]{3,23}$")]
EntityKey = Annotated[str, StringConstraints(max_length=500, pattern="^[^\\x00]*$")]
ReleaseId = Annotated[int, Path(ge=1, lt=2**63)]


def may_read(model: str, request: Request, user: BaseUser) -> bool:
    """Whether the user may read a model."""
    try:
        permitted(model, request, user)
    except HTTPException:
        return False
    return True


def require_action(action: Action, model: str, request: Request, user: BaseUser) -> None:
    """Raise if the user may not trigger runs of the action's DAG, or answer its task."""
    dag_id = f"{model}_{action.verb}"
    if action.answer is None:
        requires_access_dag("POST", DagAccessEntity.RUN, dag_id)(request, user)
    else:
        requires_access_dag("PUT", DagAccessEntity.HITL_DETAIL, dag_id)(request, user)


def may_act(action: Action, model: str, request: Request, user: BaseUser) -> bool:
    """Whether the user may do something with a model."""
    try:
        require_action(action, model, request, user)
    except HTTPException:
        return False
    return True


def possible_actions(model: Model, request: Request, user: GetUserDep) -> frozenset[str]:
    """Return the names of the actions that the user may take with a model."""
    return frozenset(name for name, action in ACTIONS.items() if may_act(action, model, request, user))
