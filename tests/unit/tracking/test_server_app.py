import asyncio
import base64
from typing import Any

import pytest

from tidemill.tracking.server_app import LoginRequired, create_app, is_own_location

KNOWN = b"Basic " + base64.b64encode(b"ada:secret")


async def inner(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


def status(path: str, authorization: bytes | None = None, kind: str = "http") -> int | None:
    """Return the status of the answer; None if the connection is closed without one."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.disconnect"}

    headers = [] if authorization is None else [(b"authorization", authorization)]
    scope = {"type": kind, "path": path, "headers": headers, "method": "GET", "extensions": {}}
    asyncio.run(LoginRequired(inner, "ada", "secret")(scope, receive, send))
    return next((message["status"] for message in sent if "status" in message), None)


def test_the_login_opens_the_door() -> None:
    assert status("/", KNOWN) == 200
    assert status("/", KNOWN.replace(b"Basic", b"basic")) == 200


@pytest.mark.parametrize("path", ["/", "/version", "/health/", "/Health", "//health", "/healthy"])
def test_nothing_but_health_is_open(path: str) -> None:
    assert status(path) == 401
    assert status("/health") == 200


@pytest.mark.parametrize(
    "given", [b"", b"Basic", b"Basic " + base64.b64encode(b"ada:secre"), b"Bearer secret", b"\xff"]
)
def test_another_login_does_not_open_it(given: bytes) -> None:
    assert status("/", given) == 401


def test_a_websocket_needs_the_login_too() -> None:
    assert status("/", kind="websocket") != 200
    assert status("/", KNOWN, kind="websocket") == 200


@pytest.mark.parametrize(
    "path", ["/ajax-api/3.0/mlflow/assistant/message", "/gateway/a/mlflow/invocations", "/api/2.0/mlflow/webhooks"]
)
def test_a_closed_part_is_refused_with_the_login(path: str) -> None:
    assert status(path, KNOWN) == 403


@pytest.mark.parametrize(
    "path",
    [
        "/api/2.0/mlflow-artifacts/artifacts/1/webhooks/a",
        "/api/2.0/mlflow/runs/get",
        "/ajax-api/2.0/mlflow/gatewaylike",
    ],
)
def test_what_is_named_alike_stays_open(path: str) -> None:
    assert status(path, KNOWN) == 200


@pytest.mark.parametrize("missing", ["USERNAME", "PASSWORD"])
def test_a_server_without_a_login_does_not_start(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in ("USERNAME", "PASSWORD"):
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", "" if name == missing else "x")
    with pytest.raises(ValueError, match="needs its login"):
        create_app()


@pytest.mark.parametrize("location", ["", "mlflow-artifacts:/7", "mlflow-artifacts:/7/a b/c.d"])
def test_a_location_of_the_servers_own_artifacts_is_accepted(location: str) -> None:
    assert is_own_location(location)


@pytest.mark.parametrize(
    "location",
    [
        "mlflow-artifacts:/",
        "mlflow-artifacts:/a/./b",
        "mlflow-artifacts:/a/..",
        "mlflow-artifacts:/a%2f..",
        "runs:/x",
        "a\nb",
    ],
)
def test_any_other_location_is_not(location: str) -> None:
    assert not is_own_location(location)
