"""A Postgres that may be killed: the ledger on a server of one's own, started and stopped at will."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psycopg2

from tidemill.local import databases, postgres
from tidemill.local.home import Home
from tidemill.local.launch import until
from tidemill.local.ports import Ports, choose
from tidemill.local.secrets import password
from tidemill.warehouse.migrations import apply_migrations

ROLES = {"warehouse": "tidemill_reader", "tidemill": "tidemill_writer", "tidemill_promoter": "tidemill_promoter"}
READY_S = 60  # a crash of a busy server is recovered from in less


class Server:
    """One cluster in a folder, with the ledger's schema."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.home = Home(folder=folder / ".tidemill")
        self.home.create()
        self.cluster = postgres.place(self.home, None)
        postgres.initialise(self.home, self.cluster)
        self.port = choose(Ports(postgres=54400)).postgres
        self.options = options
        self.wrapper: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; a postmaster that was killed leaves children, and until they are gone no other one can start."""
        assert until(self._starts, READY_S), "Postgres did not start"

    def _starts(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            self.process = self._launch()
        return self.is_ready()

    def _launch(self) -> subprocess.Popen[bytes]:
        uid, gid = self.cluster.uid, self.cluster.gid
        become = [] if uid is None else ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
        return subprocess.Popen(
            [*self.wrapper, *become, *postgres.server_arguments(self.cluster, self.port), *self.options],
            env=postgres.server_environment(self.cluster, os.environ),
            cwd=self.cluster.data,
            stderr=subprocess.DEVNULL,
        )

    def is_ready(self) -> bool:
        return databases.is_ready(self.home, self.port)

    def create_ledger(self) -> None:
        databases.create_databases(self.home, self.port)
        apply_migrations(self.url("tidemill_owner"))

    def kill(self) -> None:
        """Kill the postmaster at once; its children notice and go."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()  # waits for sessions
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)

    def remove(self) -> None:
        self.stop()
        if self.cluster.uid is not None:  # root's Postgres keeps its data outside the home
            shutil.rmtree(self.cluster.data.parent)

    def url(self, role: str) -> str:
        return databases.url(self.home, self.port, role)

    def environment(self, port: int | None = None) -> dict[str, str]:
        """Return the connections as the platform reads them, perhaps through another port."""
        urls = {name: databases.url(self.home, port or self.port, role) for name, role in ROLES.items()}
        return {f"TIDEMILL_CONN_{name.upper()}": url for name, url in urls.items()}

    def as_admin(self, statement: str, database: str = "warehouse") -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            user=postgres.ADMIN,
            dbname=database,
            password=password(self.home, postgres.ADMIN),
            connect_timeout=5,
        )
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()
