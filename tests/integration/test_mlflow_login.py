"""The stack's MLflow server against clients that forge: without a login, with a wrong one, with other places for files."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tidemill.errors import TrackingUnavailable
from tidemill.machine.accounts import run_as
from tidemill.tracking import Tracking

from .mlflow_server import PASSWORD, USER, MlflowServer, mlflow_server

ROUTES = """\
import json
from mlflow.server import app as pages
from mlflow.server.fastapi_app import app
rules = {rule.rule for rule in pages.url_map.iter_rules()} | {getattr(route, "path", "") for route in app.routes}
print("ROUTES" + json.dumps(sorted(filter(None, rules))))
"""
SECRET = "nobody-may-read-this"
NOBODY = 65534


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    folder = tmp_path_factory.mktemp("mlflow")
    (folder / "project").mkdir()
    (folder / "project" / "secret").write_text(SECRET)
    with mlflow_server(folder) as running:
        yield running


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


LOGGED_IN = basic(USER, PASSWORD)


def ask(
    server: MlflowServer, method: str, path: str, body: Any = None, headers: dict[str, str] = LOGGED_IN
) -> tuple[int, str]:
    """Send exactly this path, which no client library would normalise, and return status and text."""
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(content or b"")))
        connection.endheaders(content)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")


def create(server: MlflowServer, name: str, **more: Any) -> tuple[int, str]:
    return ask(server, "POST", "/api/2.0/mlflow/experiments/create", {"name": name, **more})


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# ---------------------------------------------------------------- the login


def test_without_a_login_every_route_but_health_answers_401(server: MlflowServer) -> None:
    done = subprocess.run([sys.executable, "-c", ROUTES], capture_output=True, text=True, check=True)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("ROUTES")]
    routes = json.loads(line.removeprefix("ROUTES"))
    open_ = {route for route in routes if ask(server, "GET", route, headers={})[0] != 401}
    assert len(routes) > 100
    assert open_ == {"/health"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_no_method_gets_in_without_a_login(server: MlflowServer, method: str) -> None:
    assert ask(server, method, "/api/2.0/mlflow/experiments/search", headers={})[0] == 401


@pytest.mark.parametrize(
    "headers",
    [
        basic(USER, "wrong"),
        basic(USER, ""),
        basic("admin", PASSWORD),
        basic(USER, f"{PASSWORD}x"),
        basic("", ""),
        {"Authorization": f"Bearer {PASSWORD}"},
        {"Authorization": "Basic"},
        {"Authorization": "Basic \xff\xfe"},
        {"Cookie": f"session={PASSWORD}"},
    ],
)
def test_a_wrong_login_is_refused(server: MlflowServer, headers: dict[str, str]) -> None:
    status, said = ask(server, "GET", "/api/2.0/mlflow/experiments/search", headers=headers)
    assert (status, "MLFLOW_TRACKING_USERNAME" in said) == (401, True)


def test_a_browser_is_asked_for_the_login_and_gets_the_pages(server: MlflowServer) -> None:
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert (answer.status, (answer.getheader("WWW-Authenticate") or "").split()[0]) == (401, "Basic")
    status, page = ask(server, "GET", "/")
    assert (status, "<title>MLflow</title>" in page) == (200, True)


def test_a_session_with_a_wrong_login_says_so_and_not_the_password(
    server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong-canary-password")
    with pytest.raises(TrackingUnavailable, match="401") as caught, Tracking(server.uri).session() as session:
        session.client.search_experiments()
    assert "canary" not in str(caught.value)


def test_the_password_is_in_no_log_and_no_argument(server: MlflowServer) -> None:
    ask(server, "GET", "/")
    commands = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert PASSWORD not in (server.folder / "log").read_text() + commands


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_another_account_cannot_read_the_servers_environment(server: MlflowServer) -> None:
    done = subprocess.run(
        ["cat", f"/proc/{server.pid}/environ"], capture_output=True, check=False, **run_as(NOBODY, NOBODY)
    )
    assert (done.returncode, done.stdout) == (1, b"")


# ---------------------------------------------------------------- places


@pytest.mark.parametrize(
    "location",
    [
        "{project}",
        "file://{project}",
        "FILE://{project}",
        "project",
        "mlflow-artifacts:/../project",
        "mlflow-artifacts:/%2e%2e/project",
        "mlflow-artifacts:/7/%252e%252e/%252e%252e/project",
        "mlflow-artifacts://evil.example:80/7",
        "mlflow-artifacts:///7",
        "http://127.0.0.1:1/api/2.0/mlflow-artifacts/artifacts/7",
        "s3://bucket/7",
        "mlflow-artifacts:/7?x=1",
        " ",
    ],
)
@pytest.mark.parametrize("key", ["artifact_location", "artifactLocation"])
def test_an_experiment_elsewhere_is_refused(server: MlflowServer, location: str, key: str) -> None:
    named = location.format(project=server.folder / "project")
    status, said = create(server, f"{key} {location}", **{key: named})
    assert status == 400, said
    assert (
        ask(server, "POST", "/ajax-api/2.0/mlflow/experiments/create", json.dumps({"name": "x", key: named}))[0] == 400
    )
    found = ask(server, "POST", "/api/2.0/mlflow/experiments/search", {"max_results": 1000})[1]
    assert str(server.folder / "project") not in found


def test_an_experiment_without_a_place_or_below_the_servers_own_is_accepted(server: MlflowServer) -> None:
    assert create(server, "plain")[0] == 200
    assert create(server, "below", artifact_location="mlflow-artifacts:/below/7")[0] == 200


@pytest.mark.parametrize(
    "source",
    [
        "/etc",
        "file:///etc",
        "http://evil.example/x",
        "s3://bucket/x",
        "mlflow-artifacts://evil.example/7",
        "mlflow-artifacts:/7/../../x",
        "runs:/../x",
    ],
)
def test_a_version_whose_files_are_elsewhere_is_refused(server: MlflowServer, source: str) -> None:
    ask(server, "POST", "/api/2.0/mlflow/registered-models/create", {"name": "m"})
    status, said = ask(server, "POST", "/api/2.0/mlflow/model-versions/create", {"name": "m", "source": source})
    assert status == 400, said


@pytest.fixture
def smuggled(server: MlflowServer) -> str:
    """A run of an experiment elsewhere, written past the server into its database; return the run's id."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(server.database)
    known = client.get_experiment_by_name("smuggled")
    place = str(server.folder / "project")
    experiment = known.experiment_id if known else client.create_experiment("smuggled", artifact_location=place)
    return str(client.create_run(experiment).info.run_id)


@pytest.mark.filterwarnings("ignore:The ``noload``")  # said by SQLAlchemy 2.1 of MLflow's own tables
def test_a_place_that_the_database_names_all_the_same_is_neither_read_nor_written(
    server: MlflowServer, smuggled: str
) -> None:
    run = server.folder / "project" / smuggled / "artifacts"
    run.mkdir(parents=True)
    (run / "secret").write_text(SECRET)
    before = files(server.folder / "project")
    for method, path in (
        ("GET", f"/get-artifact?run_uuid={smuggled}&path=secret"),
        ("GET", f"/api/2.0/mlflow/artifacts/list?run_id={smuggled}"),
        ("POST", f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={smuggled}&path=planted.py"),
    ):
        status, said = ask(server, method, path, b"print('planted')" if method == "POST" else None)
        assert (status >= 400, SECRET in said, "secret" in said.replace(SECRET, "")) == (True, False, False), said
    assert files(server.folder / "project") == before


@pytest.mark.parametrize(
    "path",
    [
        "../project/secret",
        "%2e%2e/project/secret",
        "%252e%252e/project/secret",
        "..%2fproject/secret",
        "7/../../project/secret",
    ],
)
def test_no_path_leads_out_of_the_folder(server: MlflowServer, path: str) -> None:
    before = files(server.folder / "project")
    for method, body in (("GET", None), ("PUT", b"planted"), ("DELETE", b"{}")):
        status, said = ask(server, method, f"/api/2.0/mlflow-artifacts/artifacts/{path}", body)
        assert (status >= 400, SECRET in said) == (True, False)
    assert files(server.folder / "project") == before
    assert (server.folder / "project" / "secret").read_text() == SECRET


@pytest.mark.parametrize("inside", [False, True])
def test_a_link_in_the_folder_is_not_followed(server: MlflowServer, inside: bool) -> None:
    kept = server.artifacts / "kept" if inside else server.folder / "kept"
    kept.mkdir(exist_ok=True)
    (kept / "secret").write_text(SECRET)
    link = server.artifacts / f"link-{inside}"
    link.symlink_to(kept)
    base = "/api/2.0/mlflow-artifacts/artifacts"
    for method, path, body in (
        ("GET", f"{base}/{link.name}/secret", None),
        ("PUT", f"{base}/{link.name}/planted", b"planted"),
        ("PUT", f"{base}/{link.name}/deeper/planted", b"planted"),
        ("DELETE", f"{base}/{link.name}/secret", b"{}"),
        ("DELETE", f"{base}/{link.name}", b"{}"),
        ("GET", f"{base}?path={link.name}", None),
    ):
        status, said = ask(server, method, path, body)
        assert (status >= 400, SECRET in said) == (True, False), (method, path, said)
    assert link.name not in ask(server, "GET", base)[1]
    assert (files(kept), (kept / "secret").read_text()) == (["secret"], SECRET)


def test_what_runs_programs_or_calls_other_hosts_is_closed(server: MlflowServer) -> None:
    for method, path in (
        ("POST", "/ajax-api/3.0/mlflow/assistant/message"),
        ("GET", "/ajax-api/3.0/mlflow/assistant/config"),
        ("POST", "/api/2.0/mlflow/webhooks"),
        ("POST", "/ajax-api/2.0/mlflow/gateway-proxy"),
        ("POST", "/gateway/proxy/x/y"),
        ("POST", "/ajax-api/3.0/jobs/"),
        ("POST", "/ajax-api/3.0/mlflow/scorer/invoke"),
        ("POST", "/api/3.0/mlflow/mcp-servers"),
    ):
        assert ask(server, method, path, {})[0] == 403, path
