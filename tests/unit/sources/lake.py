"""A small model whose rows come from files: orders by day, prices in CSV, shops in one file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tidemill.sources import Window, open_source
from tidemill.spec import ModelSpec
from tidemill.workspace import Workspace

FIRST = datetime(2024, 3, 1, tzinfo=UTC)
ORDERS = {"connection": "lake", "files": "orders/{partition}.parquet"}
SPEC = {
    "model": "sales",
    "task": "binary",
    "entity_key": "id",
    "event_time": "placed",
    "partitions": {"every": "day", "cutoff": "6 hours", "first": "2024-03-01"},
    "source": {"engine": "duckdb", "features": "sales/features.sql", "labels": "sales/labels.sql"},
    "label": {"column": "returned"},
}


@dataclass
class Lake:
    """A folder of files, and a workspace beside it."""

    root: Path
    urls: dict[str, str] = field(default_factory=lambda: {"tables": "postgresql://nobody@localhost/none"})
    """Connections besides the files."""

    @property
    def files(self) -> Path:
        return self.root / "lake"

    @property
    def workspace(self) -> Workspace:
        return Workspace(
            models=self.root / "models",
            sql=self.root / "sql",
            storage=self.root / "storage",
            tracking_uri=None,
            connection=({"lake": f"file://{self.files}"} | self.urls).__getitem__,
        )

    def spec(self, inputs: Mapping[str, Any], **changed: Any) -> ModelSpec:
        values = SPEC | changed | {"source": SPEC["source"] | {"inputs": inputs}}
        (self.root / "models").mkdir(exist_ok=True)
        (self.root / "models" / "sales.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        return self.workspace.spec("sales")

    def query(self, text: str, name: str = "features") -> str:
        (self.root / "sql" / "sales").mkdir(parents=True, exist_ok=True)
        (self.root / "sql" / "sales" / f"{name}.sql").write_text(text, encoding="utf-8")
        return f"sales/{name}.sql"

    def write(self, path: str, rows: pa.Table | str) -> Path:
        place = self.files / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(rows, str):
            place.write_text(rows, encoding="utf-8")
        else:
            pq.write_table(rows, place)
        return place

    def read(self, spec: ModelSpec, text: str, window: Window, timeout_s: int = 60) -> pa.Table:
        file = self.query(text)
        with open_source(self.workspace, spec, [window], timeout_s) as source:
            columns = source.columns(file, window)
            with source.batches(file, window, columns) as batches:
                schema = pa.schema([(column.name, column.arrow) for column in columns])
                return pa.Table.from_batches(list(batches), schema)


def window_of(day: int, n_days: int = 1, cutoff_h: int = 6) -> Window:
    """Return the window of a day of March 2024, with the cutoff on its last day."""
    start = FIRST + timedelta(days=day - 1)
    end = start + timedelta(days=n_days)
    return {"start": start, "end": end, "cutoff": end - timedelta(days=1) + timedelta(hours=cutoff_h)}


def orders(day: int, ids: list[int]) -> pa.Table:
    """Return orders of a day: order ``n`` is placed and known at ``n`` o'clock."""
    at = pa.array([FIRST + timedelta(days=day - 1, hours=number % 24) for number in ids], pa.timestamp("us", "UTC"))
    return pa.table({"id": pa.array(ids, pa.int64()), "placed": at, "known_at": at})
