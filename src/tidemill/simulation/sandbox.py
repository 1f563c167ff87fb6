"""The warehouse of a simulation: an empty ledger, a copy of the source, specs and queries.

The features are read from the real source once, each partition with its own cutoff as in production, and stored in a
table. Several policies can then replay them without another query on the source.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Self, cast

import psycopg2
import pyarrow as pa
import yaml
from psycopg2 import sql

from tidemill.errors import SchemaChanged, SpecError, first_line
from tidemill.intervals import Interval
from tidemill.machine.files import read_json, write_private
from tidemill.simulation.database import SimulationDatabase, simulation_database
from tidemill.simulation.injections import FEATURES_TABLE, LABELS_TABLE, WRONG_UNTIL, Injection
from tidemill.simulation.past import SOURCE, Past, Progress, ignore_progress
from tidemill.spec import OBSERVED_AT, STAMP, Engine, ModelSpec
from tidemill.steps.data.extract import query_parameters, require_columns, wanted_features, wanted_labels
from tidemill.steps.data.features import feature_schema
from tidemill.steps.data.label_join import is_joined_by_time
from tidemill.storage.audit_anchor import anchor_uri
from tidemill.storage.scratch import temporary
from tidemill.warehouse.connections import Cursor, transaction
from tidemill.warehouse.model_queries import Query, bind
from tidemill.warehouse.reading import Column, describe, frozen_view
from tidemill.workspace import Workspace

__all__ = ["TIMEOUT_S", "Sandbox", "copy_rows", "create_table", "open_sandbox"]

TIMEOUT_S = 1800  # seconds per statement on the source, as in ``extract``
SPOOL_BYTES = 64 * 2**20
QUERIES = {"features": "simulated/features.sql", "labels": "simulated/labels.sql"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """The folder and the database of a simulation."""

    folder: Path
    """Specs, queries, storage and passwords, deleted at the end."""
    database: SimulationDatabase
    """The database with the ledger and the copied source."""

    @property
    def workspace(self) -> Workspace:
        """The workspace of its steps, without MLflow; one login reads and writes."""
        return Workspace(
            models=self.folder / "models",
            sql=self.folder / "sql",
            storage=self.folder / "storage",
            tracking_uri=None,
            connection=lambda name: self.database.url,
        )

    def save(self) -> None:
        """Write the file that a child process needs to load it."""
        write_private(self.folder / "sandbox.json", json.dumps(asdict(self.database)))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load the sandbox that a parent process has saved."""
        return cls(folder=folder, database=SimulationDatabase(**read_json(folder / "sandbox.json")))

    def restore(self, model: str) -> None:
        """Return to the kept database, with which an anchor of the audit from after it does not agree."""
        self.database.restore()
        (self.workspace.storage / anchor_uri(model)).unlink(missing_ok=True)

    def declare(self, spec: ModelSpec, name: str) -> None:
        """Write the spec under another name, so that it reads from the copied source."""
        values = spec.model_dump(mode="json", exclude_unset=True) | {"model": name}  # some keys are not for every task
        values["source"] = {"connection": "warehouse", **QUERIES}
        for part in ("search", "leave_out"):  # most of a training's time, which all policies would pay alike
            values.get("train", {}).pop(part, None)
        if spec.train.engine == "dask":  # Dask's workers cannot read this machine's folder
            values["train"]["engine"] = "external_memory"
        path = self.folder / "models" / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")

    def copy_source(self, past: Past, on_progress: Progress = ignore_progress) -> None:
        """Copy the rows of all needed partitions, each as known at its own cutoff, and their labels.

        Raises
        ------
        SchemaChanged, SpecError
            If a query does not return the spec's columns.
        """
        spec, source, partitions = past.spec, past.spec.source, past.needed
        _require_postgres(spec)
        features = bind(past.workspace.query(source.features), source.features)
        labels = bind(past.workspace.query(source.labels), source.labels)
        whole = Interval(start=partitions[0].interval.start, end=partitions[-1].interval.end)
        latest = query_parameters(whole, partitions[-1].due(2 * spec.label.matures_after))
        with (
            frozen_view(past.workspace.connection(source.connection), TIMEOUT_S) as reader,
            transaction(self.database.url) as writer,
        ):
            # One partition of the source may take longer than a transaction may pause.
            writer.execute("SELECT set_config('idle_in_transaction_session_timeout', '0', true)")
            writer.execute("CREATE SCHEMA simulation")
            first = query_parameters(partitions[0].interval, partitions[0].cutoff)
            columns = create_table(reader, writer, features, first, FEATURES_TABLE)
            require_columns(columns, [name for name in wanted_features(spec) if name != STAMP], spec, source.features)
            for done, partition in enumerate(partitions, start=1):
                copy_rows(
                    reader, writer, features, query_parameters(partition.interval, partition.cutoff), FEATURES_TABLE
                )
                on_progress(SOURCE, done, len(partitions))
            columns = create_table(reader, writer, labels, latest, LABELS_TABLE)
            wanted = wanted_labels(spec) if spec.has_time else [spec.entity_key, spec.label.column]
            require_columns(columns, wanted, spec, source.labels)
            copy_rows(reader, writer, labels, latest, LABELS_TABLE)
            _finish(writer, spec)
        self._write_queries(spec, {column.name for column in columns})

    def inject(self, spec: ModelSpec, injections: Sequence[Injection]) -> None:
        """Inject faults into the copied rows.

        Raises
        ------
        SpecError
            If a column does not exist, or cannot store the fault's values.
        """
        for injection in injections:
            start = spec.partition(injection.partition).interval.start
            try:
                with transaction(self.database.url) as cursor:
                    for statement in injection.statements(spec.entity_key, spec.time_column, start, spec.label.column):
                        cursor.execute(statement)
            except (SchemaChanged, psycopg2.ProgrammingError, psycopg2.DataError) as error:
                raise SpecError(
                    f"{injection.words!r} cannot be injected: {first_line(error)}.",
                    f"Name a column of {spec.source.features} with a type that can store the value.",
                ) from error

    def feature_columns(self, spec: ModelSpec) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the numeric and the categorical features among the copied columns."""
        with transaction(self.database.url) as cursor:
            found = describe(cursor, bind("SELECT * FROM simulation.features", QUERIES["features"]), {})
        schema = feature_schema(spec, pa.schema([(column.name, column.arrow) for column in found]))
        return schema.numeric, schema.categorical

    def _write_queries(self, spec: ModelSpec, label_columns: set[str]) -> None:
        folder = self.folder / "sql" / "simulated"
        folder.mkdir(parents=True)
        known = f"{OBSERVED_AT} <= CAST(:cutoff AS timestamptz)"
        if not spec.has_time:
            (folder / "features.sql").write_text("SELECT * FROM simulation.features", encoding="utf-8")
            where = f" WHERE {known}" if OBSERVED_AT in label_columns else ""
            (folder / "labels.sql").write_text(f"SELECT * FROM simulation.labels{where}", encoding="utf-8")
            return
        between = 'WHERE "{event_time}" >= CAST(:start AS timestamptz) AND "{event_time}" < CAST(:end AS timestamptz)'
        between = between.format(event_time=spec.time_column)
        (folder / "features.sql").write_text(f"SELECT * FROM simulation.features {between}", encoding="utf-8")
        keys = f'WHERE "{spec.entity_key}" IN (SELECT "{spec.entity_key}" FROM simulation.features {between})'
        (folder / "labels.sql").write_text(
            f"SELECT * FROM simulation.labels {between if is_joined_by_time(label_columns, spec) else keys} AND {known}"
            f" AND ({WRONG_UNTIL} IS NULL OR {WRONG_UNTIL} > CAST(:cutoff AS timestamptz))",
            encoding="utf-8",
        )


@contextmanager
def open_sandbox() -> Iterator[Sandbox]:
    """Create a folder and a database with an empty ledger; both are removed at the end of the block.

    Raises
    ------
    SettingsError
        If there is no Postgres for the database.
    """
    with temporary() as folder:
        for part in ("models", "simulation", "simulation/postgres"):
            (folder / part).mkdir(mode=0o700)
        with simulation_database(folder / "simulation" / "postgres") as database:
            sandbox = Sandbox(folder=folder, database=database)
            sandbox.save()
            yield sandbox


def _require_postgres(spec: ModelSpec) -> None:
    if spec.source.engine is not Engine.POSTGRES:
        raise SpecError(
            f"source.engine of {spec.model!r} is {spec.source.engine.value}, and a simulation copies tables of a Postgres.",
            "Train and predict on the model itself with --dry-run.",
        )


def create_table(
    reader: Cursor, writer: Cursor, query: Query, parameters: Mapping[str, datetime], table: sql.Identifier
) -> tuple[Column, ...]:
    """Create a table with the columns and types of a query."""
    columns = describe(reader, query, parameters)
    reader.execute(
        "SELECT pg_catalog.format_type(oid, -1) FROM unnest(%s) WITH ORDINALITY AS wanted (oid, place) ORDER BY place",
        ([column.oid for column in columns],),
    )
    types = [name for (name,) in reader.fetchall()]
    fields = [
        sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(kind))
        for column, kind in zip(columns, types, strict=True)
    ]
    writer.execute(sql.SQL("CREATE UNLOGGED TABLE {} ({})").format(table, sql.SQL(", ").join(fields)))
    return columns


def copy_rows(
    reader: Cursor, writer: Cursor, query: Query, parameters: Mapping[str, datetime], table: sql.Identifier
) -> None:
    """Append a query's rows to a table of another server."""
    select = reader.mogrify(f"SELECT * FROM ({query}\n) AS query", parameters).decode()
    with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
        reader.copy_expert(f"COPY ({select}) TO STDOUT (FORMAT binary)", cast(IO[bytes], spool))
        spool.seek(0)
        writer.copy_expert(
            sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(table).as_string(writer), cast(IO[bytes], spool)
        )


def _finish(writer: Cursor, spec: ModelSpec) -> None:
    writer.execute(sql.SQL(f"ALTER TABLE {{}} ADD COLUMN {WRONG_UNTIL} timestamptz").format(LABELS_TABLE))
    by = spec.time_column if spec.has_time else spec.entity_key
    for table, column in ((FEATURES_TABLE, by), (LABELS_TABLE, spec.entity_key)):
        writer.execute(sql.SQL("CREATE INDEX ON {} ({})").format(table, sql.Identifier(column)))
        writer.execute(sql.SQL("ANALYZE {}").format(table))
