"""The real local stack: its programs, ports and processes. Takes a minute or two."""

import base64
import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest

from tidemill.errors import StackError
from tidemill.local import stack
from tidemill.local.ports import Ports
from tidemill.local.supervision import processes
from tidemill.machine.ports import free_port, is_free
from tidemill.postgres.server import ROLES

SLEEPER = '''
from airflow.sdk import DAG, BaseOperator


class SleepOperator(BaseOperator):
    """Sleeps as long as it is let."""

    def execute(self, context):
        import subprocess

        subprocess.run(["sleep", "600"], check=True)


with DAG("sleeper", schedule=None):
    SleepOperator(task_id="sleep")
'''


class Stack:
    """A stack of the tests' own, and what was said about it."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.home = project / ".tidemill"
        self.said: list[str] = []
        self.wished = Ports(api=free_port(), mlflow=free_port(), postgres=free_port())
        self.migrated: list[str] = []

    def up(self) -> stack.Summary:
        return stack.up(self.home, self.project, self.said.append, migrate=self.migrated.append, ports=self.wished)

    def down(self) -> None:
        stack.down(self.home, self.said.append)

    def status(self) -> dict[str, stack.ComponentStatus]:
        return {row.component: row for row in stack.status(self.home)}

    def ports(self) -> Ports:
        return Ports.from_dict(json.loads((self.home / "stack.json").read_text())["ports"])

    def processes(self) -> list[psutil.Process]:
        """Everything that runs, by the mark and by parenthood."""
        return processes.with_descendants(processes.find(self.home))

    def connect(self, role: str, database: str) -> Any:
        passfile = self.home / "secrets" / f"{role}.pgpass"
        return psycopg2.connect(
            host="127.0.0.1", port=self.ports().postgres, user=role, dbname=database, passfile=str(passfile)
        )

    def call(self, path: str, body: dict[str, Any] | None = None, token: str = "") -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports().api}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


def eventually(condition: Callable[[], bool], timeout_s: float = 90.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)  # polling other programs
    return True


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    project = tmp_path_factory.mktemp("a project")  # with a space, as people have them
    (project / "dags").mkdir()
    (project / "plugins").mkdir()
    (project / "dags" / "sleeper.py").write_text(SLEEPER)
    one = Stack(project)
    try:
        one.up()
        yield one
    finally:
        stack.remove(one.home, one.said.append)


@pytest.fixture(scope="module")
def token(running: Stack) -> str:
    user, password = stack.login(running.home)
    return str(running.call("/auth/token", {"username": user, "password": password})["access_token"])


def test_every_component_runs(running: Stack) -> None:
    expected = {"supervisor", "postgres", "mlflow", "api-server", "scheduler", "dag-processor", "triggerer"}

    assert {name for name, row in running.status().items() if row.state == "running" and row.pid} == expected


def test_migrations_get_the_owners_url(running: Stack) -> None:
    with psycopg2.connect(running.migrated[0]) as owner, owner.cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS made_by_owner; SELECT current_user, current_database()")
        assert cursor.fetchone() == ("tidemill_owner", "warehouse")
    owner.close()


def test_every_listener_is_on_the_loopback(running: Stack) -> None:
    listeners = []
    for process in running.processes():
        with suppress(psutil.NoSuchProcess):  # one that has ended meanwhile listens to nothing
            listeners += [item.laddr for item in process.net_connections() if item.status == psutil.CONN_LISTEN]
    ports = running.ports()

    assert {address.ip for address in listeners} == {"127.0.0.1"}
    assert {address.port for address in listeners} == {ports.api, ports.mlflow, ports.postgres}


def test_no_password_is_in_a_command_line(running: Stack) -> None:
    words = [path.read_text().strip().rsplit(":", 1)[1] for path in (running.home / "secrets").glob("*.pgpass")]
    for name in ("airflow-login", "mlflow-login", "airflow-keys"):
        words += json.loads((running.home / "secrets" / f"{name}.json").read_text()).values()
    commands = "\n".join(" ".join(process.cmdline()) for process in running.processes())

    assert not [word for word in words if word in commands]


def test_no_password_is_in_a_log(running: Stack) -> None:
    words = [path.read_text().strip().rsplit(":", 1)[1] for path in (running.home / "secrets").glob("*.pgpass")]
    for name in ("airflow-login", "mlflow-login"):
        words += json.loads((running.home / "secrets" / f"{name}.json").read_text()).values()
    logs = "\n".join(path.read_text(errors="replace") for path in (running.home / "logs").glob("*.log"))

    assert not [word for word in words if word in logs]


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_enters_only_its_own_database(running: Stack, role: Any) -> None:
    running.connect(role.name, role.database).close()
    # Its passfile names its own database, so the refusal must come with the right password as well.
    password = (running.home / "secrets" / f"{role.name}.pgpass").read_text().strip().rsplit(":", 1)[1]
    for database in {"warehouse", "airflow", "mlflow", "postgres", "template1"} - {role.database}:
        with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
            psycopg2.connect(
                host="127.0.0.1", port=running.ports().postgres, user=role.name, dbname=database, password=password
            )


def test_a_wrong_password_is_refused(running: Stack) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(
            host="127.0.0.1",
            port=running.ports().postgres,
            user="tidemill_reader",
            dbname="warehouse",
            password="guess",
        )


def test_sql_answers_with_columns_and_rows(running: Stack) -> None:
    answer = stack.sql(running.home, "SELECT current_user AS who, 1 AS one")

    assert (answer.columns, answer.rows) == (("who", "one"), (("tidemill_reader", 1),))


def test_sql_cannot_write(running: Stack) -> None:
    with pytest.raises(StackError, match="permission denied"):
        stack.sql(running.home, "CREATE TABLE public.mine (n int)")


def test_up_again_changes_nothing_and_says_so(running: Stack) -> None:
    before = {name: row.pid for name, row in running.status().items()}
    running.said.clear()
    running.up()

    assert {name: row.pid for name, row in running.status().items()} == before
    assert "The stack is already running." in running.said


def test_mlflow_takes_artifacts_through_its_url(running: Stack) -> None:
    base = f"http://127.0.0.1:{running.ports().mlflow}/api/2.0"
    login = base64.b64encode(":".join(stack.mlflow_login(running.home)).encode()).decode()
    request = urllib.request.Request(f"{base}/mlflow-artifacts/artifacts/proof.txt", data=b"tide", method="PUT")
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(request, timeout=30)
    refused.value.close()
    request.add_header("Authorization", f"Basic {login}")
    with urllib.request.urlopen(request, timeout=30):
        pass

    assert (running.home / "mlflow-artifacts" / "proof.txt").read_bytes() == b"tide"


def test_mlflow_refuses_a_foreign_host_name(running: Stack) -> None:
    login = base64.b64encode(":".join(stack.mlflow_login(running.home)).encode()).decode()
    headers = {"Host": "evil.example", "Authorization": f"Basic {login}"}
    request = urllib.request.Request(f"http://127.0.0.1:{running.ports().mlflow}/", headers=headers)
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        urllib.request.urlopen(request, timeout=30)
    refused.value.close()


def test_a_killed_component_is_restarted_and_reported(running: Stack) -> None:
    victim = running.status()["triggerer"].pid
    assert victim is not None
    os.kill(victim, signal.SIGKILL)

    assert eventually(lambda: running.status()["triggerer"].pid not in (victim, None))
    row = running.status()["triggerer"]
    log = (running.home / "logs" / "supervisor.log").read_text()
    assert (row.restarts, row.last_exit.startswith("killed by SIGKILL")) == (1, True)
    assert "triggerer ended: killed by SIGKILL" in log


def test_a_killed_supervisor_leaves_nothing_after_down(running: Stack, token: str) -> None:
    assert eventually(lambda: _is_known(running, "sleeper", token))
    running.call("/api/v2/dags/sleeper/dagRuns", {"logical_date": None}, token)
    assert eventually(lambda: _sleepers(running) != [])
    with running.connect("tidemill_owner", "warehouse") as owner, owner.cursor() as cursor:
        cursor.execute("CREATE TABLE public.kept AS SELECT 42 AS n")
    owner.close()
    everything = running.processes()
    supervisor = running.status()["supervisor"].pid
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)

    assert eventually(lambda: running.status()["scheduler"].state == "orphaned")
    running.down()

    assert [
        process for process in everything if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ] == []
    assert running.processes() == []


def test_the_ports_are_free_after_down(running: Stack) -> None:
    ports = running.ports()

    assert [is_free(port) for port in (ports.api, ports.mlflow, ports.postgres)] == [True, True, True]


def test_down_again_is_harmless(running: Stack) -> None:
    running.down()

    assert {row.state for row in running.status().values()} == {"stopped"}


def test_sql_on_a_stopped_stack_names_the_next_step(running: Stack) -> None:
    with pytest.raises(StackError, match="make status"):
        stack.sql(running.home, "SELECT 1")


def test_up_finds_a_table_made_before(running: Stack) -> None:
    before = running.ports()
    running.up()
    with running.connect("tidemill_owner", "warehouse") as owner, owner.cursor() as cursor:
        cursor.execute("SELECT n FROM public.kept")
        assert cursor.fetchone() == (42,)
    owner.close()
    assert running.ports() == before


def test_down_in_order_leaves_no_process(running: Stack) -> None:
    everything = running.processes()
    assert everything
    running.down()

    assert [
        process for process in everything if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ] == []
    assert "0 processes left" in (running.home / "logs" / "supervisor.log").read_text().splitlines()[-1]


def _is_known(running: Stack, dag_id: str, token: str) -> bool:
    listed = running.call("/api/v2/dags", token=token)
    return dag_id in [dag["dag_id"] for dag in listed["dags"]]


def _sleepers(running: Stack) -> list[psutil.Process]:
    return [process for process in running.processes() if process.name() == "sleep"]
