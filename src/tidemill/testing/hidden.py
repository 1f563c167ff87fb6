"""The features query on a sample of the tables that it reads, with and without the rows that came after a cutoff.

A row is later than the cutoff if all of its times are. Hiding such rows must not change a feature. This finds a table that is
read beyond the cutoff; a column that was filled in later, in a row that was there before, shows in the training's leak probe.
"""

from dataclasses import dataclass

import psycopg2
import pyarrow as pa
from psycopg2 import sql

from tidemill.arrow import to_frame
from tidemill.errors import SchemaChanged, SpecError
from tidemill.intervals import Partition
from tidemill.modeling.leakage import find_changed
from tidemill.simulation import Past
from tidemill.simulation.sandbox import TIMEOUT_S, Sandbox, copy_rows, create_table
from tidemill.spec import ModelSpec
from tidemill.steps.data.extract import query_parameters
from tidemill.warehouse.columns_read import columns_read
from tidemill.warehouse.connections import Cursor, transaction
from tidemill.warehouse.model_queries import Query, bind
from tidemill.warehouse.reading import copy_batches, describe, frozen_view

__all__ = ["Without", "without_later_rows"]

MOST_ROWS = 200_000  # per table: copying and reading them takes seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Without:
    """What hiding later rows has changed."""

    partition: str
    n_hidden: int = 0
    """Rows hidden, in all tables."""
    n_compared: int = 0
    """Rows of the features query in both results."""
    changed: tuple[str, ...] = ()
    """Columns that differ."""
    why_not: str = ""
    """Why nothing could be compared; empty if it could."""


def without_later_rows(past: Past, sandbox: Sandbox) -> Without:
    """Run the features query of a partition in the middle of the training window on both samples."""
    needed, spec, source = past.needed, past.spec, past.spec.source
    partition = needed[len(needed) // 2]
    query = bind(past.workspace.query(source.features), source.features)
    try:
        with frozen_view(past.workspace.connection(source.connection), TIMEOUT_S) as reader:
            tables = _copy_tables(reader, sandbox, query, partition)
        every = _features(sandbox, query, partition, spec)
        with transaction(sandbox.database.url) as cursor:
            n_hidden = sum(_hide(cursor, table, partition) for table in tables)
        known = _features(sandbox, query, partition, spec)
    except (psycopg2.ProgrammingError, SchemaChanged, SpecError) as error:
        said = str(error).splitlines()[0]
        return Without(partition=partition.key, why_not=f"the query does not run on a copy of its tables: {said}")
    both = set(every[spec.entity_key].to_pylist()) & set(known[spec.entity_key].to_pylist())
    if not n_hidden or not both:
        return Without(partition=partition.key, why_not=f"no row is later than the cutoff of {partition.key}")
    skipped = {spec.entity_key, spec.time_column, *spec.train.known_ahead}
    names = [name for name in every.column_names if name not in skipped]
    leaks = find_changed(to_frame(known), to_frame(every), (spec.entity_key,), names, limit=0)
    changed = tuple(leak.subject for leak in leaks)
    return Without(partition=partition.key, n_hidden=n_hidden, n_compared=len(both), changed=changed)


def _copy_tables(reader: Cursor, sandbox: Sandbox, query: Query, partition: Partition) -> list[sql.Identifier]:
    """Copy a sample of each table that the query reads, under its own name."""
    parameters = query_parameters(partition.interval, partition.cutoff)
    names = [column.name for column in describe(reader, query, parameters)]
    copied = []
    with transaction(sandbox.database.url) as writer:
        for name in sorted(columns_read(reader, query, parameters, names).tables):
            schema, _, relation = name.partition(".")
            table = sql.Identifier(schema, relation)
            writer.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
            sample = _sample_of(reader, table)
            create_table(reader, writer, sample, parameters, table)
            copy_rows(reader, writer, sample, parameters, table)
            copied.append(table)
    return copied


def _sample_of(reader: Cursor, table: sql.Identifier) -> Query:
    """Return the query of a table's rows, or of a stable sample of them."""
    name = table.as_string(reader)
    reader.execute("SELECT greatest(reltuples, 0) FROM pg_catalog.pg_class WHERE oid = %s::regclass", (name,))
    ((n_rows,),) = reader.fetchall()
    share = "" if n_rows <= MOST_ROWS else f" TABLESAMPLE BERNOULLI ({100 * MOST_ROWS / n_rows:.4f}) REPEATABLE (0)"
    return bind(f"SELECT * FROM {name}{share}", name)


def _hide(cursor: Cursor, table: sql.Identifier, partition: Partition) -> int:
    """Delete the rows of a table whose times are all later than the cutoff; return their number."""
    cursor.execute(
        "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
        " AND atttypid = 'timestamptz'::regtype ORDER BY attnum",
        (table.as_string(cursor),),
    )
    times = [sql.Identifier(name) for (name,) in cursor.fetchall()]
    if not times:
        return 0
    statement = sql.SQL("DELETE FROM {} WHERE least({}) > %s").format(table, sql.SQL(", ").join(times))
    cursor.execute(statement, (partition.cutoff,))
    return cursor.rowcount


def _features(sandbox: Sandbox, query: Query, partition: Partition, spec: ModelSpec) -> pa.Table:
    parameters = query_parameters(partition.interval, partition.cutoff)
    with frozen_view(sandbox.database.url, TIMEOUT_S) as cursor:
        columns = describe(cursor, query, parameters)
        schema = pa.schema([(column.name, column.arrow) for column in columns])
        with copy_batches(cursor, query, parameters, columns, order_by=spec.entity_key) as batches:
            return pa.Table.from_batches(batches, schema)
