"""The real Airflow under attack: scheduler killed, API server frozen, a task that outlives its token, is told to end
or never ends (F04, F30, F32, F35, F37).

One stack with its own home and ports. The task sleeps where it has written its rows and nobody sees them yet: a
fault point, armed by a file beside the DAG, since the stack hands no foreign variable on to its programs.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tidemill.faults import VARIABLE
from tidemill.local import stack
from tidemill.local.airflow_api import FINAL, AirflowApi
from tidemill.local.ports import Ports
from tidemill.machine.polling import until
from tidemill.machine.ports import free_port
from tidemill.warehouse.migrations import apply_migrations
from tidemill.workspace import Workspace

from ..integration.data import LAST, NEXT, PER_DAY, SCORED, Mill, generate_parcels, load_parcels
from .conftest import Proved
from .tables import check_history

pytestmark = [pytest.mark.slow, pytest.mark.airflow]

PROJECT = Path(__file__).parents[2]
MODEL = "parcels"
WRITTEN_S = 400  # four tasks that start one after the other; on a busy machine each takes half a minute to start
RUN_LIMIT_S = 420  # a scheduler's death is noticed after 30 s, a retry waits 10 s, a slept attempt costs its sleep
OVERLAP_S = 150  # the old attempt sleeps longer than its scheduler's death stays unnoticed
TOKEN_LIFE_S = 20
DAY_AFTER, MARKED, ENDLESS = "2024-03-27", "2024-03-28", "2024-03-29"

ARMED = """
import os
from pathlib import Path

if (_fault := Path(__file__).with_name("fault")).exists():
    os.environ.update(line.split("=", 1) for line in _fault.read_text().splitlines())
"""


@dataclass
class Site:
    """A project in a folder, with its stack and one small model that has a champion."""

    project: Path
    api: AirflowApi
    mill: Mill

    def arm(self, fault: str, **variables: str) -> None:
        lines = [f"{name}={value}" for name, value in ({VARIABLE: fault} | variables).items()]
        aside = self.project / "fault.aside"  # a task may read it at any instant
        aside.write_text("\n".join(lines))
        aside.rename(self.project / "dags" / "fault")

    def disarm(self) -> None:
        (self.project / "dags" / "fault").unlink(missing_ok=True)

    def pid(self, component: str) -> int | None:
        return {row.component: row.pid for row in stack.status(self.project / ".tidemill")}[component]

    def trigger(self, partition: str) -> str:
        run_id = f"chaos-{partition}-{time.monotonic_ns()}"
        self.api.trigger(f"{MODEL}_predict", run_id, partition)
        return run_id

    def has_written(self, partition: str) -> bool:
        return "written" in self.mill.statuses(partition)

    def state(self, run_id: str) -> str:
        """Return the state of a run, or nothing while the API server does not answer."""
        try:
            return next((run.state for run in self.api.runs(f"{MODEL}_predict") if run.run_id == run_id), "")
        except httpx.HTTPError:
            return ""

    def end(self, run_id: str) -> str:
        assert until(lambda: self.state(run_id) in FINAL, RUN_LIMIT_S), f"{run_id} is {self.state(run_id)}"
        return self.state(run_id)

    def ends(self, partition: str) -> list[str]:
        """Return how each attempt at the task ``predict`` has ended by the ledger, oldest first; empty is well."""
        query = (
            "SELECT coalesce(error, status) FROM tidemill.run"
            " WHERE model = '{m}' AND step = 'predict' AND partition = %s ORDER BY run_id"
        )
        return ["" if end == "succeeded" else str(end) for (end,) in self.mill.sql(query, partition)]

    def attempts(self, partition: str) -> int:
        query = "SELECT count(*) FROM tidemill.prediction_run WHERE model = '{m}' AND partition = %s"
        return int(self.mill.sql(query, partition)[0][0])


def write_project(project: Path) -> None:
    for name in ("plugins", "sql"):
        shutil.copytree(PROJECT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "dags" / "models").mkdir(parents=True)
    dag = (PROJECT / "dags" / "predict.py").read_text(encoding="utf-8")
    docstring, rest = dag.split('"""\n', 1)
    (project / "dags" / "predict.py").write_text(f'{docstring}"""\n{ARMED}{rest}', encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    project = tmp_path_factory.mktemp("site")
    home = project / ".tidemill"
    write_project(project)

    def prepare(owner_url: str) -> None:
        apply_migrations(owner_url)
        load_parcels(owner_url, MODEL, generate_parcels(random_state=1))
        Mill(model=MODEL, workspace=_workspace(project, {}), owner_url=owner_url).write()

    ports = Ports(api=free_port(), mlflow=free_port(), postgres=free_port())
    try:
        stack.up(home, project, lambda line: None, migrate=prepare, ports=ports)
        urls = stack.environment(home)
        mill = Mill(model=MODEL, workspace=_workspace(project, urls), owner_url=urls["TIDEMILL_CONN_TIDEMILL_OWNER"])
        mill.train()
        yield Site(project, _session(home), mill)
    finally:
        stack.remove(home, lambda line: None)


def _workspace(project: Path, urls: dict[str, str]) -> Workspace:
    return Workspace(
        models=project / "dags" / "models",
        sql=project / "sql",
        storage=project / ".tidemill" / "storage",
        tracking_uri=None,
        connection=lambda name: urls[f"TIDEMILL_CONN_{name.upper()}"],
    )


def _session(home: Path) -> AirflowApi:
    urls = {row.component: row.url for row in stack.status(home)}
    api = AirflowApi(urls["api-server"], *stack.login(home))
    api.wait_for_dags([f"{MODEL}_predict"])
    return api


@pytest.fixture
def check(site: Site) -> Iterator[Callable[[str], None]]:
    """Check that the rows of a partition are those of a run that nobody disturbed."""

    def right(partition: str) -> None:
        found = site.mill.view(partition)
        check_history(site.mill, partition)
        site.disarm()
        site.mill.predict(partition)
        assert (len(found), found) == (PER_DAY, site.mill.view(partition))

    yield right
    site.disarm()


@pytest.mark.timeout(900)
def test_scheduler_killed_in_the_middle_of_a_task(site: Site, check: Callable[[str], None], proved: Proved) -> None:
    """The supervisor ends what the dead scheduler has left behind, and the next one takes the task up again."""
    site.arm("write-after-commit:sleep=600")
    run_id = site.trigger(SCORED)
    assert until(lambda: site.has_written(SCORED), WRITTEN_S)
    site.disarm()
    scheduler = site.pid("scheduler")
    assert scheduler is not None
    os.kill(scheduler, signal.SIGKILL)
    assert until(lambda: site.pid("scheduler") not in (None, scheduler), 60), "the supervisor did not restart it"
    assert (site.end(run_id), site.attempts(SCORED)) == ("success", 2)
    check(SCORED)
    proved("F30 P1 P3", schedulers_killed=1)


@pytest.mark.timeout(900)
def test_an_old_attempt_lives_on_beside_the_one_that_took_over(
    site: Site, check: Callable[[str], None], proved: Proved
) -> None:
    """Nobody ends it: the supervisor is frozen, and the scheduler that takes over is the test's."""
    site.arm(f"write-after-commit:sleep={OVERLAP_S}")
    run_id = site.trigger(DAY_AFTER)
    assert until(lambda: site.has_written(DAY_AFTER), WRITTEN_S)
    site.disarm()
    old = psutil.Process(site.pid("scheduler"))
    supervisor, started = psutil.Process(site.pid("supervisor")), time.monotonic()
    command, environment, tasks = old.cmdline(), old.environ(), old.children(recursive=True)
    supervisor.suspend()
    old.kill()
    with (site.project / "second-scheduler.log").open("wb") as log:
        second = subprocess.Popen(command, env=environment, cwd=site.project, stdout=log, stderr=log)
    try:
        assert until(lambda: site.attempts(DAY_AFTER) == 2, RUN_LIMIT_S)
        overlapped = time.monotonic() - started < OVERLAP_S and any(
            task.is_running() and task.status() != psutil.STATUS_ZOMBIE for task in tasks
        )
        state = site.end(run_id)
        psutil.wait_procs(tasks, OVERLAP_S + 60)  # until the old attempt has woken up and ended
        check(DAY_AFTER)
    finally:
        second.terminate()
        second.wait(60)
        supervisor.resume()
        for task in tasks:
            with suppress(psutil.NoSuchProcess):
                task.kill()
    assert (state, overlapped) == ("success", True)
    older, *_, newest = site.ends(DAY_AFTER)[:2]  # its supervisor ends it, or it finds itself overtaken
    assert (older.startswith(("Ended by SIGTERM", "StaleAttempt")), newest) == (True, "")
    assert until(lambda: site.pid("scheduler") not in (None, old.pid), 60)
    proved("F30 P4", attempts_side_by_side=1)


@pytest.mark.timeout(900)
def test_api_server_frozen_for_a_minute_during_a_task(site: Site, check: Callable[[str], None], proved: Proved) -> None:
    site.arm("write-after-commit:sleep=75")
    run_id = site.trigger(NEXT)
    assert until(lambda: site.has_written(NEXT), WRITTEN_S)
    server = site.pid("api-server")
    assert server is not None
    os.kill(server, signal.SIGSTOP)
    until(lambda: site.pid("api-server") != server, 60)  # the supervisor may replace it before the minute is over
    if site.pid("api-server") == server:
        os.kill(server, signal.SIGCONT)
    state, attempts = site.end(run_id), site.attempts(NEXT)
    assert state == "success"
    check(NEXT)
    proved("F32 P1 P18", frozen_api_servers=1, attempts=attempts)


@pytest.mark.timeout(900)
def test_task_that_is_marked_as_failed_ends_cleanly(site: Site, proved: Proved) -> None:
    """Airflow sends SIGTERM, and kills after five seconds what has not ended by then."""
    site.arm("write-after-commit:sleep=600")
    run_id = site.trigger(MARKED)
    assert until(lambda: site.has_written(MARKED), WRITTEN_S)
    site.disarm()
    path = f"dags/{MODEL}_predict/dagRuns/{run_id}/taskInstances/predict"
    site.api.request("PATCH", path, json={"new_state": "failed"})
    assert site.end(run_id) == "failed"
    assert until(lambda: site.ends(MARKED) == ["Ended by SIGTERM."], 60), site.ends(MARKED)
    assert (site.attempts(MARKED), site.mill.view(MARKED)) == (1, [])
    site.mill.predict(MARKED)
    assert len(site.mill.view(MARKED)) == PER_DAY
    check_history(site.mill, MARKED)
    proved("F04", tasks_marked_as_failed=1)


@pytest.mark.timeout(900)
def test_task_without_end_is_ended_at_its_limit_and_tried_again(
    site: Site, check: Callable[[str], None], proved: Proved
) -> None:
    site.arm("write-after-commit:sleep=600", TIDEMILL_PREDICT_TIMEOUT_S="15")
    run_id = site.trigger(ENDLESS)
    assert until(lambda: site.has_written(ENDLESS), WRITTEN_S)
    site.disarm()
    assert (site.end(run_id), site.attempts(ENDLESS)) == ("success", 2)
    first, second = site.ends(ENDLESS)
    assert (first.startswith("OutOfTime: Step predict of"), second) == (True, "")
    check(ENDLESS)
    proved("F37 P18", runaways=1)


@pytest.mark.timeout(900)
def test_task_that_outlives_its_token(site: Site, check: Callable[[str], None], proved: Proved) -> None:
    home = site.project / ".tidemill"
    stack.down(home, lambda line: None)
    (home / "airflow" / "airflow.cfg").write_text(f"[execution_api]\njwt_expiration_time = {TOKEN_LIFE_S}\n")
    stack.up(home, site.project, lambda line: None)
    site.api = _session(home)
    site.arm("write-after-commit:sleep=90")
    run_id = site.trigger(LAST)
    state, attempts = site.end(run_id), site.attempts(LAST)
    assert (state, attempts) == ("success", 1)
    check(LAST)
    proved("F35", tasks_beyond_their_token=1)
