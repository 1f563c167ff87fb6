"""The flights from Parquet files and DuckDB give what they give from Postgres."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg2
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from tidemill.checking import check_models
from tidemill.records import SnapshotRef
from tidemill.runtime.chains import drive, train_chain
from tidemill.runtime.run import run_step
from tidemill.storage.tables import read_table
from tidemill.workspace import Workspace

from .conftest import PROJECT, ROLES
from .data import LABELS_SQL, SPEC, Mill
from .data import TRAINED as TRAINED_PARCELS

ZONE = ZoneInfo("America/New_York")
TRAINED = "2013-03-20"  # the clocks change within the window
FILES = {"raw.flights": "scheduled_departure", "raw.weather": "known_at"}
INPUTS = {
    "raw.flights": {
        "connection": "lake",
        "files": "flights/{partition}.parquet",
        "lookback": "28 days",
        "observed_at": "schedule_known_at",
    },
    "raw.weather": {
        "connection": "lake",
        "files": "weather/{year}/{month}-{day}/*.parquet",
        "lookback": "1 day",
        "observed_at": "known_at",
    },
    "raw.planes": {"connection": "lake", "files": "planes.parquet"},
}
TYPES = {25: pa.string(), 23: pa.int32(), 21: pa.int16(), 20: pa.int64(), 701: pa.float64(), 16: pa.bool_()}


def table_of(url: str, query: str) -> pa.Table:
    """Read a table with only psycopg2."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SET timezone = 'UTC'")
        cursor.execute(query)
        fields = [(item.name, TYPES.get(item.type_code, pa.timestamp("us", "UTC"))) for item in cursor.description]
        columns = zip(*cursor.fetchall(), strict=True)
        return pa.table(
            [pa.array(values, kind) for values, (_, kind) in zip(columns, fields, strict=True)], pa.schema(fields)
        )


@pytest.fixture(scope="module")
def lake(flights_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flights as files: one per New York day of flights and of weather, and one of planes."""
    folder = tmp_path_factory.mktemp("lake")
    for name, time in FILES.items():
        rows = table_of(flights_url, f"SELECT * FROM {name} WHERE {time} < '2013-03-22'")
        days = pc.strftime(
            pc.assume_timezone(pc.local_timestamp(rows[time].cast(pa.timestamp("us", ZONE.key))), "UTC"), "%Y-%m-%d"
        )
        for day in pc.unique(days).to_pylist():
            place = f"flights/{day}.parquet" if name == "raw.flights" else f"weather/{day[:4]}/{day[5:]}/part-0.parquet"
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(rows.filter(pc.equal(days, day)), folder / place)
    pq.write_table(table_of(flights_url, "SELECT * FROM raw.planes"), folder / "planes.parquet")
    return folder


@pytest.fixture(scope="module")
def workspaces(warehouse: Any, lake: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Workspace]:
    """One workspace per engine; the specs differ in nothing else, and the queries are the same files."""
    root = tmp_path_factory.mktemp("engines")
    values = yaml.safe_load((PROJECT / "dags" / "models" / "flight_delays.yaml").read_text(encoding="utf-8"))
    del values["features"]["policy"]  # an engine without a plan has none
    values["train"] |= {"window": "24 days", "validation": "4 days", "test": "6 days", "estimators": ["xgboost"]}
    found = {}
    for engine in ("postgres", "duckdb"):
        source = values["source"] | ({"engine": "duckdb", "inputs": INPUTS} if engine == "duckdb" else {})
        models = root / engine / "models"
        models.mkdir(parents=True)
        (models / "flight_delays.yaml").write_text(yaml.safe_dump(values | {"source": source}), encoding="utf-8")
        urls = {name: warehouse.url(role) for name, role in ROLES.items()} | {"lake": f"file://{lake}"}
        found[engine] = Workspace(
            models=models,
            sql=PROJECT / "sql",
            storage=root / engine / "storage",
            tracking_uri=None,
            connection=urls.__getitem__,
        )
    return found


def extract(workspace: Workspace, purpose: str, partition: str) -> SnapshotRef:
    chain = "train" if purpose == "train" else "predict"
    return SnapshotRef.from_dict(
        run_step(chain, "extract", "flight_delays", partition, {"purpose": purpose}, workspace=workspace)
    )


def test_flights_from_parquet_give_the_same_snapshot_and_the_same_bundle(workspaces: dict[str, Workspace]) -> None:
    seen: dict[str, dict[str, Any]] = {engine: {} for engine in workspaces}
    for engine, workspace in workspaces.items():
        chain = train_chain(workspace.spec("flight_delays"), trials=0)
        drive("train", chain, "flight_delays", TRAINED, workspace, until="train", on_step=seen[engine].__setitem__)
    one, other = (SnapshotRef.from_dict(records["extract"]) for records in seen.values())
    for file in ("features.parquet", "labels.parquet"):
        expected, found = (
            read_table(workspace.storage / ref.uri / file)
            for workspace, ref in zip(workspaces.values(), (one, other), strict=True)
        )
        assert expected.num_rows > 15_000
        assert found.schema == expected.schema
        assert found.equals(expected)
    assert other.digest == one.digest
    assert other.inputs.keys() == INPUTS.keys()
    assert seen["duckdb"]["train"]["digest"] == seen["postgres"]["train"]["digest"]


def test_a_partition_to_be_scored_is_the_same(workspaces: dict[str, Workspace]) -> None:
    digests = {extract(workspace, "score", "2013-03-10").digest for workspace in workspaces.values()}
    assert len(digests) == 1


def test_check_judges_a_spec_on_files(workspaces: dict[str, Workspace], tmp_path: Path) -> None:
    workspace = workspaces["duckdb"]
    assert check_models(workspace, ["flight_delays"], source=True) == []
    wrong = replace(workspace, sql=tmp_path)
    for name in ("features", "labels"):
        text = workspace.query(f"flight_delays/{name}.sql")
        (tmp_path / "flight_delays").mkdir(exist_ok=True)
        (tmp_path / "flight_delays" / f"{name}.sql").write_text(text.replace("tailnum", "tail"), encoding="utf-8")
    (problem,) = check_models(wrong, ["flight_delays"], source=True)
    assert "features.sql:9" in problem
    assert "tail" in problem


def test_every_chain_runs_on_files_and_another_database(new_mill: Callable[[], Mill], tmp_path: Path) -> None:
    """Parcels from Parquet, their outcomes from a Postgres: trained, published, watched, and built again bit by bit."""
    mill = new_mill()
    table = f"shop.{mill.model}"
    (tmp_path / "parcels").mkdir()
    pq.write_table(table_of(mill.owner_url, f"SELECT * FROM {table}"), tmp_path / "parcels" / "all.parquet")
    urls = {name: mill.workspace.connection(name) for name in ROLES} | {"lake": f"file://{tmp_path}"}
    mill = replace(mill, workspace=replace(mill.workspace, connection=urls.__getitem__))
    inputs = {
        table: {"connection": "lake", "files": "parcels/*.parquet"},
        "outcomes": {"connection": "warehouse", "query": f"{mill.model}/outcomes.sql", "observed_at": "delivered_at"},
    }
    source = f"source: {{engine: duckdb, inputs: {json.dumps(inputs)}, "
    mill.write(SPEC.replace("source: {", source), labels=LABELS_SQL.replace("FROM shop.{model}", "FROM outcomes"))
    outcomes = f"SELECT parcel_id, shipped_at, late, delivered_at FROM {table} WHERE shipped_at >= :start AND shipped_at < :end"
    (mill.workspace.sql / mill.model / "outcomes.sql").write_text(outcomes, encoding="utf-8")
    trained = mill.train()
    assert trained["extract"]["inputs"].keys() == {table, "outcomes"}
    assert trained["register"]["release_id"] is not None
    mill.predict()
    assert len(mill.view()) == 60
    mill.monitor()
    release = mill.promoter.champion(mill.model)
    assert release is not None
    record = mill.step("reproduce", "reproduce", TRAINED_PARCELS, release=release.release_id)
    assert record["verdict"] == "bit_equal"
    ((number,),) = mill.sql("SELECT prediction_run_id FROM tidemill.published WHERE model = '{m}'")
    record = mill.step("reproduce", "reproduce", TRAINED_PARCELS, prediction_run=number)
    assert record["verdict"] == "bit_equal"
