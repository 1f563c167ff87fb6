"""The contenders: one partition's rows read, scored by the same fitted model, and written to Postgres.

Run as a process of its own by ``scene.Scene.run``: ``python -m tests.bench.contenders NAME MODEL`` imports everything
first, then measures: seconds, processor seconds, and by how much the peak of its resident memory grew. Each contender
ends with COMMIT, and gives the number of rows and the mean score that Postgres then holds.
"""

import itertools
import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2

from .flights_scaled import CATEGORICAL, NUMERIC, PARTITION

SQL_PARAMETERS = {"start": "2024-03-01T00:00:00+00:00", "end": "2024-03-02T00:00:00+00:00"}
WRITTEN = ("model", "partition", "release_id", "prediction_run_id", "entity_key", "event_time", "score")
PAGE_ROWS = 10_000  # rows of one INSERT of execute_values
CHUNK_ROWS = 50_000  # rows of a chunk of pandas


# ---------------------------------------------------------------- what everybody writes


def common_pipeline(release: dict[str, Any]) -> Any:
    """Return the released model as scikit-learn's users have it: encoders and estimator in one Pipeline."""
    import xgboost
    from sklearn.pipeline import make_pipeline

    from tidemill.storage.bundles import load_bundle

    folder = Path(os.environ["TIDEMILL_STORAGE"]) / release["uri"]
    bundle = load_bundle(folder, release["digest"])
    estimator = bundle.model
    if isinstance(estimator, xgboost.Booster):
        estimator = xgboost.XGBClassifier(n_jobs=bundle.n_threads)
        estimator.load_model(folder / "model.json")
    return make_pipeline(bundle.preprocessing, estimator)


def scored_by_pandas(release: dict[str, Any], model: Any, engine: Any) -> Any:
    """Read with ``pandas.read_sql``, predict, and return the frame to be written."""
    import pandas as pd
    import sqlalchemy

    query = (Path(os.environ["TIDEMILL_SQL"]) / "bench" / "features.sql").read_text()
    return scored(release, model, pd.read_sql(sqlalchemy.text(query), engine, params=SQL_PARAMETERS))


def scored(release: dict[str, Any], model: Any, rows: Any) -> Any:
    """Return the frame that is written of some rows."""
    import pandas as pd

    return pd.DataFrame(
        {
            "model": release["model"],
            "partition": PARTITION,
            "release_id": release["release_id"],
            "prediction_run_id": 1,
            "entity_key": rows["flight_id"].astype("str"),
            "event_time": rows["scheduled_departure"],
            "score": model.predict_proba(rows[[*NUMERIC, *CATEGORICAL]])[:, 1],
        }
    )


def engine() -> Any:
    import sqlalchemy

    return sqlalchemy.create_engine(re.sub("^postgresql:", "postgresql+psycopg2:", url()))


def pandas_to_sql(release: dict[str, Any]) -> Callable[[], dict[str, float]]:
    """``pandas.read_sql``, a scikit-learn Pipeline, ``DataFrame.to_sql``."""
    model, connection = common_pipeline(release), engine()

    def work() -> dict[str, float]:
        frame = scored_by_pandas(release, model, connection)
        frame.to_sql("predictions", connection, schema="bench", if_exists="append", index=False)
        return {}

    return work


def execute_values(release: dict[str, Any]) -> Callable[[], dict[str, float]]:
    """The same, written by psycopg2's ``execute_values``."""
    import psycopg2.extras

    model, connection = common_pipeline(release), engine()

    def work() -> dict[str, float]:
        frame = scored_by_pandas(release, model, connection)
        with psycopg2.connect(url()) as writer, writer.cursor() as cursor:
            psycopg2.extras.execute_values(
                cursor,
                f"INSERT INTO bench.predictions ({', '.join(WRITTEN)}) VALUES %s",
                frame.itertuples(index=False),
                page_size=PAGE_ROWS,
            )
        writer.close()
        return {}

    return work


def pandas_chunks(release: dict[str, Any]) -> Callable[[], dict[str, float]]:
    """The first one in chunks, by a server-side cursor: the usual answer to memory."""
    import pandas as pd
    import sqlalchemy

    model, connection = common_pipeline(release), engine()
    query = (Path(os.environ["TIDEMILL_SQL"]) / "bench" / "features.sql").read_text()

    def work() -> dict[str, float]:
        with connection.connect().execution_options(stream_results=True) as reader:
            for rows in pd.read_sql(sqlalchemy.text(query), reader, params=SQL_PARAMETERS, chunksize=CHUNK_ROWS):
                frame = scored(release, model, rows)
                frame.to_sql("predictions", connection, schema="bench", if_exists="append", index=False)
        return {}

    return work


def insert_rows(release: dict[str, Any]) -> Callable[[], dict[str, float]]:
    """The first one, written by the ``insert_rows`` of Airflow's Postgres hook."""
    os.environ["AIRFLOW_CONN_BENCH"] = url()
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    model, connection = common_pipeline(release), engine()

    def work() -> dict[str, float]:
        frame = scored_by_pandas(release, model, connection)
        rows = frame.astype({"event_time": object}).itertuples(index=False, name=None)
        PostgresHook("bench").insert_rows("bench.predictions", rows, WRITTEN)
        return {}

    return work


# ---------------------------------------------------------------- what an expert writes


def adbc(release: dict[str, Any]) -> Callable[[], dict[str, float]]:
    """Arrow batches by ADBC, the same Pipeline, ADBC's ingest, which is a binary COPY; nothing checked, nothing kept."""
    import pyarrow as pa
    from adbc_driver_postgresql import dbapi

    model = common_pipeline(release)
    query = (Path(os.environ["TIDEMILL_SQL"]) / "bench" / "features.sql").read_text()
    for name, instant in SQL_PARAMETERS.items():
        query = query.replace(f":{name}", f"'{instant}'")

    def answered(rows: pa.RecordBatch) -> pa.RecordBatch:
        frame = scored(release, model, rows.to_pandas()).astype({"score": "float64"})  # COPY converts no float32
        return pa.RecordBatch.from_pandas(frame, preserve_index=False)

    def work() -> dict[str, float]:
        with dbapi.connect(url()) as reading, dbapi.connect(url()) as writing:
            with reading.cursor() as source, writing.cursor() as target:
                source.execute(query)
                batches = map(answered, source.fetch_record_batch())
                first = next(batches)
                rows = pa.RecordBatchReader.from_batches(first.schema, itertools.chain([first], batches))
                target.adbc_ingest("predictions", rows, mode="append", db_schema_name="bench")
            writing.commit()
        return {}

    return work


# ---------------------------------------------------------------- Tidemill


def tidemill(release: dict[str, Any]) -> Callable[[], dict[str, float]]:
    """The predict chain through its real entry point, whole publishing protocol included; the contract aside."""
    import importlib

    from tidemill.runtime.declarations import STEPS
    from tidemill.runtime.run import run_step
    from tidemill.workspace import Workspace

    workspace = Workspace.from_environment()
    importlib.import_module("tidemill.modeling.compiled.kernels")  # what it compiles is compiled while the clock runs
    for step in ("resolve_release", "extract", "predict", "inspect", "publish"):
        importlib.import_module(f"tidemill.{STEPS[step].module}")

    def work() -> dict[str, float]:
        shares: dict[str, float] = {}

        def step(name: str, **inputs: Any) -> dict[str, Any]:
            started = time.perf_counter()
            record = run_step("predict", name, release["model"], PARTITION, inputs, workspace=workspace)
            shares[name] = time.perf_counter() - started
            return record

        found = step("resolve_release", release=release["release_id"])
        snapshot = step("extract", purpose="score")
        prediction = step("predict", release=found, snapshot=snapshot)
        step("inspect", prediction=prediction, snapshot=snapshot)
        step("publish", prediction=prediction)
        return shares

    return work


CONTENDERS = {
    function.__name__: function
    for function in (pandas_to_sql, execute_values, pandas_chunks, insert_rows, adbc, tidemill)
}


# ---------------------------------------------------------------- measuring


def url() -> str:
    return os.environ["TIDEMILL_CONN_TIDEMILL"]


def status_bytes(field: str) -> int:
    """Read a field of this process's status: ``VmRSS``, ``VmHWM``."""
    (line,) = (text for text in Path("/proc/self/status").read_text().splitlines() if text.startswith(field))
    return int(line.split()[1]) * 1024


def processor_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def written(name: str, model: str) -> tuple[int, float]:
    """Return how many rows readers now see, and their mean score."""
    table = f"predictions.{model}" if name == "tidemill" else "bench.predictions"
    connection = psycopg2.connect(url())
    with connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*), avg(score) FROM {table}")
        ((n_rows, mean_score),) = cursor.fetchall()
    connection.close()
    return n_rows, mean_score


def main() -> None:
    name, model = sys.argv[1:]
    work = CONTENDERS[name](json.loads(os.environ["BENCH_RELEASE"]))
    before = status_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    started, processor = time.perf_counter(), processor_s()
    shares = work()
    seconds, processor = time.perf_counter() - started, processor_s() - processor
    peak = status_bytes("VmHWM")
    n_rows, mean_score = written(name, model)
    found = {
        "seconds": seconds, "processor_s": processor, "grown_bytes": peak - before, "peak_bytes": peak, "n_rows": n_rows,
        "mean_score": mean_score, "shares": shares,
    }  # fmt: skip
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
