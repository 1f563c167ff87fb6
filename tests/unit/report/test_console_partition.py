"""The page of a partition: what became of it, and the way from each step to its log and back."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tidemill.monitoring.alerts.families import FAMILIES
from tidemill.records import (
    PartitionAlert,
    PartitionDetails,
    ReleaseOrigin,
    RowChanges,
    RowDecision,
    Severity,
    StepOfPartition,
    Verdict,
)
from tidemill.report.console import partition_page, release_card_page
from tidemill.report.console.links import release_links, report_trail, run_path, task_path
from tidemill.report.console.runbook import instructions
from tidemill.report.html import with_trail

from .test_console import DIGEST, HOSTILE, PARTITION, said

NOW = datetime(2013, 7, 8, 5, tzinfo=UTC)
STEP = StepOfPartition(
    run_id=5, chain="predict", step="extract", status="failed", error="No rows.", started_at=NOW, wall_s=2.0, n_rows=None,
    dag_id="flight_delays_predict", dag_run_id="scheduled__2013-07-08T05:00:00+00:00", task_id="extract", map_index=-1,
    try_number=2,
)  # fmt: skip
BY_COMMAND = replace(STEP, dag_id=None, dag_run_id=None, task_id=None, status="succeeded", error="")
ALERT = PartitionAlert(
    alert_id=3, rule="nulls:temp", event="opened", severity=Severity.WARN, message="temp lacks values."
)
WITHHELD = RowDecision(
    partition="2013-07-07", kind="inspect", verdict=Verdict.REJECT, reasons=("A break of temp.",), decided_at=NOW
)
DETAILS = PartitionDetails(
    model="flight_delays",
    partition="2013-07-07",
    published=PARTITION,
    withheld=False,
    previous="2013-07-06",
    next="2013-07-08",
    steps=(STEP, BY_COMMAND),
    alerts=(),
    row_decisions=(),
)
ORIGIN = ReleaseOrigin(
    bundle_uri="flight_delays/bundles/c0ff",
    mlflow_run_id="0a1b",
    mlflow_version="3",
    profile=f"flight_delays/reports/{DIGEST}",
    contract=None,
)


@pytest.mark.parametrize(
    ("details", "tone", "answer"),
    [
        (DETAILS, "good", "Published on 2013-07-08 05:00 UTC, 934 rows by release 7."),
        (
            replace(DETAILS, alerts=(replace(ALERT, event="resolved"),)),
            "good",
            "Published on 2013-07-08 05:00 UTC, 934 rows by release 7.",
        ),
        (replace(DETAILS, alerts=(ALERT,)), "warn", "Published on 2013-07-08 05:00 UTC, 934 rows by release 7."),
        (
            replace(DETAILS, published=replace(PARTITION, n_rows=0, simulated=True)),
            "good",
            "Published on 2013-07-08 05:00 UTC, empty, simulated.",
        ),
        (replace(DETAILS, published=None), "fail", "It has not been published."),
        (replace(DETAILS, published=None, steps=(BY_COMMAND,)), "none", "It has not been published."),
        (replace(DETAILS, withheld=True, row_decisions=(WITHHELD,)), "fail", "Its newest rows are withheld."),
    ],
)
def test_the_page_says_what_became_of_the_partition(details: PartitionDetails, tone: str, answer: str) -> None:
    assert said(partition_page(details)) == (tone, answer)


def test_why_rows_were_withheld_is_on_the_page() -> None:
    assert "<li>A break of temp.</li>" in partition_page(replace(DETAILS, withheld=True, row_decisions=(WITHHELD,)))


def test_neighbours_pages_runs_and_logs_are_a_click_away() -> None:
    links = re.findall(r'href="([^"]*)"', partition_page(DETAILS))
    run = "../../../../dags/flight_delays_predict/runs/scheduled__2013-07-08T05%3A00%3A00%2B00%3A00"
    assert links == [
        "../../../", "../../", "../2013-07-06/", "../2013-07-08/", f"../../reports/{DIGEST}/?partition=2013-07-07",
        "../../releases/7/", f"{run}/tasks/extract?try_number=2", run,
    ]  # fmt: skip


def test_a_mapped_task_and_a_step_of_the_command_line_have_the_right_address() -> None:
    assert task_path(replace(STEP, map_index=4, try_number=None)).endswith("/tasks/extract/mapped/4")
    assert (run_path(BY_COMMAND), task_path(BY_COMMAND)) == ("", "")
    assert "command line" in partition_page(DETAILS)


def test_an_alert_of_the_partition_leads_to_the_open_one() -> None:
    assert 'href="../../#alert-3"' in partition_page(replace(DETAILS, alerts=(ALERT,)))


def test_a_release_leads_to_card_profile_and_mlflow() -> None:
    found = {link.text: link.href for link in release_links("flight_delays", ORIGIN, "http://user:secret@mlflow:5000/")}
    assert found == {
        "model card": "card/",
        "profile of the training data": f"../../reports/{DIGEST}/",
        "MLflow run": "http://mlflow:5000/#/runs/0a1b",
        "MLflow version 3": "http://mlflow:5000/#/models/flight_delays/versions/3",
    }


@pytest.mark.parametrize("uri", [None, "", "file:///tmp/mlruns", "javascript:alert(1)", "http://"])
def test_without_a_server_there_is_no_link_to_mlflow(uri: str | None) -> None:
    assert not any("MLflow" in link.text for link in release_links("flight_delays", ORIGIN, uri))


def test_a_stored_page_gets_a_way_back() -> None:
    stored = partition_page(replace(DETAILS, partition="2013-07-01"))
    shown = with_trail(stored, report_trail("flight_delays", "2013-07-07"))
    assert shown.count("<nav") == stored.count("<nav") + 1
    links = re.findall(r"<(?:a href|span aria-current)=.*?>(.*?)<", shown.partition("</nav>")[0])
    assert links == ["All models", "flight_delays", "2013-07-07", "report"]
    assert 'href="../../partitions/2013-07-07/"' in shown


def test_every_text_stays_text() -> None:
    step = replace(
        STEP, error=HOSTILE, step=HOSTILE, dag_id=HOSTILE, dag_run_id=HOSTILE, task_id=HOSTILE, chain=HOSTILE
    )
    alert = replace(ALERT, rule=HOSTILE, message=HOSTILE, event=HOSTILE)
    rows = replace(WITHHELD, reasons=(HOSTILE,))
    hostile = replace(
        DETAILS, model=HOSTILE, partition=HOSTILE, previous=HOSTILE, next=HOSTILE, steps=(step,), alerts=(alert,),
        row_decisions=(rows,),
    )  # fmt: skip
    trail = report_trail(HOSTILE, HOSTILE)
    pages = [
        partition_page(hostile),
        release_card_page(HOSTILE, 7, HOSTILE),
        with_trail(partition_page(DETAILS), trail),
    ]
    assert [page.count("<script") for page in pages] == [0, 0, 0]


def test_every_family_of_rules_has_its_instructions_in_place() -> None:
    assert set(FAMILIES) - set(instructions()) == set()
    assert all(any(block.numbered for block in instructions()[family]) for family in FAMILIES)


def test_instructions_are_those_of_the_runbook() -> None:
    text = (Path(__file__).parents[3] / "docs" / "runbook.md").read_text(encoding="utf-8")
    first, *_ = instructions()["drift"]
    assert first.lines[0] in " ".join(text.split())
    assert not any("](" in line for blocks in instructions().values() for block in blocks for line in block.lines)


def test_tables_have_captions_and_scopes() -> None:
    page = partition_page(replace(DETAILS, alerts=(ALERT,)))
    assert page.count("<table") == page.count("<caption>") == 2
    assert re.findall(r"<th(?! scope=)[ >]", page) == []


def test_a_partition_that_was_scored_again_says_in_how_many_rows_it_differs() -> None:
    changes = RowChanges(n_added=1200, n_removed=0, n_changed=3)
    shown = partition_page(replace(DETAILS, revision=changes))
    assert all(text in shown for text in ("Rows that differ from before", "1,203", changes.words))
    assert "Rows that differ from before" not in partition_page(DETAILS)
