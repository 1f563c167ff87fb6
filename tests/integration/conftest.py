"""A real Postgres with the ledger in it, and a workspace on it; one server for the whole session."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from tidemill.local import databases, postgres
from tidemill.local.home import Home
from tidemill.local.launch import until
from tidemill.local.ports import Ports, choose
from tidemill.warehouse.migrations import apply_migrations
from tidemill.workspace import Workspace

PROJECT = Path(__file__).parents[2]


class Warehouse:
    """Where the server is, by role."""

    def __init__(self, home: Home, port: int) -> None:
        self.home, self.port = home, port

    def url(self, role: str) -> str:
        return databases.url(self.home, self.port, role)

    def rows(self, query: str, role: str = "tidemill_owner") -> list[tuple]:
        with psycopg2.connect(self.url(role)) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    home = Home(folder=tmp_path_factory.mktemp("stack") / ".tidemill")
    home.create()
    cluster = postgres.place(home)
    postgres.initialise(home, cluster)
    port = choose(Ports(postgres=54320)).postgres
    server = subprocess.Popen(
        postgres.server_arguments(cluster, port),
        env=postgres.server_environment(cluster, os.environ),
        user=cluster.uid,
        group=cluster.gid,
        extra_groups=None if cluster.uid is None else [],
        cwd=cluster.data,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert until(lambda: databases.is_ready(home, port), 30), "Postgres did not start"
        databases.create_databases(home, port)
        apply_migrations(databases.url(home, port, "tidemill_owner"))
        yield Warehouse(home, port)
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def workspace(warehouse: Warehouse, tmp_path: Path) -> Workspace:
    roles = {"warehouse": "tidemill_reader", "tidemill": "tidemill_writer", "tidemill_promoter": "tidemill_promoter"}
    return Workspace(
        models=PROJECT / "dags" / "models",
        sql=PROJECT / "sql",
        storage=tmp_path / "storage",
        tracking_uri=None,
        connection=lambda name: warehouse.url(roles[name]),
    )
