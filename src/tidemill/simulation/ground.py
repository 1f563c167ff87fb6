"""A warehouse that lasts as long as a block: a Postgres of its own, with an empty ledger and a copy of the source.

Features are read from the real source once, each partition with its own cutoff as in production, and kept in a table;
so the year can be lived again by several policies without asking the source again.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Self, cast

import psycopg2
import pyarrow as pa
import yaml
from psycopg2 import sql

from tidemill.errors import SchemaChanged, SpecError, StackError
from tidemill.intervals import Interval, Partition
from tidemill.local import databases, postgres
from tidemill.local.home import Home
from tidemill.local.launch import until
from tidemill.local.ports import Ports, choose
from tidemill.simulation.injections import FEATURES_TABLE, LABELS_TABLE, Injection
from tidemill.spec import OBSERVED_AT, ModelSpec
from tidemill.steps.data.extract import query_parameters, require_columns, wanted_features, wanted_labels
from tidemill.steps.data.features import feature_schema
from tidemill.warehouse.connections import Cursor, transaction
from tidemill.warehouse.migrations import apply_migrations
from tidemill.warehouse.model_queries import Query, bind
from tidemill.warehouse.reading import Column, describe, frozen_view
from tidemill.workspace import LEDGER, PROMOTER, Workspace

__all__ = ["Ground", "throwaway_ground"]

START_TIMEOUT_S = 30  # seconds until Postgres answers; it takes one
TIMEOUT_S = 1800  # of one statement on the source, as in ``extract``
SPOOL_BYTES = 64 * 2**20
UNSAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}  # nothing here outlives a crash
KEPT = "kept"  # database that holds what `Ground.restore` brings back
QUERIES = {"features": "simulated/features.sql", "labels": "simulated/labels.sql"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where a simulation takes place."""

    folder: Path
    """Specs, queries, storage and passwords; gone at the end."""
    port: int
    """Where its Postgres listens, on 127.0.0.1."""

    @property
    def workspace(self) -> Workspace:
        """The workspace of its steps; there is no MLflow."""
        return Workspace(
            models=self.folder / "models",
            sql=self.folder / "sql",
            storage=self.folder / "storage",
            tracking_uri=None,
            connection=self._connection,
        )

    @property
    def owner_url(self) -> str:
        """Connection of the role that owns the tables."""
        return self._url("tidemill_owner")

    def save(self) -> None:
        """Write down what a child process needs to find it."""
        (self.folder / "ground.json").write_text(json.dumps({"port": self.port}), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Find the ground that a parent process has laid."""
        return cls(folder=folder, port=json.loads((folder / "ground.json").read_text(encoding="utf-8"))["port"])

    def declare(self, spec: ModelSpec, name: str) -> None:
        """Write the spec once more under another name, reading from the copied source."""
        values = spec.model_dump(mode="json") | {"model": name}
        values["source"] = {"connection": "warehouse", **QUERIES}
        if spec.train.engine == "dask":  # whose workers do not read this machine's folder
            values["train"]["engine"] = "external_memory"
        path = self.folder / "models" / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")

    def copy_source(
        self,
        spec: ModelSpec,
        workspace: Workspace,
        partitions: Sequence[Partition],
        on_partition: Callable[[str], None],
    ) -> None:
        """Copy the rows of partitions, each as known at its own cutoff, and all labels that they ever got.

        Raises
        ------
        SchemaChanged, SpecError
            If a query does not give what the spec names.
        """
        source = spec.source
        features = bind(workspace.query(source.features), source.features)
        labels = bind(workspace.query(source.labels), source.labels)
        whole = Interval(start=partitions[0].interval.start, end=partitions[-1].interval.end)
        latest = query_parameters(whole, partitions[-1].due(2 * spec.label.matures_after))
        with (
            frozen_view(workspace.connection(source.connection), TIMEOUT_S) as reader,
            transaction(self.owner_url) as writer,
        ):
            writer.execute("CREATE SCHEMA simulation")
            first = query_parameters(partitions[0].interval, partitions[0].cutoff)
            columns = _create(reader, writer, features, first, FEATURES_TABLE)
            require_columns(columns, wanted_features(spec), spec, source.features)
            for partition in partitions:
                _copy(reader, writer, features, query_parameters(partition.interval, partition.cutoff), FEATURES_TABLE)
                on_partition(partition.key)
            columns = _create(reader, writer, labels, latest, LABELS_TABLE)
            require_columns(columns, wanted_labels(spec), spec, source.labels)
            _copy(reader, writer, labels, latest, LABELS_TABLE)
            _finish(writer, spec)
        self._write_queries(spec)

    def inject(self, spec: ModelSpec, injections: Sequence[Injection]) -> None:
        """Put faults into the copied rows.

        Raises
        ------
        SpecError
            If a column does not exist, or cannot hold what the fault makes of it.
        """
        for injection in injections:
            start = spec.partition(injection.partition).interval.start
            try:
                with transaction(self.owner_url) as cursor:
                    for statement in injection.statements(spec.entity_key, spec.event_time, start):
                        cursor.execute(statement)
            except (SchemaChanged, psycopg2.ProgrammingError, psycopg2.DataError) as error:
                raise SpecError(
                    f"{injection.words!r} cannot be injected: {str(error).splitlines()[0]}.",
                    f"Name a column that {spec.source.features} gives, of a type that can hold it.",
                ) from error

    def feature_columns(self, spec: ModelSpec) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the numeric and the categorical features among the copied columns."""
        with transaction(self.owner_url) as cursor:
            found = describe(cursor, bind("SELECT * FROM simulation.features", QUERIES["features"]), {})
        schema = feature_schema(spec, pa.schema([(column.name, column.arrow) for column in found]))
        return schema.numeric, schema.categorical

    def keep(self) -> None:
        """Keep rows and ledger aside as they are; nobody may be connected."""
        databases.copy_database(Home(folder=self.folder), self.port, "warehouse", KEPT, "tidemill_owner")

    def restore(self) -> None:
        """Make rows and ledger again what they were when they were kept."""
        databases.copy_database(Home(folder=self.folder), self.port, KEPT, "warehouse", "tidemill_owner")

    def _write_queries(self, spec: ModelSpec) -> None:
        folder = self.folder / "sql" / "simulated"
        folder.mkdir(parents=True)
        between = 'WHERE "{event_time}" >= CAST(:start AS timestamptz) AND "{event_time}" < CAST(:end AS timestamptz)'
        between = between.format(event_time=spec.event_time)
        (folder / "features.sql").write_text(f"SELECT * FROM simulation.features {between}", encoding="utf-8")
        keys = f'SELECT "{spec.entity_key}" FROM simulation.features {between}'
        (folder / "labels.sql").write_text(
            f'SELECT * FROM simulation.labels WHERE "{spec.entity_key}" IN ({keys})'
            f" AND {OBSERVED_AT} <= CAST(:cutoff AS timestamptz)",
            encoding="utf-8",
        )

    def _connection(self, name: str) -> str:
        return self._url({LEDGER: "tidemill_writer", PROMOTER: "tidemill_promoter"}.get(name, "tidemill_reader"))

    def _url(self, role: str) -> str:
        return databases.url(Home(folder=self.folder), self.port, role)


@contextmanager
def throwaway_ground() -> Iterator[Ground]:
    """Start a Postgres that nobody else uses, with an empty ledger; at the end of the block nothing is left of it.

    Raises
    ------
    StackError
        If it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="tidemill-simulation-") as folder:
        home = Home(folder=Path(folder))
        home.create()
        (home.folder / "models").mkdir()
        cluster = postgres.place(home, None)
        postgres.initialise(home, cluster)
        port = choose(Ports()).postgres
        settings = [part for name, value in UNSAFE.items() for part in ("-c", f"{name}={value}")]
        server = subprocess.Popen(
            [*postgres.server_arguments(cluster, port), *settings],
            env=postgres.server_environment(cluster, os.environ),
            user=cluster.uid,
            group=cluster.gid,
            extra_groups=None if cluster.uid is None else [],
            cwd=cluster.data,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us, who then stop it
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        try:
            if not until(lambda: databases.is_ready(home, port), START_TIMEOUT_S):
                raise StackError("The simulation's Postgres did not start.", "See whether memory and disk suffice.")
            databases.create_databases(home, port)
            ground = Ground(folder=home.folder, port=port)
            apply_migrations(ground.owner_url)
            ground.save()
            yield ground
        finally:
            server.send_signal(signal.SIGINT)  # fast shutdown: sessions are closed, nothing is waited for
            server.wait()
            if cluster.uid is not None:  # root's Postgres keeps its data outside the home
                shutil.rmtree(cluster.data.parent)


def _end_with_parent() -> None:
    """Ask the kernel to stop the server when this process is killed before it can."""
    ctypes.CDLL(None).prctl(1, signal.SIGINT)  # 1: PR_SET_PDEATHSIG


def _create(
    reader: Cursor, writer: Cursor, query: Query, parameters: Mapping[str, datetime], table: sql.Identifier
) -> tuple[Column, ...]:
    """Make a table of the query's columns, with their very types."""
    columns = describe(reader, query, parameters)
    reader.execute(
        "SELECT pg_catalog.format_type(oid, NULL) FROM unnest(%s) WITH ORDINALITY AS wanted (oid, place)"
        " ORDER BY place",
        ([column.oid for column in columns],),
    )
    types = [name for (name,) in reader.fetchall()]
    fields = [
        sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(kind))
        for column, kind in zip(columns, types, strict=True)
    ]
    writer.execute(sql.SQL("CREATE UNLOGGED TABLE {} ({})").format(table, sql.SQL(", ").join(fields)))
    return columns


def _copy(
    reader: Cursor, writer: Cursor, query: Query, parameters: Mapping[str, datetime], table: sql.Identifier
) -> None:
    select = reader.mogrify(f"SELECT * FROM ({query}\n) AS query", parameters).decode()
    with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
        reader.copy_expert(f"COPY ({select}) TO STDOUT (FORMAT binary)", cast(IO[bytes], spool))
        spool.seek(0)
        writer.copy_expert(
            sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(table).as_string(writer), cast(IO[bytes], spool)
        )


def _finish(writer: Cursor, spec: ModelSpec) -> None:
    for table, column in ((FEATURES_TABLE, spec.event_time), (LABELS_TABLE, spec.entity_key)):
        writer.execute(sql.SQL("CREATE INDEX ON {} ({})").format(table, sql.Identifier(column)))
        writer.execute(sql.SQL("ANALYZE {}").format(table))
    writer.execute("GRANT USAGE ON SCHEMA simulation TO tidemill_reader, tidemill_writer")
    writer.execute("GRANT SELECT ON ALL TABLES IN SCHEMA simulation TO tidemill_reader, tidemill_writer")
