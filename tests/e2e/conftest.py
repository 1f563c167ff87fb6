"""The demo, run once as a newcomer runs it, in a copy of the project with a stack of its own and a second user."""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidemill.local import stack
from tidemill.local.airflow_api import AirflowApi
from tidemill.local.home import Home
from tidemill.machine.files import write_private

PROJECT = Path(__file__).parents[2]
DEMO_LIMIT_S = 1500  # a hang is a failure; on two quiet cores it takes under five minutes


class Demo:
    """A copy of the project in which ``make demo`` has run."""

    def __init__(self, project: Path) -> None:
        self.project, self.home = project, project / ".tidemill"
        self.output = ""

    def make(self, *arguments: str, check: bool = True) -> str:
        """Run make as the README says; the packages are those of the checkout."""
        command = ["make", "--assume-old=.venv/.ready", *arguments]
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("TIDEMILL", "AIRFLOW"))
        }
        done = subprocess.run(
            command,
            cwd=self.project,
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEMO_LIMIT_S,
            check=False,
        )
        assert not check or done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def rows(self, query: str) -> list[tuple]:
        """Ask the warehouse as the role that can only read."""
        return list(stack.sql(self.home, query).rows)

    def checksums(self) -> dict[str, tuple[int, str]]:
        """Rows and checksum of each published partition of the example."""
        found = self.rows(
            "SELECT p.partition, r.n_rows, r.checksum FROM tidemill.published p JOIN tidemill.prediction_run r"
            " USING (prediction_run_id) WHERE p.model = 'flight_delays' ORDER BY 1"
        )
        return {partition: (n_rows, checksum) for partition, n_rows, checksum in found}

    def invite(self, user: str) -> None:
        """Add a user to Airflow's UI, before the stack starts."""
        home = Home(folder=self.home)
        home.create()
        write_private(home.login, json.dumps({name: secrets.token_urlsafe(16) for name in ("admin", user)}))

    def airflow(self, user: str = "admin") -> AirflowApi:
        """A session with the running Airflow."""
        urls = {item.component: item.url for item in stack.status(self.home)}
        passwords = json.loads(Home(folder=self.home).login.read_text(encoding="utf-8"))
        return AirflowApi(urls["api-server"], user, passwords[user])

    def environment(self) -> dict[str, str]:
        """The variables that the stack has written for shells and notebooks."""
        lines = (self.home / "environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    project = tmp_path_factory.mktemp("clone") / "tidemill"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, project / name)
    (project / ".venv").symlink_to(PROJECT / ".venv")
    running = Demo(project)
    running.invite("kim")
    try:
        running.output = running.make("demo")
        yield running
    finally:
        stack.remove(running.home, lambda line: None)
