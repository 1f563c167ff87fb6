"""A Postgres that tests may kill: the ledger on its own server, started and stopped at will."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg2

from tidemill.local.home import Home
from tidemill.machine.polling import until
from tidemill.machine.ports import free_port
from tidemill.postgres.cluster import ADMIN, initialise, place, server_arguments, server_environment
from tidemill.postgres.server import Server as Postgres
from tidemill.warehouse.migrations import apply_migrations

ROLES = {"warehouse": "tidemill_reader", "tidemill": "tidemill_writer", "tidemill_promoter": "tidemill_promoter"}
READY_S = 60  # recovery from a crash takes less, even on a busy server


class Server:
    """One cluster in a folder, with the ledger's schema."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.home = Home(folder=folder / ".tidemill")
        self.home.create()
        self.cluster = place(self.home.folder)
        initialise(self.cluster, self.home.secrets, self.home.log("initdb"))
        self.port = free_port()
        self.options = options
        self.wrapper: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; until the children of a killed postmaster are gone, no other one can start."""
        assert until(self._starts, READY_S), "Postgres did not start"

    def _starts(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            self.process = self._launch()
        return self.is_ready()

    def _launch(self) -> subprocess.Popen[bytes]:
        uid, gid = self.cluster.uid, self.cluster.gid
        become = [] if uid is None else ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
        return subprocess.Popen(
            [*self.wrapper, *become, *server_arguments(self.cluster, self.port), *self.options],
            env=server_environment(self.cluster, os.environ),
            cwd=self.cluster.data,
            stderr=subprocess.DEVNULL,
        )

    def is_ready(self) -> bool:
        return self._postgres().is_ready()

    def create_ledger(self) -> None:
        self._postgres().create_databases()
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

    def url(self, role: str, port: int | None = None) -> str:
        """Return a role's connection, perhaps through another port."""
        return self._postgres(port).url(role)

    def password(self, role: str) -> str:
        return self._postgres().password(role)

    def environment(self, port: int | None = None) -> dict[str, str]:
        """Return the connections as the platform reads them, perhaps through another port."""
        urls = {name: self.url(role, port) for name, role in ROLES.items()}
        return {f"TIDEMILL_CONN_{name.upper()}": url for name, url in urls.items()}

    def as_admin(
        self, statement: str, database: str = "warehouse", values: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            user=ADMIN,
            dbname=database,
            password=self.password(ADMIN),
            connect_timeout=5,
        )
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def _postgres(self, port: int | None = None) -> Postgres:
        return Postgres(port=port or self.port, passwords=self.home.secrets)
