"""A real MLflow server as the stack starts it: behind its login, on a database and a folder of its own."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tidemill.machine.polling import until

USER, PASSWORD = "ada", "mlflow-canary-password"
LOGIN = {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD}


@dataclass(frozen=True)
class MlflowServer:
    """One running server."""

    port: int
    folder: Path
    pid: int

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> str:
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def is_healthy(port: int) -> bool:
    with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection, suppress(OSError):
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    return False


@contextmanager
def mlflow_server(folder: Path) -> Iterator[MlflowServer]:
    """Run a server, with its login in this process's environment too, as its clients need it."""
    port = free_port()
    settings = {
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ARTIFACTS_DESTINATION": f"file://{folder / 'artifacts'}",
        "MLFLOW_SERVE_ARTIFACTS": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    listen = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "tidemill", *listen]
    (folder / "artifacts").mkdir()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, env=os.environ | settings | LOGIN, stdout=log, stderr=log, start_new_session=True
        )
    try:
        assert until(lambda: is_healthy(port), 120), (folder / "log").read_text()
        with pytest.MonkeyPatch.context() as environment:
            for name, value in LOGIN.items():
                environment.setenv(name, value)
            yield MlflowServer(port=port, folder=folder, pid=process.pid)
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)
