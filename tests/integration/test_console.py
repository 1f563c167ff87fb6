"""The console as Airflow serves it: who sees what, by which clock, and what it asks of the databases."""

import asyncio
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.doctor import Health, examine
from tidemill.operations.rollback import roll_back
from tidemill.records import Decision, PredictionRef, Severity, Verdict
from tidemill.report.html import figure
from tidemill.steps.findings.thresholds import floor_of_partitions
from tidemill.warehouse import statements
from tidemill.warehouse.overview import Overview
from tidemill.warehouse.predictions.lookup import N_SEARCHED, look_up_row
from tidemill.warehouse.predictions.withholding import Withholding

from .data import NEXT, SCORED, Mill

pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with")  # of Airflow's server, when it is imported

DEADLINE = datetime(2024, 3, 26, 11, tzinfo=UTC)  # of the run that starts at five in New York, after two hours
KEY, NEXT_KEY = (f"{day.replace('-', '')}-007" for day in (SCORED, NEXT))
LATE = f"Late since 2024-03-26 07:00 EDT: no partition for {NEXT}; the newest is {SCORED}."


@dataclass
class Console:
    """The app below a server, as one reader sees it at one instant."""

    server: FastAPI
    readable: set[str] = field(default_factory=set)
    """DAGs whose runs the reader may see."""
    writable: set[str] = field(default_factory=set)
    """DAGs whose runs the reader may trigger, and whose tasks they may answer."""
    user: str = "viewer"
    at: datetime = DEADLINE

    def get(self, path: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.server), base_url="http://ui") as client:
                return await client.get(f"/tidemill/{path}")

        return asyncio.run(ask())

    def post(self, path: str, values: dict[str, str], **headers: str) -> httpx.Response:
        """Send a form as a browser does from a page of the console, unless the headers say otherwise."""
        sent = {"origin": "http://ui", "sec-fetch-site": "same-origin"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }

        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.server), base_url="http://ui") as client:
                return await client.post(f"/tidemill/{path}", data=values, headers={k: v for k, v in sent.items() if v})

        return asyncio.run(send())

    def page(self, path: str) -> str:
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text


@pytest.fixture(scope="module")
def metadata() -> None:
    """Airflow's metadata database, empty, in this process."""
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    from airflow import models, settings
    from airflow.jobs import job  # noqa: F401 - its table belongs to the metadata
    from airflow.utils.db import synchronize_log_template

    models.import_all_models()
    models.base.Base.metadata.create_all(settings.get_engine())
    synchronize_log_template()


@pytest.fixture
def console(metadata: None, serving: Mill, monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    from airflow.api_fastapi import app as airflow_app
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api.security import get_user

    from tidemill_airflow.console.app import app, ledger

    server = FastAPI()
    server.mount("/tidemill", app)
    found = Console(server, {f"{serving.model}_predict"})

    class ByDag(SimpleAuthManager):
        """Rights by DAG, as other auth managers have."""

        def is_authorized_dag(self, *, method: str, user: Any, access_entity: Any = None, details: Any = None) -> bool:
            return details.id in (found.readable if method == "GET" else found.writable)

    monkeypatch.setattr(airflow_app._AuthManagerState, "instance", ByDag())
    monkeypatch.setenv("TIDEMILL_STORAGE", str(serving.workspace.storage))
    url = serving.workspace.connection("warehouse")
    app.dependency_overrides = {
        ledger: lambda: Overview(url, found.at),
        get_user: lambda: SimpleAuthManagerUser(username=found.user, role="VIEWER"),
    }
    beat("SchedulerJob", timedelta())
    yield found
    app.dependency_overrides = {}
    forget_everything()


def beat(job_type: str, ago: timedelta) -> None:
    """Let a part of Airflow have given its last sign of life some time ago."""
    from airflow.jobs.job import Job, JobState
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(Job).where(Job.job_type == job_type))
        job = Job(state=JobState.RUNNING, latest_heartbeat=datetime.now(UTC) - ago)
        job.job_type = job_type
        session.add(job)


def add_run(dag_id: str, run_id: str, state: str, key: str | None, conf: Any = None) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    now = datetime.now(UTC)
    with create_session() as session:
        run = DagRun(
            dag_id=dag_id,
            run_id=run_id,
            run_type=DagRunType.from_run_id(run_id),
            run_after=datetime(2024, 3, 26, 9, tzinfo=UTC),  # the tick, as of a backfill
            start_date=now,
            triggered_by=DagRunTriggeredByType.TEST,
            state=state,
            partition_key=key,
            conf=conf,
        )
        run.end_date = now
        session.add(run)


def forget_everything() -> None:
    from airflow.jobs.job import Job
    from airflow.models.dag import DagModel
    from airflow.models.dagrun import DagRun
    from airflow.models.hitl import HITLDetail
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        for table in (HITLDetail, DagRun, SerializedDagModel, DagModel, Job):
            session.execute(delete(table))


# ---------------------------------------------------------------- the clock


def test_a_partition_is_late_from_its_deadline_on_and_the_doctor_says_the_same(console: Console, serving: Mill) -> None:
    serving.predict()
    console.at = DEADLINE - timedelta(seconds=1)
    assert LATE not in console.page(f"{serving.model}/")
    console.at = DEADLINE
    page = console.page(f"{serving.model}/")
    assert f"<li>{LATE}</li>" in page
    assert f'title="{NEXT}: owed by the schedule and missing"' in page
    assert LATE in console.page("")
    found = examine(serving.workspace, as_of=DEADLINE)
    (finding,) = [item for item in found if (item.check, item.subject) == ("freshness", serving.model)]
    state = Overview(serving.workspace.connection("warehouse"), DEADLINE).model(serving.model).state
    assert (finding.severity, finding.message, finding.remedy) == (
        Health.FAIL,
        state.timeliness.message,
        state.timeliness.remedy,
    )
    assert state.severity is Severity.FAIL


def withhold(mill: Mill, partition: str) -> PredictionRef:
    """Score a partition, and withhold its rows."""
    prediction = mill.predict_only(partition)
    decision = Decision(kind="inspect", verdict=Verdict.REJECT, reasons=("A break of weight_kg.",))
    evidence = {"rules": ["break:weight_kg"], "requested_by": ""}
    Withholding(mill.workspace.connection("tidemill")).withhold(
        prediction, decision, evidence, mill.start_run(partition)
    )
    return prediction


def test_withheld_rows_are_told_as_such_and_are_not_late(console: Console, serving: Mill) -> None:
    serving.predict()
    prediction = withhold(serving, NEXT)
    serving.extract("score", NEXT)  # a step whose spec is on record
    page = console.page(f"{serving.model}/")
    assert f'title="{NEXT}: newest rows withheld"' in page
    assert "Late since" not in page
    assert "Its newest rows are withheld." in console.page(f"{serving.model}/partitions/{NEXT}/")
    assert look_up_row(serving.workspace.connection("warehouse"), serving.model, NEXT_KEY) is None
    found = Overview(serving.workspace.connection("warehouse"), DEADLINE)
    state = found.model(serving.model).state
    assert (state.withheld, state.timeliness.severity, state.timeliness.missing) == ((NEXT,), None, ())
    assert state.timeliness.message == f"The newest rows of the partition due, {NEXT}, are withheld."
    accepted = Decision(kind="publish", verdict=Verdict.ACCEPT, reasons=("Published by ann: fine.",), by="ann")
    Withholding(serving.workspace.connection("tidemill")).resolve(prediction, accepted)
    details = found.model(serving.model)
    assert [(item.partition, item.kind, item.verdict) for item in details.row_decisions] == [
        (NEXT, "inspect", Verdict.REJECT),
        (NEXT, "publish", Verdict.ACCEPT),
    ]
    assert "<li>Published by ann: fine.</li>" in console.page(f"{serving.model}/partitions/{NEXT}/")
    assert look_up_row(serving.workspace.connection("warehouse"), serving.model, NEXT_KEY).partition == NEXT


def test_a_stopped_scheduler_is_told_within_a_minute(console: Console, serving: Mill) -> None:
    serving.predict()
    console.at = DEADLINE - timedelta(hours=1)
    beat("SchedulerJob", timedelta(seconds=5))
    assert "does not run" not in console.page(f"{serving.model}/") + console.page("")
    beat("SchedulerJob", timedelta(seconds=59))
    for page in (console.page(f"{serving.model}/"), console.page("")):
        assert "<li>Airflow&#39;s scheduler does not run; its last sign of life was on " in page
        assert 'class="verdict fail"' in page


def test_a_scheduler_stopped_for_an_hour_is_told_beside_the_deadline_that_passes(
    console: Console, serving: Mill
) -> None:
    serving.predict()
    beat("SchedulerJob", timedelta(hours=1))
    for minutes, late in ((-1, False), (0, True), (1, True)):
        console.at = DEADLINE + timedelta(minutes=minutes)
        for page in (console.page(f"{serving.model}/"), console.page("")):
            assert "<li>Airflow&#39;s scheduler does not run; its last sign of life was on " in page
            assert 'class="verdict fail"' in page
            assert (LATE in page) is late


def test_a_scheduler_that_never_ran_is_told(console: Console, serving: Mill) -> None:
    forget_everything()
    assert "scheduler does not run; it has never given a sign of life." in console.page("")


def test_a_dead_triggerer_is_told(console: Console) -> None:
    beat("TriggererJob", timedelta(hours=1))
    assert "Airflow&#39;s triggerer does not run" in console.page("")


@pytest.mark.parametrize(
    ("dag", "told"),
    [
        (None, "Airflow has no DAG {model}_predict: its file is gone, or cannot be imported."),
        ({"is_stale": True}, "Airflow has no DAG {model}_predict: its file is gone, or cannot be imported."),
        ({"is_stale": False, "is_paused": True}, "The DAG {model}_predict is paused."),
        ({"is_stale": False, "is_paused": False}, None),
    ],
)
def test_a_late_model_says_why_airflow_does_not_start_it(
    console: Console, serving: Mill, dag: dict[str, bool] | None, told: str | None
) -> None:
    serving.predict()
    if dag is not None:
        add_dag(f"{serving.model}_predict", dag)
    page = console.page(f"{serving.model}/")
    obstacles = [told.format(model=serving.model)] if told else []
    assert [text for text in ("Airflow has no DAG", "is paused.") if text in page] == [
        text for text in ("Airflow has no DAG", "is paused.") if any(text in item for item in obstacles)
    ]
    assert all(item in page for item in obstacles)


def add_dag(dag_id: str, columns: dict[str, bool]) -> None:
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    with create_session() as session:
        session.merge(DagBundleModel(name="tests"))
        session.flush()
        session.add(DagModel(dag_id=dag_id, bundle_name="tests", **columns))


def test_a_failed_run_without_a_failed_step_is_told_until_a_later_one_succeeds(console: Console, serving: Mill) -> None:
    dag_id = f"{serving.model}_predict"
    serving.predict()
    console.at = DEADLINE - timedelta(hours=1)
    add_run(dag_id, "scheduled__1", "failed", NEXT)
    told = f"A run of {dag_id} for partition {NEXT} failed on "
    assert told in console.page(f"{serving.model}/")
    add_run(dag_id, "manual__2", "success", SCORED)
    assert told in console.page(f"{serving.model}/")
    add_run(dag_id, "manual__3", "success", NEXT)
    assert told not in console.page(f"{serving.model}/")


def test_a_failed_run_in_the_ledger_is_reported_once(console: Console, serving: Mill) -> None:
    add_run(f"{serving.model}_predict", "scheduled__1", "failed", NEXT)
    assert "Failed in Airflow only" in console.page(f"{serving.model}/")
    serving.sql(
        "INSERT INTO tidemill.run (model, chain, step, partition, status, error, dag_run_id, code_version, spec_digest,"
        " ended_at) SELECT '{m}', 'predict', 'extract', %s, 'failed', 'No rows.', 'scheduled__1', 'x', spec_digest, now()"
        " FROM tidemill.run WHERE model = '{m}' LIMIT 1",
        NEXT,
    )
    page = console.page(f"{serving.model}/")
    assert "Failed in Airflow only" not in page
    assert f"has failed for partition {NEXT}: No rows." in page


def test_the_floor_is_that_of_the_alerts(trained_mill: tuple[Mill, Any]) -> None:
    mill, _ = trained_mill
    state = Overview(mill.workspace.connection("warehouse")).model(mill.model).state
    job: Any = SimpleNamespace(spec=mill.spec, releases=mill.promoter)
    assert state.floor == pytest.approx(floor_of_partitions(job))


# ---------------------------------------------------------------- links


@pytest.mark.parametrize(
    ("run_id", "key", "conf", "place"),
    [
        ("scheduled__2024-03-25T09:00:00+00:00", SCORED, None, f"/partitions/{SCORED}/"),
        ("manual__1", None, {"partition": NEXT}, f"/partitions/{NEXT}/"),
        ("manual__2", None, {"partition": "../<b>"}, "/partitions/..%2F%3Cb%3E/"),
        ("manual__3", None, None, "/"),
    ],
)
def test_a_run_of_airflow_leads_to_its_partition(
    console: Console, serving: Mill, run_id: str, key: str | None, conf: Any, place: str
) -> None:
    add_run(f"{serving.model}_predict", run_id, "success", key, conf)
    answer = console.get(f"run/{serving.model}_predict/{quote(run_id, safe='')}")
    assert answer.headers["location"] == f"/tidemill/{serving.model}{place}"
    assert console.get("run/some_other_dag/1").headers["location"] == "/tidemill/"


def test_a_partition_shows_its_steps_with_the_way_to_their_logs(console: Console, serving: Mill) -> None:
    serving.predict()
    serving.sql(
        "UPDATE tidemill.run SET dag_id = '{m}_predict', dag_run_id = 'scheduled__1', task_id = step, try_number = 1"
        " WHERE model = '{m}' AND partition = %s",
        SCORED,
    )
    page = console.page(f"{serving.model}/partitions/{SCORED}/")
    assert "60 rows by release" in page
    for step in ("extract", "validate_data", "predict", "publish"):
        assert f'href="../../../../dags/{serving.model}_predict/runs/scheduled__1/tasks/{step}?try_number=1"' in page
    found = Overview(serving.workspace.connection("warehouse")).partition(serving.model, SCORED)
    ((n_runs,),) = serving.sql("SELECT count(*) FROM tidemill.run WHERE model = '{m}' AND partition = %s", SCORED)
    assert (len(found.steps), found.previous, found.next) == (n_runs, None, None)
    serving.predict(NEXT)
    assert f'href="../{NEXT}/">Next: {NEXT}</a>' in console.page(f"{serving.model}/partitions/{SCORED}/")
    assert f'href="../{SCORED}/">Previous: {SCORED}</a>' in console.page(f"{serving.model}/partitions/{NEXT}/")


def test_what_never_was_is_no_page(console: Console, serving: Mill) -> None:
    for path in ("partitions/2024-01-01/", "partitions/..%2F..%2Fetc/", "partitions/<b>/", "releases/99999999/card/"):
        answer = console.get(f"{serving.model}/{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/plain; charset=utf-8")


def test_a_stored_report_has_the_way_back_to_its_partition(console: Console, serving: Mill) -> None:
    serving.predict()
    contract = Overview(serving.workspace.connection("warehouse")).model(serving.model).partitions[0].contract
    path = contract.replace(serving.model, f"{serving.model}", 1)
    page = console.page(f"{path}/?partition={SCORED}")
    assert f'<a href="../../partitions/{SCORED}/">' in page
    assert console.get(f"{path}/?partition=<script>").status_code == 404


def test_a_release_leads_to_its_card_and_the_pages_of_its_data(
    console: Console, trained_mill: tuple[Mill, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    mill, _ = trained_mill
    console.readable = {f"{mill.model}_predict"}
    monkeypatch.setenv("TIDEMILL_STORAGE", str(mill.workspace.storage))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    release = f"{mill.model}/releases/{mill.promoter.champion(mill.model).release_id}/"
    page = console.page(release)
    links = dict(re.findall(r'<a href="([^"]*)">([^<]*)</a>', page))
    assert {"card/": "model card"}.items() <= links.items()
    assert {"profile of the training data", "contract"} <= set(links.values())
    for href, name in links.items():
        if name in ("profile of the training data", "contract"):
            assert mill.model in console.page(f"{mill.model}/{href.removeprefix('../../')}")
    assert f"{mill.model}" in console.page(f"{release}card/")


# ---------------------------------------------------------------- from a fault to its cause


def record_step(mill: Mill, chain: str, step: str, partition: str, error: str | None = None) -> int:
    """Record a scheduled step of the same spec as the model's others: failed if there is an error."""
    columns = "model, chain, step, partition, status, error, dag_id, dag_run_id, task_id, try_number, code_version, spec_digest"
    ((run_id,),) = mill.sql(
        f"INSERT INTO tidemill.run ({columns}, ended_at) SELECT model, %s, %s, %s, %s, %s, %s, 'scheduled__1', %s, 1, 'x',"
        " spec_digest, now() FROM tidemill.run WHERE model = '{m}' AND step = 'publish' LIMIT 1 RETURNING run_id",
        *(chain, step, partition, "failed" if error else "succeeded", error, f"{mill.model}_{chain}", step),
    )
    return run_id


def open_alert(mill: Mill, rule: str, message: str) -> None:
    """Open an alert that a task of the monitoring has found."""
    told = {"rule": rule, "severity": "fail", "message": message, "value": 1, "threshold": 0}
    mill.sql(
        "INSERT INTO tidemill.alert (model, rule, severity, message, value, threshold, first_partition, last_partition, owner,"
        " told, told_partition, run_id) VALUES ('{m}', %s, 'fail', %s, 1, 0, %s, %s, '', %s, %s, %s)",
        *(rule, message, SCORED, SCORED, json.dumps(told), SCORED, record_step(mill, "monitor", "alert", SCORED)),
    )


ALERTS = {
    "missing values": ("nulls:weight_kg", "weight_kg: 40 % of the values are missing (threshold 5 %)."),
    "drift": ("drift", "Features with 60 % of the importance have drifted."),
    "a break": ("break:queue_h", "queue_h differs from the 28 partitions before."),
    "a drop in quality": ("quality:roc_auc", "roc_auc is 0.51, below the floor of 0.6."),
    "unseen categories": ("unseen:carrier", "carrier: 30 % of the rows have a level that training never saw."),
    "a stale model": ("age", "The model is 45 days old (limit 30)."),
}
FAULTS: dict[str, tuple[Any, str]] = {
    name: (lambda mill, rule=rule, message=message: open_alert(mill, rule, message), message)
    for name, (rule, message) in ALERTS.items()
} | {
    "a breach of the contract": (
        lambda mill: record_step(mill, "predict", "validate_data", NEXT, "weight_kg: 7 values below 0."),
        "weight_kg: 7 values below 0.",
    ),
    "a failed task": (lambda mill: record_step(mill, "predict", "extract", NEXT, "Out of memory."), "Out of memory."),
    "withheld rows": (lambda mill: withhold(mill, NEXT), "A break of weight_kg."),
    "a late partition": (lambda mill: None, LATE),
    "a gap": (
        lambda mill: mill.predict("2024-03-27"),
        f"Partition(s) between published ones are missing: {NEXT}.",
    ),
    "rows set aside": (
        lambda mill: mill.sql(
            "UPDATE tidemill.prediction_run SET n_set_aside = 7, n_rows = n_rows - 7 WHERE model = '{m}'"
        ),
        "7 set aside",
    ),
}


def inject_into(mill: Mill, fault: str) -> str:
    """Inject a fault into a model that predicts, and return what a page should say."""
    inject, cause = FAULTS[fault]
    mill.predict()
    inject(mill)
    return cause


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_on_the_first_page_and_its_cause_two_clicks_away(
    console: Console, serving: Mill, fault: str
) -> None:
    cause = inject_into(serving, fault)
    console.at = DEADLINE + timedelta(days=1 if fault == "a gap" else 0)
    assert f'<a href="{serving.model}/">' in console.page("")
    page = console.page(f"{serving.model}/")
    linked = {href for href in re.findall(r'href="(partitions/[^"/]*/)"', page)}
    clicked = [page, *(console.get(f"{serving.model}/{href}").text for href in sorted(linked))]
    assert any(cause in unescape(text) for text in clicked)


@pytest.mark.parametrize("fault", [*ALERTS, "a breach of the contract", "a failed task"])
def test_an_alert_or_failure_leads_to_the_log_of_its_task_in_one_click(
    console: Console, serving: Mill, fault: str
) -> None:
    cause = inject_into(serving, fault)
    rows = re.findall(r"<tr.*?</tr>", console.page(f"{serving.model}/"), re.DOTALL)
    (row,) = [row for row in rows if cause in unescape(row)]
    dag = f"../../dags/{serving.model}_{'monitor' if fault in ALERTS else 'predict'}/runs/scheduled__1/tasks/"
    assert any(href.startswith(dag) for href in re.findall(r'href="([^"]*)"', row))


# ---------------------------------------------------------------- figures as JSON


def test_figures_are_json_for_those_who_may_see_the_model(console: Console, serving: Mill) -> None:
    serving.predict()
    add_figures(serving)
    of = f"{serving.model}/api"
    names = json.loads(console.page(f"{of}/names"))
    assert [(item["part"], item["name"], item["slice"], item["by_feature"]) for item in names] == [
        ("drift", "psi", None, True),
        ("performance", "roc_auc", None, False),
        ("performance", "roc_auc", "origin=JFK", False),
    ]
    found = json.loads(console.page(f"{of}/figures?part=performance&name=roc_auc"))
    assert [(item["partition"], item["value"], item["low"], item["n"]) for item in found] == [(SCORED, 0.72, 0.6, 60)]
    for query, values in (
        ("part=performance&name=roc_auc&slice=origin%3DJFK", [0.5]),
        ("part=drift&name=psi&feature=weight_kg", [0.3]),
        (f"part=performance&name=roc_auc&first={NEXT}", []),
        ("part=%27%20OR%201=1&name=roc_auc", []),
    ):
        assert [item["value"] for item in json.loads(console.page(f"{of}/figures?{query}"))] == values
    for query in ("", "part=performance", "part=a&name=b&limit=0", "part=a&name=b&evil=1", "part=a%00&name=b"):
        assert console.get(f"{of}/figures?{query}").status_code == 404
    description = json.loads(console.page("api/openapi.json"))
    assert list(description["paths"]) == ["/{model}/api/names", "/{model}/api/figures"]
    console.readable = set()
    assert {console.get(f"{of}/{path}").status_code for path in ("names", "figures?part=a&name=b")} == {403}


def add_figures(mill: Mill) -> None:
    """Add figures of one partition; the newer run's count."""
    rows = (
        ("performance", "roc_auc", None, None, 0.5),
        ("performance", "roc_auc", None, None, 0.72),
        ("performance", "roc_auc", "origin=JFK", None, 0.5),
        ("drift", "psi", None, "weight_kg", 0.3),
    )
    for part, name, part_of, feature, value in rows:
        mill.sql(
            "INSERT INTO tidemill.metric (model, partition, part, name, slice, feature, value, low, high, n, as_of, run_id)"
            " VALUES ('{m}', %s, %s, %s, %s, %s, %s, 0.6, 0.8, 60, now(), %s)",
            *(SCORED, part, name, part_of, feature, value, mill.start_run(SCORED)),
        )


def test_one_page_runs_scripts_of_this_server_alone(console: Console, serving: Mill) -> None:
    page = console.page(f"{serving.model}/figures/")
    assert "script-src &#39;self&#39;; connect-src &#39;self&#39;" in page
    assert "unsafe" not in page
    for name in re.findall(r'<script src="../../assets/([^"]*)"></script>', page):
        assert console.get(f"assets/{name}").headers["content-type"] == "text/javascript; charset=utf-8"
    assert console.get("assets/other.js").status_code == 404
    assert "<script" not in console.page(f"{serving.model}/")


# ---------------------------------------------------------------- actions


@pytest.fixture
def actor(console: Console, serving: Mill) -> Console:
    """A reader who may act, and the DAGs that do it."""
    from airflow.sdk import DAG

    from tidemill_airflow.console.actions import FORM
    from tidemill_airflow.params import trigger_form

    forms = {
        "act": FORM,
        "rollback": ("to", "republish_from", "republish_to", "reason"),
        "train": ("partition", "reason"),
    }
    for verb, form in forms.items():
        with DAG(f"{serving.model}_{verb}", schedule=None, params=trigger_form(*form)) as dag:
            approve_task()
        store_dag(dag)
    console.writable = {f"{serving.model}_{verb}" for verb in forms}
    console.user = "ann"
    return console


def approve_task() -> None:
    from airflow.providers.standard.operators.empty import EmptyOperator

    EmptyOperator(task_id="approve")


def store_dag(dag: Any) -> None:
    """Store a DAG as Airflow's DAG processor does, not paused."""
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.merge(DagBundleModel(name="tests"))
    bag = DagBag(dag_folder=os.devnull)
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "tests", None)
    with create_session() as session:
        session.execute(update(DagModel).where(DagModel.dag_id == dag.dag_id).values(is_paused=False))


def runs_of(dag_id: str) -> list[Any]:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        columns = (DagRun.run_id, DagRun.conf, DagRun.triggering_user_name)
        return list(session.execute(select(*columns).where(DagRun.dag_id == dag_id)))


def token_of(page: str) -> str:
    (token,) = re.findall(r'name="token" value="([^"]*)"', page)
    return token


HOLD = {"what": "partition", "name": SCORED, "reason": "case 17"}


def test_an_action_is_a_run_in_the_name_of_the_person(actor: Console, serving: Mill) -> None:
    serving.predict()
    page = actor.page(f"{serving.model}/partitions/{SCORED}/")
    assert f'href="../../act/hold/?what=partition&amp;name={SCORED}"' in page
    form = actor.page(f"{serving.model}/act/hold/?what=partition&name={SCORED}&reason=case+17")
    assert f"tidemill hold {serving.model} partition {SCORED} --reason &#39;case 17&#39;" in form
    answer = actor.post(f"{serving.model}/act/hold/", HOLD | {"token": token_of(form)})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/tidemill/{serving.model}/#asked")
    ((run_id, conf, by),) = runs_of(f"{serving.model}_act")
    assert (conf, by) == ({"action": "hold"} | HOLD, "ann")
    page = actor.page(f"{serving.model}/")
    row = page.partition('id="asked"')[2]
    assert f'href="../../dags/{serving.model}_act/runs/{run_id}">Hold</a>' in row
    assert "case 17" in row


def test_a_viewer_sees_and_cannot_act_and_others_see_nothing(actor: Console, serving: Mill) -> None:
    serving.predict()
    token = token_of(actor.page(f"{serving.model}/act/hold/"))
    actor.writable = set()
    for page in (f"{serving.model}/", f"{serving.model}/partitions/{SCORED}/"):
        assert "/act/" not in actor.page(page)
    assert actor.get(f"{serving.model}/act/hold/").status_code == 403
    assert actor.post(f"{serving.model}/act/hold/", HOLD | {"token": token}).status_code == 403
    actor.readable = set()
    actor.writable = {f"{serving.model}_act"}  # rights that no sensible role has
    for path in ("", "act/hold/", f"partitions/{SCORED}/"):
        assert actor.get(f"{serving.model}/{path}").status_code == 403
    assert serving.model not in actor.page("")
    assert runs_of(f"{serving.model}_act") == []


def test_a_form_from_elsewhere_or_of_another_person_or_action_is_refused(actor: Console, serving: Mill) -> None:
    path = f"{serving.model}/act/hold/"
    token = token_of(actor.page(path))
    other = token_of(actor.page(f"{serving.model}/act/unhold/"))
    for sent in ({}, {"token": ""}, {"token": other}, {"token": f"{token}x"}):
        assert actor.post(path, HOLD | sent).status_code == 403
    for headers in (
        {"origin": "http://evil"},
        {"origin": "null"},
        {"origin": ""},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ):
        assert actor.post(path, HOLD | {"token": token}, **headers).status_code == 403
    actor.user = "bob"
    assert actor.post(path, HOLD | {"token": token}).status_code == 403
    actor.user = "ann"
    assert actor.get(f"{path}?token={token}&what=partition&name={SCORED}&reason=x").status_code == 200
    assert runs_of(f"{serving.model}_act") == []
    assert actor.post(path, HOLD | {"token": token}).status_code == 303


def test_a_form_is_accepted_once_and_not_for_ever(
    actor: Console, serving: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{serving.model}/act/hold/"
    sent = HOLD | {"token": token_of(actor.page(path))}
    assert [actor.post(path, sent).status_code for _ in range(2)] == [303, 409]
    assert len(runs_of(f"{serving.model}_act")) == 1
    sent = HOLD | {"token": token_of(actor.page(path))}
    monkeypatch.setattr("tidemill_airflow.console.requests.FORM_LIFETIME_S", -1)
    assert actor.post(path, sent).status_code == 403


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"reason": " "}, "The reason is missing."),
        ({"name": ""}, "Missing: name."),
        ({"what": "everything"}, "what: Input should be"),
        ({"name": "x" * 65}, "name: String should have at most 64 characters"),
    ],
)
def test_a_wrong_form_is_shown_again_and_does_nothing(
    actor: Console, serving: Mill, wrong: dict[str, str], told: str
) -> None:
    path = f"{serving.model}/act/hold/"
    answer = actor.post(path, HOLD | {"token": token_of(actor.page(path))} | wrong)
    assert answer.status_code == 422
    assert told in answer.text
    assert runs_of(f"{serving.model}_act") == []


def test_hostile_texts_stay_texts(actor: Console, serving: Mill) -> None:
    hostile = '"><script>alert(1)</script>'
    path = f"{serving.model}/act/hold/"
    form = actor.page(
        f"{path}?what={quote(hostile)}&name={quote(hostile)}&reason={quote(hostile)}&run={quote(hostile)}"
    )
    refused = actor.post(path, HOLD | {"token": token_of(form), "what": hostile}).text
    assert actor.post(path, HOLD | {"token": token_of(form), "reason": hostile}).status_code == 303
    for page in (form, refused, actor.page(f"{serving.model}/")):
        assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in actor.page(f"{serving.model}/")


def test_a_paused_dag_and_an_unknown_action_do_nothing(actor: Console, serving: Mill) -> None:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    path = f"{serving.model}/act/hold/"
    sent = HOLD | {"token": token_of(actor.page(path))}
    with create_session() as session:
        session.execute(update(DagModel).values(is_paused=True))
    answer = actor.post(path, sent)
    assert (answer.status_code, answer.text) == (
        409,
        f"The DAG {serving.model}_act is paused, so nothing would happen. Unpause it first.",
    )
    assert actor.get(f"{serving.model}/act/drop_everything/").status_code == 404


def test_a_rollback_shows_what_it_would_change_before_it_is_offered(
    actor: Console, serving: Mill, trained_mill: tuple[Mill, dict[str, dict[str, Any]]]
) -> None:
    path = f"{serving.model}/act/roll_back/"
    first = serving.promoter.champion(serving.model).release_id
    assert "there is no way back to an earlier one" in actor.get(f"{path}?preview=true").text
    serving.predict()
    newer = serving.register(trained_mill[1], SCORED)
    serving.promote(newer, first, SCORED)
    serving.predict()
    serving.predict(NEXT)
    assert 'name="token"' not in actor.page(path)
    page = actor.page(f"{path}?preview=true&republish_from={SCORED}&republish_to={NEXT}")
    assert f"<li>Release {first} serves; releases that are undone: {newer}.</li>" in page
    assert f"<li>Get their earlier rows back: {SCORED}.</li>" in page
    assert f"<li>Are scored again, because they have no earlier rows: {NEXT}.</li>" in page
    sent = {"republish_from": SCORED, "republish_to": NEXT, "reason": "wrong", "token": token_of(page)}
    assert actor.post(path, sent).status_code == 303
    done = roll_back(
        serving.spec, serving.workspace, to=None, republish=(SCORED, NEXT), approved_by="ann", reason="wrong"
    )
    assert (done.release_id, done.undone, done.restored, done.rescored) == (first, (newer,), (SCORED,), (NEXT,))


def test_a_waiting_training_is_answered_once(actor: Console, serving: Mill) -> None:
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    dag_id, path = f"{serving.model}_train", f"{serving.model}/act/train/"
    sent = {"partition": SCORED, "reason": "new labels", "token": token_of(actor.page(path))}
    assert actor.post(path, sent).status_code == 303
    ((run_id, conf, _),) = runs_of(dag_id)
    assert conf == {"partition": SCORED, "reason": "new labels"}
    with create_session() as session:
        (task,) = session.scalars(select(TaskInstance).where(TaskInstance.dag_id == dag_id))
        task.state = "awaiting_input"
        session.add(HITLDetail(ti_id=task.id, options=["Approve", "Reject"], subject="May it serve?", params={}))
    assert f"act/approve/?run={run_id}" in actor.page(f"{serving.model}/")
    path = f"{serving.model}/act/approve/"
    page = actor.page(f"{path}?run={run_id}")
    sent = {"run": run_id, "reason": "looks right", "token": token_of(page)}
    assert [actor.post(path, sent).status_code for _ in range(2)] == [303, 409]
    with create_session() as session:
        (answer,) = session.scalars(select(HITLDetail))
        assert (answer.chosen_options, answer.responded_by["name"], answer.params_input) == (
            ["Approve"],
            "ann",
            {"comment": "looks right"},
        )
    assert "act/approve/" not in actor.page(f"{serving.model}/")


HOSTILE = (
    '"><script>alert(1)</script>',
    "' OR 1=1 --",
    "%(model)s",
    "{{7*7}}",
    "../../../etc/passwd",
    "\x00",
    "9" * 400,
    "-1",
    "\u202e\U0001f4a3",
    "",
)


@pytest.mark.slow
def test_no_value_of_any_parameter_breaks_a_page_or_stays_unescaped(actor: Console, serving: Mill) -> None:
    from tidemill_airflow.console.actions import ACTIONS, FORM
    from tidemill_airflow.console.app import app

    serving.predict()
    real = {
        "model": [serving.model],
        "partition": [SCORED, NEXT],
        "release_id": [str(serving.promoter.champion(serving.model).release_id)],
        "name": [*ACTIONS, "explore.js", "roc_auc"],
        "key": [KEY],
        "dag_id": [f"{serving.model}_predict"],
    }
    operations = [
        (method, path, operation.get("parameters", []))
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) > 15

    def values(name: str) -> st.SearchStrategy[str]:
        hostile = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
        return st.sampled_from(real[name]) | hostile if name in real else hostile

    @settings(max_examples=100)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        method, path, parameters = data.draw(st.sampled_from(operations))
        for item in parameters:
            if item["in"] == "path":
                path = path.replace(f"{{{item['name']}}}", quote(data.draw(values(item["name"])), safe=""))
        names = [item["name"] for item in parameters if item["in"] == "query"]
        names += [*FORM, "preview", "to", "run", "token"]
        chosen = data.draw(st.lists(st.sampled_from(names), unique=True, max_size=4))
        sent = {name: data.draw(values(name)) for name in chosen}
        path = path.removeprefix("/")
        answer = actor.post(path, sent) if method == "post" else actor.get(f"{path}?{urlencode(sent)}")
        assert answer.status_code < 500, answer.text
        assert "<script>alert" not in answer.text
        assert not answer.is_redirect or answer.headers["location"].startswith("/tidemill/")

    check()
    assert runs_of(f"{serving.model}_act") == []


# ---------------------------------------------------------------- one row, two releases


def test_a_row_is_found_by_its_key_with_its_trace(console: Console, serving: Mill) -> None:
    serving.predict(NEXT)
    serving.predict()
    ((score, release_id),) = serving.sql("SELECT score, release_id FROM predictions.{m} WHERE parcel_id = %s", KEY)
    for query in (f"key={KEY}", f"key={KEY}&partition={SCORED}"):
        page = console.page(f"{serving.model}/rows/?{query}")
        assert f"<h1>{KEY} in {SCORED}: " in page
        assert f'<div class="value">{figure(score)}</div>' in page
        assert f'<a href="../releases/{release_id}/">{release_id}</a>' in page
        assert "<dt>scoring snapshot</dt>" in page
    assert "have no row nobody." in console.page(f"{serving.model}/rows/?key=nobody")
    assert f"Partition {NEXT} has no row {KEY}." in console.page(f"{serving.model}/rows/?key={KEY}&partition={NEXT}")


def test_what_readers_saw_before_is_the_row_s_history(serving: Mill) -> None:
    serving.predict()
    serving.predict()
    url = serving.workspace.connection("warehouse")
    found = look_up_row(url, serving.model, KEY)
    assert [(item.partition, item.status) for item in found.history] == [(SCORED, "published"), (SCORED, "superseded")]
    ((score,),) = serving.sql("SELECT score FROM predictions.{m} WHERE parcel_id = %s", KEY)
    assert [item.score for item in found.history] == [score, score]
    assert found.trace["prediction_run_id"] == found.history[0].prediction_run_id
    assert look_up_row(url, serving.model, "nobody") is None


@pytest.mark.parametrize("key", ["<script>alert(1)</script>", '"><script>', "%' OR 1=1 --", "%(model)s", "a" * 500])
def test_a_hostile_key_is_a_key_that_no_row_has(console: Console, serving: Mill, key: str) -> None:
    serving.predict()
    page = console.page(f"{serving.model}/rows/?key={quote(key, safe='')}")
    assert "have no row" in page
    assert "<script" not in page


@pytest.mark.parametrize("query", ["key=%00", f"key={'a' * 501}", "key=a&partition=<b>"])
def test_a_question_that_cannot_be_meant_is_no_page(console: Console, serving: Mill, query: str) -> None:
    answer = console.get(f"{serving.model}/rows/?{query}")
    assert (answer.status_code, answer.text) == (404, "There is no such page.")


def test_two_releases_are_compared_by_their_settings_on_record(
    console: Console, trained_mill: tuple[Mill, Any]
) -> None:
    mill, _ = trained_mill
    console.readable = {f"{mill.model}_predict"}
    number = mill.promoter.champion(mill.model).release_id
    evidence = Overview(mill.workspace.connection("warehouse")).release(mill.model, number)
    assert evidence.settings == json.loads(mill.spec.meaning)
    page = console.page(f"{mill.model}/releases/{number}/against/{number}/")
    assert "No setting differs." in page
    assert console.get(f"{mill.model}/releases/{number}/against/99999999/").status_code == 404


# ---------------------------------------------------------------- what it costs


def test_the_number_of_queries_does_not_grow_with_the_past(
    console: Console, serving: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving.predict()
    paths = pages(serving)
    asked: list[str] = []

    class Counted(dict[str, str]):
        def __getitem__(self, name: str) -> str:
            asked.append(name)
            return super().__getitem__(name)

    known = Counted(statements.statements())
    monkeypatch.setattr(statements, "statements", lambda: known)

    def counts() -> list[int]:
        found = []
        for path in paths:
            asked.clear()
            console.page(path)
            found.append(len(asked))
        return found

    before = counts()
    assert max(before) <= 30  # the page of the score asks one for each line
    grow(serving, n_partitions=200, n_features=20)
    after = counts()
    searched = paths.index(next(path for path in paths if "/rows/" in path))
    assert after[:searched] + after[searched + 1 :] == before[:searched] + before[searched + 1 :]
    assert after[searched] <= N_SEARCHED + 4


def grow(mill: Mill, *, n_partitions: int, n_features: int) -> None:
    """Write a long past of a model into the ledger: copies of its one published partition, with their figures."""
    mill.sql(
        "INSERT INTO tidemill.prediction_run (model, partition, release_id, run_id, token, snapshot_digest, task, threshold,"
        " simulated, status, n_rows, n_extracted, n_set_aside, checksum, published_at)"
        " SELECT model, to_char(date '2020-01-01' + n, 'YYYY-MM-DD'), release_id, run_id, token, snapshot_digest, task,"
        " threshold, simulated, 'published', n_rows, n_extracted, n_set_aside, checksum, published_at"
        " FROM tidemill.prediction_run, generate_series(1, %s) n WHERE model = '{m}' AND status = 'published'",
        n_partitions,
    )
    mill.sql(
        "INSERT INTO tidemill.published (model, partition, prediction_run_id)"
        " SELECT model, partition, prediction_run_id FROM tidemill.prediction_run WHERE model = '{m}' AND status = 'published'"
        " ON CONFLICT DO NOTHING"
    )
    mill.sql(
        "INSERT INTO tidemill.metric (model, partition, part, name, feature, value, n, as_of, run_id)"
        " SELECT model, partition, 'drift', name, 'f' || f, 0.1, 60, now(), (SELECT max(run_id) FROM tidemill.run)"
        " FROM tidemill.published, generate_series(1, %s) f, unnest(ARRAY['psi', 'psi_threshold', 'importance_share']) name"
        " WHERE model = '{m}'",
        n_features,
    )


# ---------------------------------------------------------------- who sees what


def pages(mill: Mill) -> list[str]:
    """Every kind of page about a model."""
    number = mill.promoter.champion(mill.model).release_id
    release = f"{mill.model}/releases/{number}/"
    rows = f"{mill.model}/rows/?key=20240325-007"
    score = f"{mill.model}/score/"
    return [f"{mill.model}/", score, f"{mill.model}/partitions/{SCORED}/", rows, release, f"{release}against/{number}/"]


def test_a_viewer_sees_every_page(console: Console, serving: Mill) -> None:
    serving.predict()
    assert serving.model in console.page("")
    assert all(serving.model in console.page(path) for path in pages(serving))


def test_a_user_without_rights_on_the_dag_sees_nothing(console: Console, serving: Mill) -> None:
    serving.predict()
    console.readable = {"another_predict", f"{serving.model}_train"}
    assert serving.model not in console.page("")
    answers = [console.get(path) for path in pages(serving)]
    assert [(answer.status_code, serving.model in answer.text) for answer in answers] == [(403, False)] * len(answers)


def test_a_user_without_rights_is_not_led_from_a_run_to_its_partition(console: Console, serving: Mill) -> None:
    add_run(f"{serving.model}_predict", "scheduled__1", "success", SCORED)
    assert console.get(f"run/{serving.model}_predict/scheduled__1").status_code == 307
    console.readable = set()
    assert console.get(f"run/{serving.model}_predict/scheduled__1").status_code == 403


def test_a_page_is_never_stored_and_runs_nothing(console: Console, serving: Mill) -> None:
    serving.predict()
    for path in ["", *pages(serving)]:
        answer = console.get(path)
        assert answer.headers["cache-control"] == "private, no-store"
        assert "<script" not in answer.text
        assert "default-src &#39;none&#39;" in answer.text
