"""Where the contenders meet: a Postgres of their own, the scaled flights in it, and two models with a release each."""

import json
import os
import subprocess
import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import psycopg2
import pyarrow as pa

from tidemill.modeling.bundle import Bundle
from tidemill.modeling.estimators import fit
from tidemill.modeling.schema import FeatureSchema
from tidemill.monitoring.profile import build_profile
from tidemill.storage.bundles.save import keep_bundle
from tidemill.storage.layout import REFERENCE, SCORE

from ..chaos.server import Server
from . import flights_scaled
from .flights_scaled import CATEGORICAL, COLUMNS, NUMERIC, PARTITION

THREADS = 2
N_TRAIN = 60_000  # real flights that the models are fitted on
N_GOLDEN = 50
XGBOOST, PIPELINE = "bench_xgboost", "bench_pipeline"
MODELS = {
    XGBOOST: ("xgboost", {"n_rounds": 300, "max_depth": 6}),
    PIPELINE: ("hist_gradient_boosting", {"max_iter": 300}),
}
"""Estimator of each model, and what differs from its defaults: 300 trees either way."""

QUERY = f"""\
SELECT {", ".join(COLUMNS)} FROM bench.flights
WHERE scheduled_departure >= CAST(:start AS timestamptz) AND scheduled_departure < CAST(:end AS timestamptz)
"""
LABELS = (
    "SELECT flight_id, false AS late, scheduled_departure AS observed_at FROM bench.flights WHERE :cutoff IS NULL\n"
)
SPEC = f"""\
model: {{model}}
task: binary
entity_key: flight_id
event_time: scheduled_departure
timezone: UTC
partitions: {{{{every: day, cutoff: 0 hours, first: 2024-01-01, last: 2024-12-31}}}}
source: {{{{features: bench/features.sql, labels: bench/labels.sql}}}}
label: {{{{column: late, matures_after: 1 day}}}}
features: {{{{numeric: [{", ".join(NUMERIC)}], categorical: [{", ".join(CATEGORICAL)}]}}}}
contract:
  - expect_column_values_to_not_be_null: {{{{column: carrier}}}}
  - expect_column_values_to_be_in_set: {{{{column: origin, value_set: [EWR, JFK, LGA]}}}}
  - expect_column_value_lengths_to_equal: {{{{column: dest, value: 3}}}}
  - expect_column_values_to_be_between: {{{{column: departure_minute, min_value: 0, max_value: 1439}}}}
  - expect_column_values_to_be_between: {{{{column: weekday, min_value: 1, max_value: 7}}}}
  - expect_column_values_to_be_between: {{{{column: distance, min_value: 10, max_value: 6000}}}}
  - expect_column_values_to_not_be_null: {{{{column: temp, mostly: 0.9}}}}
train: {{{{threads: {THREADS}}}}}
"""
COMMON_TABLE = """
DROP TABLE IF EXISTS bench.predictions;
CREATE TABLE bench.predictions (
    model text NOT NULL, partition text NOT NULL, release_id bigint NOT NULL, prediction_run_id bigint NOT NULL,
    entity_key text NOT NULL, event_time timestamptz NOT NULL, score double precision NOT NULL,
    PRIMARY KEY (prediction_run_id, entity_key)
);
GRANT SELECT, INSERT ON bench.predictions TO tidemill_writer
"""
RELEASE = """
INSERT INTO tidemill.snapshot (digest, model, purpose, partition, start_at, end_at, cutoff, query_digest, uri, n_rows,
    size_bytes) VALUES (repeat('0', 64), %(model)s, 'train', '2024-02-01', '2024-01-01Z', '2024-02-01Z', '2024-02-01Z',
    '', '', 1, 0);
INSERT INTO tidemill.decision (model, partition, kind, verdict, reasons, evidence)
    VALUES (%(model)s, '2024-02-01', 'accept', 'accept', '{}', '{}');
INSERT INTO tidemill.registration (model, bundle_digest, bundle_uri, partition, estimator)
    VALUES (%(model)s, %(digest)s, %(uri)s, '2024-02-01', %(estimator)s);
INSERT INTO tidemill.judgement (release_id, decision_id, model, snapshot_digest, split_digest, metric, metric_value,
    evidence, learnt_until, known_until, spec_digest, code_version, lock_digest)
    SELECT (SELECT max(release_id) FROM tidemill.registration), max(decision_id), %(model)s, repeat('0', 64), '',
        'roc_auc', 0.7, %(evidence)s, '2024-02-01Z', '2024-02-01Z', '', '', '' FROM tidemill.decision
    RETURNING release_id
"""


@dataclass
class Scene:
    """A server with the data, and a folder with the models' files, bundles and snapshots."""

    server: Server
    folder: Path
    releases: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def storage(self) -> Path:
        return self.folder / "storage"

    def prepare(self, models: Collection[str] = tuple(MODELS)) -> None:
        """Write specs and queries, fit models, and register them."""
        self.folder.chmod(0o755)
        real = training_flights()
        for model in models:
            declare(self.folder / "models", self.folder / "sql", model)
            self.register(model, fitted(model, real), real)

    def register(self, model: str, bundle: Bundle, rows: pd.DataFrame) -> None:
        self.releases[model] = register(self.server.url("tidemill_owner"), self.storage, model, bundle, rows)

    def load(self, n_rows: int) -> None:
        """Fill the source with so many rows."""
        flights_scaled.load(self.server.url("tidemill_owner"), n_rows)

    def clean(self) -> None:
        """Between two runs: the common table is empty, nobody's pages are left to be written, snapshots are gone."""
        connection = psycopg2.connect(self.server.url("tidemill_owner"))
        with connection, connection.cursor() as cursor:
            cursor.execute(COMMON_TABLE)
            cursor.execute(
                "SELECT r.prediction_run_id, p.part_id FROM tidemill.prediction_run r"
                " JOIN tidemill.prediction_part p USING (model, partition)"
                " WHERE to_regclass('tidemill.prediction_run_' || r.prediction_run_id) IS NOT NULL"
            )
            for run, _ in cursor.fetchall():
                cursor.execute(f"DROP TABLE tidemill.prediction_run_{run}")
            cursor.execute("DELETE FROM tidemill.published")  # of tables that are gone
        connection.close()
        for model in MODELS:
            for snapshot in (self.storage / model / "snapshots").glob("*/*"):
                snapshot.unlink()
        self.server.as_admin("CHECKPOINT")

    def run(self, contender: str, model: str) -> dict[str, Any]:
        """Run one contender in a process of its own, and return what it has measured."""
        environment = {
            **os.environ, **self.server.environment(), "TIDEMILL_STORAGE": str(self.storage), "MLFLOW_TRACKING_URI": "",
            "TIDEMILL_MODELS": str(self.folder / "models"), "TIDEMILL_SQL": str(self.folder / "sql"),
            "BENCH_RELEASE": json.dumps(self.releases[model]), "OMP_NUM_THREADS": str(THREADS),
        }  # fmt: skip
        arguments = [sys.executable, "-m", "tests.bench.contenders", contender, model]
        before = self.server_processor_s()
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{contender} failed:\n{done.stderr[-3000:]}")
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found | {"server_s": self.server_processor_s() - before}

    def server_processor_s(self) -> float:
        """Processor seconds of Postgres so far, sessions that have ended included."""
        assert self.server.process is not None
        postmaster = psutil.Process(self.server.process.pid)
        times = postmaster.cpu_times()
        total = times.user + times.system + times.children_user + times.children_system
        for session in postmaster.children():
            with suppress(psutil.NoSuchProcess):
                total += sum(session.cpu_times()[:2])
        return float(total)


def declare(models: Path, sql: Path, model: str, more: str = "") -> None:
    """Write a model's spec, with more at its end, and the queries."""
    models.mkdir(parents=True, exist_ok=True)
    (sql / "bench").mkdir(parents=True, exist_ok=True)
    (sql / "bench" / "features.sql").write_text(QUERY)
    (sql / "bench" / "labels.sql").write_text(LABELS)
    (models / f"{model}.yaml").write_text(SPEC.format(model=model) + more)


def training_flights() -> pd.DataFrame:
    """Return the real flights that the models are fitted on."""
    return flights_scaled.real_flights().dropna(subset=["late"]).sample(N_TRAIN, random_state=0)


def fitted(model: str, real: pd.DataFrame) -> Bundle:
    """Fit one of ``MODELS``."""
    estimator, parameters = MODELS[model]
    schema = FeatureSchema(numeric=NUMERIC, categorical=CATEGORICAL)
    y = real["late"].to_numpy()
    return fit(
        estimator,
        "binary",
        schema,
        real,
        y,
        real.head(0),
        y[:0],
        random_state=0,
        n_threads=THREADS,
        parameters=parameters,
    )


def register(owner_url: str, storage: Path, model: str, bundle: Bundle, rows: pd.DataFrame) -> dict[str, Any]:
    """Keep a bundle, and make it the model's release; return what contenders have to know of it."""
    parent = storage / model / "bundles"
    parent.mkdir(parents=True)
    folder, digest = keep_bundle(bundle, parent, rows.head(N_GOLDEN))
    values = {
        "model": model, "digest": digest, "uri": folder.relative_to(storage).as_posix(), "estimator": bundle.estimator,
        "evidence": json.dumps({"uri": keep_reference(storage, model, bundle, rows)}),
    }  # fmt: skip
    connection = psycopg2.connect(owner_url)
    with connection, connection.cursor() as cursor:
        cursor.execute(RELEASE, values)
        ((release_id,),) = cursor.fetchall()
    connection.close()
    return values | {"release_id": release_id}


def keep_reference(storage: Path, model: str, bundle: Bundle, rows: pd.DataFrame) -> str:
    """Keep the profiles that inspection and monitoring compare with, and return their folder."""
    features = pa.Table.from_pandas(rows[[*NUMERIC, *CATEGORICAL]], preserve_index=False)
    profiles = build_profile(features, NUMERIC, CATEGORICAL)
    scores = build_profile(pa.table({SCORE: bundle.score(rows)}), [SCORE], [])
    folder = storage / model / "evaluations" / "reference"
    folder.mkdir(parents=True)
    (folder / REFERENCE).write_text(json.dumps([item.to_dict() for item in (*profiles, *scores)]), encoding="utf-8")
    return folder.relative_to(storage).as_posix()


__all__ = [
    "MODELS", "PARTITION", "PIPELINE", "THREADS", "XGBOOST", "Scene", "declare", "fitted", "register", "training_flights",
]  # fmt: skip
