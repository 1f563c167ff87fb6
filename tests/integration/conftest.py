"""A real Postgres with the ledger in it, and a workspace on it; one server for the whole session."""

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tidemill.postgres.server import Server
from tidemill.postgres.throwaway import throwaway_server
from tidemill.warehouse.migrations import apply_migrations
from tidemill.workspace import Workspace
from tidemill_examples.flights import load_flights

from .data import Mill, generate_parcels, load_parcels

PROJECT = Path(__file__).parents[2]
DagRun = Callable[..., dict[str, Any]]
FIRST_PORT = 54320
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))  # each has a server of its own
ROLES = {"warehouse": "tidemill_reader", "tidemill": "tidemill_writer", "tidemill_promoter": "tidemill_promoter"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that run DAGs: they take longest, and the last file of one worker keeps the other waiting."""
    longest = {item.path for item in items if "dag_runner" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path not in longest)


class Warehouse:
    """Where the server is, by role."""

    def __init__(self, server: Server) -> None:
        self.server, self.port = server, server.port

    def url(self, role: str) -> str:
        return self.server.url(role)

    def password(self, role: str) -> str:
        return self.server.password(role)

    def rows(self, query: str, role: str = "tidemill_owner") -> list[tuple]:
        with psycopg2.connect(self.url(role)) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    folder = tmp_path_factory.mktemp(
        "secrets", numbered=False
    )  # the doctor recognizes a folder of passwords by this name
    with throwaway_server(folder) as server:
        apply_migrations(server.url("tidemill_owner"))
        yield Warehouse(server)


@pytest.fixture
def workspace(warehouse: Warehouse, tmp_path: Path) -> Workspace:
    return Workspace(
        models=PROJECT / "dags" / "models",
        sql=PROJECT / "sql",
        storage=tmp_path / "storage",
        tracking_uri=None,
        connection=lambda name: warehouse.url(ROLES[name]),
    )


@pytest.fixture(scope="session")
def new_mill(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Mill]:
    """Make small models, each with its own name, files and source; they share one storage."""
    root, rows, numbers = tmp_path_factory.mktemp("mills"), generate_parcels(random_state=1), itertools.count()

    def make() -> Mill:
        number = next(numbers)
        workspace = Workspace(
            models=root / f"models_{number}",
            sql=root / "sql",
            storage=root / "storage",
            tracking_uri=None,
            connection=lambda name: warehouse.url(ROLES[name]),
        )
        mill = Mill(model=f"parcels_{number}", workspace=workspace, owner_url=warehouse.url("tidemill_owner"))
        load_parcels(mill.owner_url, mill.model, rows)
        mill.write()
        return mill

    return make


@pytest.fixture
def mill(new_mill: Callable[[], Mill]) -> Mill:
    """A small model, not trained yet."""
    return new_mill()


@pytest.fixture(scope="session")
def trained_mill(new_mill: Callable[[], Mill]) -> tuple[Mill, dict[str, dict[str, Any]]]:
    """A small model with a champion, and the records of its training. Tests only read it."""
    mill = new_mill()
    return mill, mill.train()


@pytest.fixture
def serving(mill: Mill, trained_mill: tuple[Mill, dict[str, dict[str, Any]]]) -> Mill:
    """A small model of its own with a champion."""
    mill.adopt(trained_mill[1])
    return mill


@pytest.fixture(scope="session")
def flights_url(warehouse: Warehouse) -> str:
    """Connection URL of the owner of the warehouse, in which the flights are now."""
    url = warehouse.url("tidemill_owner")
    load_flights(url, lambda table, done, total: None)
    return url


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An Airflow with an empty metadata database: the variables of its processes."""
    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
    }
    migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(migrate, env=environment, check=True, capture_output=True, timeout=300)
    return environment


@pytest.fixture(scope="session")
def dag_runner(airflow: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The program that runs DAGs: it imports Airflow once."""
    program = str(Path(__file__).with_name("run_dag.py"))
    with subprocess.Popen(
        [sys.executable, program],
        env=airflow,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as runner:
        yield runner
        os.killpg(runner.pid, signal.SIGKILL)  # with the run of a test that was given up


@pytest.fixture
def dag_run(dag_runner: subprocess.Popen[str], warehouse: Warehouse, tmp_path: Path) -> DagRun:
    """Run one of a model's DAGs, and return how it and each of its tasks ended."""

    def run(verb: str, mill: Mill, pause_on_run: str = "", scheduled: str = "", **conf: Any) -> dict[str, Any]:
        places = {
            "TIDEMILL_MODELS": str(mill.workspace.models),
            "TIDEMILL_SQL": str(mill.workspace.sql),
            "TIDEMILL_STORAGE": str(mill.workspace.storage),
            "TEST_PAUSE_ON_RUN": pause_on_run,
            "TEST_SCHEDULED": scheduled,
            **{
                f"AIRFLOW_CONN_{name.upper()}": warehouse.url(role).replace("postgresql://", "postgres://")
                for name, role in ROLES.items()
            },
        }
        folder = tempfile.mkdtemp(prefix="dag-run-", dir=tmp_path)
        order = {"dag_id": f"{mill.model}_{verb}", "conf": conf, "environment": places, "folder": folder}
        assert dag_runner.stdin is not None
        assert dag_runner.stdout is not None
        dag_runner.stdin.write(json.dumps(order) + "\n")
        dag_runner.stdin.flush()
        status, log = dag_runner.stdout.readline(), Path(folder, "log").read_text(encoding="utf-8")
        assert status == "0\n", log
        return json.loads(Path(folder, "answer.json").read_text(encoding="utf-8")) | {"log": log}

    return run
