"""The application of the stack's own MLflow server: MLflow's application behind a login, with all artifacts in one place.

``mlflow server --app-name tidemill`` serves it. By default MLflow lets everybody in, and a client can choose where the
server writes and reads files: by the artifact location of an experiment, the source of a version, or the tag of a trace.
This application has four limits:

- Every request but ``/health`` needs the login in ``MLFLOW_TRACKING_USERNAME`` and ``MLFLOW_TRACKING_PASSWORD``, the
  same two variables that MLflow's clients read.
- The server opens artifacts only below its own destination, and never through a link.
- It refuses to create experiments and versions that name another place.
- The parts that call other hosts or run programs on request are closed: Tidemill does not use them.
"""

import base64
import json
import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["LoginRequired", "create_app", "is_own_location"]

OPEN = "/health"  # reveals only that the server runs; supervisors and containers request it
_LOGIN = "Log in: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to the login of this MLflow server.\n"
_CLOSED = re.compile(
    r"/+(gateway/|(ajax-)?api/\d\.0/(mlflow/)?"
    r"(assistant|demo|gateway|gateway-proxy|genai|issues|jobs|mcp-servers|prompt-optimization|scorers?|webhooks)(/|$))"
)
_OWN_PATH = re.compile(r"[\w.@ +=-]+(/[\w.@ +=-]+)*/?")
_OWN_SOURCE = r"\A(?!.*/\.\.)(models:/[\w.@ +-]+(/[\w.@ +-]+)?|(runs|mlflow-artifacts):/[\w@ +=-][\w.@ +=/-]*)\Z"


class LoginRequired:
    """Refuse every request without the login.

    Parameters
    ----------
    app : ASGIApp
        The application behind it.
    user, password : str
        The only login.
    """

    def __init__(self, app: ASGIApp, user: str, password: str) -> None:
        self._app = app
        self._expected = base64.b64encode(f"{user}:{password}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan" or scope["path"] == OPEN:
            await self._app(scope, receive, send)
        elif not self._knows(dict(scope["headers"])):
            headers = {"WWW-Authenticate": 'Basic realm="MLflow", charset="UTF-8"'}
            await PlainTextResponse(_LOGIN, 401, headers)(scope, receive, send)
        elif _CLOSED.match(scope["path"]):
            await PlainTextResponse("Closed: Tidemill does not use this part of MLflow.\n", 403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _knows(self, headers: Mapping[bytes, bytes]) -> bool:
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"basic" and secrets.compare_digest(given.strip(), self._expected)


def create_app() -> ASGIApp:
    """Return MLflow's application with the limits of this module.

    Raises
    ------
    ValueError
        If there is no login in the environment.
    """
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD"))
    if not user or not password:
        raise ValueError(
            "The server needs its login: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD are not set."
        )
    os.environ["MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX"] = _OWN_SOURCE
    from mlflow.server import ARTIFACTS_DESTINATION_ENV_VAR
    from mlflow.server import app as pages
    from mlflow.server.fastapi_app import app

    pages.before_request(_refuse_other_location)
    _open_only(os.environ[ARTIFACTS_DESTINATION_ENV_VAR])
    return LoginRequired(app, user, password)


def is_own_location(location: str) -> bool:
    """Whether an artifact location, as a client writes it, is below the server's own destination.

    Examples
    --------
    >>> is_own_location("mlflow-artifacts:/7/models"), is_own_location("")
    (True, True)
    >>> [is_own_location(text) for text in ("/srv/dags", "mlflow-artifacts://other/7", "mlflow-artifacts:/%2e%2e/dags")]
    [False, False, False]
    """
    scheme, _, path = location.partition(":/")
    own = scheme == "mlflow-artifacts" and _OWN_PATH.fullmatch(path) and not {".", ".."} & set(path.split("/"))
    return bool(own) or not location


def _refuse_other_location() -> Any:
    """Refuse an experiment whose artifacts would be elsewhere, before MLflow sees it."""
    from flask import request

    if request.endpoint != "_create_experiment":
        return None
    body = request.get_json(force=True, silent=True)
    body = json.loads(body) if isinstance(body, str) else body  # as old clients send it, and MLflow reads it
    named = [body.get(key) for key in ("artifact_location", "artifactLocation")] if isinstance(body, dict) else []
    if all(is_own_location(str(location or "")) for location in named):
        return None
    return {
        "error_code": "INVALID_PARAMETER_VALUE",
        "message": "This server keeps all artifacts in its own folder: leave artifact_location out.",
    }, 400


def _open_only(destination: str) -> None:
    """Let MLflow open artifacts only below one URI, whatever its database or a request says."""
    from mlflow.store.artifact import artifact_repository_registry
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    registry = artifact_repository_registry._artifact_repository_registry
    folder = _without_links(Path(_place(destination)[1]))
    for scheme, repository in dict(registry.get_registered_artifact_repositories()).items():
        made = folder if repository is LocalArtifactRepository else repository
        registry.register(scheme, _only_below(destination, made))


def _only_below(destination: str, repository: Callable[..., Any]) -> Callable[..., Any]:
    """Return a factory of repositories that refuses every URI outside a destination."""
    from mlflow.exceptions import MlflowException

    kind, root = _place(destination)

    def open_below(artifact_uri: str, *args: Any, **kwargs: Any) -> Any:
        asked, path = _place(artifact_uri)
        if asked != kind or not Path(path).is_relative_to(root):
            raise MlflowException.invalid_parameter_value("This server opens no artifacts outside its own folder.")
        return repository(artifact_uri, *args, **kwargs)

    return open_below


def _place(uri: str) -> tuple[str, str]:
    """Return a URI's scheme with host, and its path; a bare path counts as a file."""
    parts = urlsplit(uri)
    if parts.scheme in ("", "file"):
        return f"file://{parts.netloc}", os.path.normpath(unquote(parts.path))
    return f"{parts.scheme}://{parts.netloc}", os.path.normpath(parts.path)


def _without_links(root: Path) -> type:
    """Return MLflow's repository for a folder, changed to follow no link below its root."""
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.local_artifact_repo import TRACE_DATA_FILE_NAME, LocalArtifactRepository

    class OwnFolder(LocalArtifactRepository):  # type: ignore[misc]  # untyped
        def get_local_path(self, artifact_path: str) -> Any:
            self._refuse_links(artifact_path)
            return super().get_local_path(artifact_path)

        def list_artifacts(self, path: str | None = None) -> Any:
            self._refuse_links(path)
            return [
                item for item in super().list_artifacts(path) if not Path(self.artifact_dir, item.path).is_symlink()
            ]

        def delete_artifacts(self, artifact_path: str | None = None) -> None:
            self._refuse_links(artifact_path)
            super().delete_artifacts(artifact_path)

        def download_trace_data(self) -> Any:
            self._refuse_links(TRACE_DATA_FILE_NAME)
            return super().download_trace_data()

        def _get_or_create_artifact_dir(self, artifact_path: str | None = None) -> Any:
            self._refuse_links(artifact_path)
            return super()._get_or_create_artifact_dir(artifact_path)

        def _download_file(self, remote_file_path: str, local_path: str) -> None:
            self._refuse_links(remote_file_path)
            super()._download_file(remote_file_path, local_path)

        def _refuse_links(self, path: str | None) -> None:
            asked = Path(os.path.normpath(Path(self.artifact_dir, path or "")))
            if any(part.is_symlink() for part in (asked, *asked.parents) if part != root and part.is_relative_to(root)):
                raise MlflowException.invalid_parameter_value("This server follows no links.")

    return OwnFolder
