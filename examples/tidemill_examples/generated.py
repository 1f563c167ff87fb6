"""Loading generated tables into the warehouse, once."""

import hashlib
import io
from collections.abc import Mapping
from contextlib import closing
from importlib import resources

import psycopg2
import pyarrow as pa

from tidemill.arrow import as_csv

__all__ = ["load_tables"]


def load_tables(owner_url: str, statements: str, tables: Mapping[str, pa.Table], comment: str) -> int:
    """Create and fill tables, unless the same rows are already there; return the number of rows written.

    Everything happens in one transaction. Loaders of the same tables take turns.

    Parameters
    ----------
    owner_url : str
        Connection URL of the role that owns the schema, or may create it.
    statements : str
        File in ``sql`` that creates the tables.
    tables : mapping of str to Table
        Rows by the table's name, with its schema.
    comment : str
        Comment on the first table; the digest of rows and statements is appended to it.
    """
    create = resources.files(__package__).joinpath("sql", statements).read_text(encoding="utf-8")
    contents = {name: as_csv(rows) for name, rows in tables.items()}
    digest = hashlib.sha256(b"".join(contents.values()) + create.encode()).hexdigest()
    first, comment = next(iter(tables)), f"{comment} Digest {digest}."
    with closing(psycopg2.connect(owner_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (first,))
        cursor.execute("SELECT obj_description(to_regclass(%s), 'pg_class')", (first,))
        if cursor.fetchone() == (comment,):
            return 0
        cursor.execute(create)
        written = 0
        for name, rows in tables.items():
            columns = ", ".join(rows.column_names)
            cursor.copy_expert(f"COPY {name} ({columns}) FROM STDIN (FORMAT csv)", io.BytesIO(contents[name]))
            written += cursor.rowcount
        cursor.execute(f"COMMENT ON TABLE {first} IS %s", (comment,))
    return written
