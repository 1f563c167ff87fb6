"""A small model for the tests: parcels, of which some arrive late.

Everything is generated, so that a whole training takes seconds. Late is decided by many small causes that add up, so
that a linear model clearly beats every baseline, while no single column tells the label.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import psycopg2

from tidemill.records import BundleRef, Decision, PredictionRef, ReleaseRef, SnapshotRef, Verdict
from tidemill.runtime.chains import drive, monitor_chain, predict_chain, retrain_chain, train_chain
from tidemill.runtime.run import run_step
from tidemill.spec import ModelSpec
from tidemill.warehouse.ledger import Ledger, NewRun, Origin
from tidemill.warehouse.predictions.publisher import Publisher
from tidemill.warehouse.releases.promotion import Promotion
from tidemill.warehouse.releases.registry import NewRelease, Releases
from tidemill.workspace import LEDGER, PROMOTER, SOURCE, Workspace

ZONE = ZoneInfo("America/New_York")
FIRST, N_DAYS, PER_DAY = datetime(2024, 3, 1, tzinfo=ZONE), 30, 60  # the clocks change on 10 March
TRAINED, SCORED, NEXT, LAST, EMPTY = "2024-03-24", "2024-03-25", "2024-03-26", "2024-03-30", "2024-03-31"
CAUSES = ("weight_kg", "distance_km", "n_stops", "queue_h", "wind_ms", "rain_mm", "driver_h", "n_parcels")

SPEC = """\
model: {model}
task: binary
entity_key: parcel_id
event_time: shipped_at
timezone: America/New_York
partitions: {every: day, cutoff: 5 hours, first: 2024-03-01, last: 2024-03-31}
source: {features: {model}/features.sql, labels: {model}/labels.sql}
label: {column: late, matures_after: 1 day}
train: {window: 22 days, validation: 4 days, test: 5 days, estimators: [logistic_regression], schedule: "0 5 * * 1"}
accept: {minimum: 0.6, slices: [carrier]}
"""

FEATURES_SQL = """\
SELECT p.parcel_id, p.shipped_at, p.carrier, p.express, p.weight_kg, p.distance_km, p.n_stops, p.queue_h, p.wind_ms,
       p.rain_mm, p.driver_h, p.n_parcels,
       (SELECT avg(CASE WHEN q.late THEN 1.0 ELSE 0.0 END) FROM shop.{model} q
        WHERE q.carrier = p.carrier AND q.delivered_at <= CAST(:cutoff AS timestamptz)) AS carrier_late_share
FROM shop.{model} p
WHERE p.shipped_at >= CAST(:start AS timestamptz) AND p.shipped_at < CAST(:end AS timestamptz)
"""

LABELS_SQL = """\
SELECT parcel_id, late, delivered_at AS observed_at FROM shop.{model}
WHERE shipped_at >= CAST(:start AS timestamptz) AND shipped_at < CAST(:end AS timestamptz)
  AND delivered_at <= CAST(:cutoff AS timestamptz)
"""

_COLUMNS = ("parcel_id", "shipped_at", "delivered_at", "carrier", "express", *CAUSES, "late")


def generate_parcels(random_state: int) -> list[tuple[Any, ...]]:
    """Generate the rows of the source, in the order of ``_COLUMNS``.

    Parameters
    ----------
    random_state : int
        Seed; the same seed gives the same rows.

    Returns
    -------
    list of tuple
        60 parcels on each of 30 days: eight standard normal causes, of which one has missing values.
    """
    rng = np.random.default_rng(random_state)
    rows = []
    for day in range(N_DAYS):
        midnight = FIRST + timedelta(days=day)  # on the wall clock
        causes = rng.normal(size=(PER_DAY, len(CAUSES)))
        late = causes.sum(axis=1) + rng.normal(scale=1.5, size=PER_DAY) > 1
        for number, (cause, is_late) in enumerate(zip(causes, late, strict=True)):
            shipped = midnight + timedelta(minutes=20 * number + 10)
            values: list[float | None] = [float(value) for value in cause]
            values[-1] = None if number % 20 == 0 else values[-1]
            rows.append(
                (
                    f"{shipped:%Y%m%d}-{number:03}",
                    shipped,
                    shipped + timedelta(hours=20),
                    "ABC"[number % 3],
                    number % 2 == 0,
                    *values,
                    bool(is_late),
                )
            )
    return rows


def load_parcels(owner_url: str, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Create one model's source, and let the reader see it."""
    columns = ", ".join(
        ["parcel_id text", "shipped_at timestamptz", "delivered_at timestamptz", "carrier text", "express boolean"]
        + [f"{name} double precision" for name in CAUSES]
        + ["late boolean"]
    )
    with psycopg2.connect(owner_url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS shop; GRANT USAGE ON SCHEMA shop TO tidemill_reader")
        cursor.execute(f"CREATE TABLE shop.{table} ({columns})")
        cursor.execute(f"GRANT SELECT ON shop.{table} TO tidemill_reader")
        text = "\n".join("\t".join("\\N" if value is None else str(value) for value in row) for row in rows)
        cursor.copy_expert(f"COPY shop.{table} ({', '.join(_COLUMNS)}) FROM STDIN", io.StringIO(text))
    connection.close()


def run_unshown(
    chain: str, step: str, model: str, partition: str, inputs: dict[str, Any], **options: Any
) -> dict[str, Any]:
    """Run a step without what is only looked at: an evaluation's charts, as test_simulation.py shows, and a day's page."""
    if (chain, step) == ("monitor", "report"):
        return {}
    asked = {"shown": False} if step == "evaluate" else {}
    return run_step(chain, step, model, partition, {**inputs, **asked}, **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mill:
    """One small model: its files, its source, its place in the ledger."""

    model: str
    """Name, which is also that of its table in ``shop``."""
    workspace: Workspace
    """Folders and connections."""
    owner_url: str
    """Connection of the owner."""

    @property
    def spec(self) -> ModelSpec:
        return self.workspace.spec(self.model)

    @property
    def publisher(self) -> Publisher:
        return Publisher(self.workspace.connection("tidemill"))

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.workspace.connection("tidemill"))

    @property
    def promoter(self) -> Releases:
        return Releases(self.workspace.connection("tidemill_promoter"))

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which another process finds the same folders and connections."""
        places = {"MODELS": self.workspace.models, "SQL": self.workspace.sql, "STORAGE": self.workspace.storage}
        connections = {f"CONN_{name.upper()}": self.workspace.connection(name) for name in (SOURCE, LEDGER, PROMOTER)}
        return {f"TIDEMILL_{name}": str(value) for name, value in (places | connections).items()}

    # ------------------------------------------------------------ files and source

    def write(self, spec: str = SPEC, features: str = FEATURES_SQL, labels: str = LABELS_SQL) -> None:
        """Write the model's three files."""
        folder = self.workspace.sql / self.model
        folder.mkdir(parents=True, exist_ok=True)
        self.workspace.models.mkdir(parents=True, exist_ok=True)
        (self.workspace.models / f"{self.model}.yaml").write_text(spec.replace("{model}", self.model), encoding="utf-8")
        (folder / "features.sql").write_text(features.replace("{model}", self.model), encoding="utf-8")
        (folder / "labels.sql").write_text(labels.replace("{model}", self.model), encoding="utf-8")

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement as the owner; ``{t}`` is the model's table, ``{m}`` its name."""
        connection = psycopg2.connect(self.owner_url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement.replace("{t}", f"shop.{self.model}").replace("{m}", self.model), values)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    # ------------------------------------------------------------ the chains

    def step(self, chain: str, step: str, partition: str, **inputs: Any) -> dict[str, Any]:
        return run_step(chain, step, self.model, partition, inputs, workspace=self.workspace)

    def extract(self, purpose: str, partition: str) -> SnapshotRef:
        chain = "train" if purpose == "train" else "predict"
        return SnapshotRef.from_dict(self.step(chain, "extract", partition, purpose=purpose))

    def train(self, partition: str = TRAINED, *, shown: bool = True, **options: Any) -> dict[str, dict[str, Any]]:
        """Run the chain and return each step's last record by name; what is not shown takes half the time."""
        return self._drive("train", train_chain(self.spec, **options), partition, run_step if shown else run_unshown)

    def predict(self, partition: str = SCORED, **options: Any) -> dict[str, dict[str, Any]]:
        return self._drive("predict", predict_chain(**options), partition)

    def monitor(self, partition: str = SCORED, *, shown: bool = True) -> dict[str, dict[str, Any]]:
        """Run the chain; its page, which is not drawn if it is not shown, takes most of the time."""
        return self._drive("monitor", monitor_chain(self.spec), partition, run_step if shown else run_unshown)

    def retrain(self, partition: str = SCORED, **options: Any) -> dict[str, dict[str, Any]]:
        return self._drive("retrain", retrain_chain(self.spec, **options), partition)

    def _drive(self, name: str, chain: Any, partition: str, run: Any = run_step) -> dict[str, dict[str, Any]]:
        records: dict[str, dict[str, Any]] = {}

        def keep(step: str, record: dict[str, Any] | None) -> None:
            if record is not None:
                records[step] = record

        drive(name, chain, self.model, partition, self.workspace, on_step=keep, run=run)
        return records

    # ------------------------------------------------------------ the ledger

    def start_run(self, partition: str = SCORED, step: str = "predict") -> int:
        return self.ledger.start_run(
            NewRun(
                model=self.model,
                chain="predict",
                step=step,
                partition=partition,
                origin=Origin(),
                code_version="test",
                spec_digest="0" * 64,
                lock_digest="0" * 64,
            )
        )

    def register(self, trained: dict[str, dict[str, Any]], partition: str = TRAINED, bundle_digest: str = "") -> int:
        """Register another model's bundle as a release of this one: a training in milliseconds."""
        run_id = self.start_run(partition, "register")
        snapshot = replace(SnapshotRef.from_dict(trained["extract"]), model=self.model)
        self.ledger.record_snapshot(snapshot, run_id)
        bundle = BundleRef.from_dict(trained["evaluate"]["bundle"])
        decision = Decision(kind="accept", verdict=Verdict.ACCEPT, reasons=("For a test.",))
        decision_id = self.ledger.record_decision(self.model, partition, decision, {}, run_id)
        at = self.spec.partition(partition)
        return self.promoter.register(
            NewRelease(
                model=self.model,
                partition=partition,
                snapshot_digest=snapshot.digest,
                split_digest="0" * 64,
                bundle=replace(bundle, digest=bundle_digest or bundle.digest),
                metric="roc_auc",
                metric_value=0.8,
                evidence=trained["evaluate"],
                decision=replace(decision, decision_id=decision_id),
                learnt_until=at.interval.start - timedelta(days=6),
                known_until=at.cutoff,
                spec_digest=self.spec.digest,
                code_version="test",
                lock_digest="0" * 64,
                run_id=run_id,
            )
        )

    def promote(self, release_id: int, expected: int | None, partition: str = TRAINED, kind: str = "promote") -> None:
        self.promoter.promote(
            self.model,
            Promotion(
                release_id=release_id,
                expected=expected,
                live_from=self.spec.partition(partition).cutoff,
                approved_by="gate",
                reason="For a test.",
                kind=kind,
            ),
        )

    def adopt(self, trained: dict[str, dict[str, Any]], partition: str = TRAINED) -> int:
        """Register and promote another model's bundle."""
        release_id = self.register(trained, partition)
        self.promote(release_id, None, partition)
        return release_id

    def resolve(self, partition: str = SCORED, **options: Any) -> ReleaseRef:
        return ReleaseRef.from_dict(self.step("predict", "resolve_release", partition, **options))

    def predict_only(self, partition: str = SCORED) -> PredictionRef:
        """Score and write a partition without publishing it."""
        release, snapshot = self.resolve(partition), self.extract("score", partition)
        record = self.step("predict", "predict", partition, release=release.to_dict(), snapshot=snapshot.to_dict())
        return PredictionRef.from_dict(record)

    def view(self, partition: str = SCORED, columns: str = "parcel_id, score") -> list[tuple[Any, ...]]:
        """Read what a reader sees of a partition, in order of key."""
        return self.sql(
            f"SELECT {columns} FROM predictions.{self.model} WHERE partition = %s ORDER BY parcel_id", partition
        )

    def statuses(self, partition: str = SCORED) -> list[str]:
        """Return the status of each prediction run of a partition, oldest first."""
        rows = self.sql(
            "SELECT status FROM tidemill.prediction_run WHERE model = '{m}' AND partition = %s"
            " ORDER BY prediction_run_id",
            partition,
        )
        return [status for (status,) in rows]

    def last_run(self) -> dict[str, Any]:
        """Return the newest row of ``tidemill.run``."""
        names = ("step", "status", "error", "n_rows")
        (row,) = self.sql(
            f"SELECT {', '.join(names)} FROM tidemill.run WHERE model = '{{m}}' ORDER BY run_id DESC LIMIT 1"
        )
        return dict(zip(names, row, strict=True))
