"""Late and corrected rows: scored partitions are read again, and those that have changed are published again, once."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.errors import EmptyPartition
from tidemill.operations.look_back import predict_changed
from tidemill.operations.prediction import Prediction
from tidemill.records import RowChanges
from tidemill.steps.data import extract
from tidemill.steps.predict.resolution import Resolution, find_withheld, resolve_withheld
from tidemill.warehouse.overview import Overview
from tidemill.workspace import LEDGER

from .conftest import DagRun
from .data import FEATURES_SQL, SPEC, Mill

PAST = ("2024-03-24", "2024-03-25", "2024-03-26", "2024-03-27")
TODAY, AFTER, CHANGED = "2024-03-28", "2024-03-29", "2024-03-26"
LOOKING_BACK = SPEC + "predict: {lookback: 3 days}\n"
LATE = (
    "INSERT INTO {t} SELECT parcel_id || '-late', shipped_at, delivered_at, carrier, express, weight_kg, distance_km, n_stops,"
    " queue_h, wind_ms, rain_mm, driver_h, n_parcels, late FROM {t} WHERE parcel_id = '20240326-001'"
)
CORRECTED = "UPDATE {t} SET weight_kg = weight_kg + 1 WHERE parcel_id IN ('20240326-002', '20240326-003')"
REMOVED = "DELETE FROM {t} WHERE parcel_id = '20240326-004'"
BROKEN = "UPDATE {t} SET weight_kg = NULL WHERE parcel_id LIKE '20240328-%%' AND right(parcel_id, 1) <> '0'"
REVISION = (
    "SELECT v.n_added, v.n_removed, v.n_changed, old.status FROM tidemill.revision v"
    " JOIN tidemill.prediction_run r USING (prediction_run_id)"
    " JOIN tidemill.prediction_run old ON old.prediction_run_id = v.replaces WHERE r.model = '{m}'"
)


@pytest.fixture
def scored(serving: Mill) -> Mill:
    """A model that looks back three days, with five published partitions."""
    serving.write(LOOKING_BACK)
    for day in (*PAST, TODAY):
        assert serving.predict(day)["publish"]["published"]
    return serving


def look_back(mill: Mill, day: str = TODAY) -> dict[str, Any]:
    return mill.step("predict", "look_back", day)


def score_changed(mill: Mill, day: str = TODAY) -> dict[str, Any]:
    """Score what has changed, and return what became of each partition."""
    found: dict[str, Any] = {}
    predict_changed(mill.workspace, mill.spec, day, lambda item, outcome: found.update({item.partition: outcome}))
    return found


def change(mill: Mill, *statements: str) -> None:
    for statement in statements:
        mill.sql(statement)


def test_late_rows_appear_once(scored: Mill) -> None:
    before = dict(scored.view(CHANGED))
    change(scored, LATE, CORRECTED, REMOVED)
    found = score_changed(scored)
    assert list(found) == [CHANGED]
    after = dict(scored.view(CHANGED))
    assert after.keys() - before.keys() == {"20240326-001-late"}
    assert before.keys() - after.keys() == {"20240326-004"}
    assert {key for key in before.keys() & after.keys() if before[key] != after[key]} == {
        "20240326-002",
        "20240326-003",
    }
    assert scored.statuses(CHANGED) == ["superseded", "published"]
    assert scored.sql(REVISION) == [(1, 1, 2, "superseded")]
    shown = Overview(scored.workspace.connection(LEDGER)).partition(scored.model, CHANGED)
    assert shown is not None
    assert shown.revision == RowChanges(n_added=1, n_removed=1, n_changed=2)
    rows = "SELECT entity_key, score FROM tidemill.prediction JOIN tidemill.revision ON prediction.prediction_run_id = replaces"
    assert dict(scored.sql(f"{rows} WHERE model = '{{m}}'")) == before  # the superseded run stays readable
    assert score_changed(scored) == {}  # the next look finds nothing new
    assert scored.statuses(CHANGED) == ["superseded", "published"]


def test_unchanged_partitions_are_only_read(scored: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_otherwise(path: Path, schema: pa.Schema) -> pq.ParquetWriter:  # as another version of Arrow may
        return pq.ParquetWriter(path, schema, compression="snappy", write_page_checksum=True)

    monkeypatch.setattr(extract, "rows_writer", write_otherwise)
    assert look_back(scored) == {"changed": [], "unchanged": list(PAST[1:])}
    assert {day: scored.statuses(day) for day in PAST} == {day: ["published"] for day in PAST}


def test_the_release_that_scored_a_partition_scores_it_again(
    scored: Mill, trained_mill: tuple[Mill, dict[str, dict[str, Any]]]
) -> None:
    first = scored.promoter.champion(scored.model)
    assert first is not None
    scored.promote(scored.register(trained_mill[1]), first.release_id)  # live since before these days
    change(scored, CORRECTED)
    assert [item["release_id"] for item in look_back(scored)["changed"]] == [first.release_id]


def test_changed_rows_are_withheld_like_any_others_and_asked_about_once(scored: Mill) -> None:
    scored.predict(AFTER)
    before = scored.view(TODAY)  # the fifth partition: it has a past
    change(scored, BROKEN)
    outcome = score_changed(scored, AFTER)[TODAY]
    assert isinstance(outcome, Prediction)
    assert outcome.rows.withheld
    assert (scored.view(TODAY), scored.statuses(TODAY)) == (before, ["published", "withheld"])
    assert look_back(scored, AFTER)["changed"] == []  # they wait for a person
    said = Resolution(publish=False, by="kim", reason="The feed is broken.")
    resolve_withheld(scored.workspace, scored.spec, find_withheld(scored.workspace, scored.spec, TODAY), said)
    assert look_back(scored, AFTER)["changed"] == []  # a person has decided
    change(scored, "UPDATE {t} SET weight_kg = 1 WHERE parcel_id = '20240328-002'")
    assert [item["partition"] for item in look_back(scored, AFTER)["changed"]] == [TODAY]  # other rows than these


def test_partitions_out_of_reach_and_rows_that_differ_for_another_reason_are_left_alone(scored: Mill) -> None:
    change(scored, CORRECTED)
    assert look_back(scored, PAST[-1]) == {"changed": [], "unchanged": []}  # only the newest partition looks back
    scored.write(LOOKING_BACK.replace("3 days", "1 day"))
    assert look_back(scored) == {"changed": [], "unchanged": [PAST[-1]]}
    scored.write(LOOKING_BACK, FEATURES_SQL + "-- another query\n")
    assert look_back(scored)["changed"] == []
    scored.write(LOOKING_BACK)
    assert [item["partition"] for item in look_back(scored)["changed"]] == [CHANGED]
    scored.sql(
        "ALTER TABLE tidemill.snapshot DISABLE TRIGGER append_only;"
        " UPDATE tidemill.snapshot SET cutoff = cutoff - interval '1 hour' WHERE model = '{m}' AND partition = %s;"
        " ALTER TABLE tidemill.snapshot ENABLE TRIGGER append_only",
        CHANGED,
    )
    assert look_back(scored)["changed"] == []


def test_only_the_partition_that_cannot_be_read_fails(scored: Mill) -> None:
    change(scored, "DELETE FROM {t} WHERE parcel_id LIKE '20240326-%%'")
    change(scored, "UPDATE {t} SET weight_kg = weight_kg + 1 WHERE parcel_id = '20240327-002'")
    found = score_changed(scored)
    assert isinstance(found[CHANGED], EmptyPartition)
    assert isinstance(found[PAST[-1]], Prediction)
    assert (len(scored.view(CHANGED)), scored.statuses(PAST[-1])) == (60, ["superseded", "published"])


def test_a_run_whose_rows_are_gone_is_compared_with_nothing(scored: Mill) -> None:
    (uri,) = scored.sql(
        "SELECT uri FROM tidemill.snapshot WHERE model = '{m}' AND partition = %s AND purpose = 'score'", CHANGED
    )[0]
    folder = scored.workspace.storage / uri
    folder.rename(folder.with_name("removed"))
    change(scored, CORRECTED)
    (changed,) = look_back(scored)["changed"]
    assert changed["found"] == "The rows have changed."
    inspected = scored.predict(CHANGED)["inspect"]["reasons"]
    assert any("no longer stored" in reason for reason in inspected)
    assert scored.sql(REVISION) == []


def test_the_command_looks_back(scored: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in scored.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    change(scored, LATE)
    done = CliRunner().invoke(app, ["predict", scored.model, "--partition", TODAY])
    assert done.exit_code == 0, done.output
    assert f"Partition {CHANGED} was read again: 1 rows added, 0 removed, 0 changed." in done.stdout
    assert len(scored.view(CHANGED)) == 61


def test_airflow_triggers_a_run_of_each_changed_partition(
    scored: Mill, dag_run: DagRun, airflow: dict[str, str]
) -> None:
    change(scored, CORRECTED)
    ended = dag_run("predict", scored, scheduled=TODAY)
    assert (ended["state"], set(ended["tasks"].values())) == ("success", {"success"})
    with closing(sqlite3.connect(Path(airflow["AIRFLOW_HOME"]) / "airflow.db")) as metadata:
        runs = metadata.execute(
            "SELECT run_id, conf FROM dag_run WHERE dag_id = ? AND run_type <> 'scheduled'", [f"{scored.model}_predict"]
        ).fetchall()
    ((run_id, conf),) = runs
    assert run_id.startswith(f"look_back__{CHANGED}__")
    assert json.loads(conf)["partition"] == CHANGED
