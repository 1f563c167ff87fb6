"""The page on several sources shows what works."""

import re
from pathlib import Path

import pyarrow as pa
import yaml

from tidemill.spec import Source

from .lake import FIRST, ORDERS, Lake, window_of

PAGE = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8").split("## Several sources")[1]


def test_source_of_the_page_is_one_that_the_spec_takes() -> None:
    source = Source(**yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])["source"])
    assert list(source.inputs) == ["raw.flights", "raw.weather", "raw.planes"]


def test_join_of_the_page_finds_the_newest_row(lake: Lake) -> None:
    def at(*hours: int) -> pa.Array:
        micros = [int(FIRST.timestamp() * 1e6) + hour * 3_600_000_000 for hour in hours]
        return pa.array(micros, pa.int64()).cast(pa.timestamp("us", "UTC"))

    lake.write("flights.parquet", pa.table({"flight_id": [1], "scheduled_departure": at(80), "origin": ["JFK"]}))
    weather = {"origin": ["JFK", "JFK", "JFK", "EWR"], "known_at": at(70, 77, 79, 77), "temp": [1.0, 2.0, 3.0, 4.0]}
    lake.write("weather.parquet", pa.table(weather))
    inputs = {f"raw.{name}": ORDERS | {"files": f"{name}.parquet"} for name in ("flights", "weather")}
    inputs["raw.weather"] |= {"observed_at": "known_at"}
    query = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)[0]
    spec = lake.spec(inputs, entity_key="flight_id")
    assert lake.read(spec, query, window_of(4))["temp"].to_pylist() == [2.0]  # the cutoff lies at hour 78
