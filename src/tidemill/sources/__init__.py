"""Sources: where the rows of a model's queries come from, and which engine runs the queries.

Postgres runs them by itself. DuckDB runs them over inputs: relations from files and other databases, which are first staged
as immutable Parquet. A step sees only the protocol `Source`.
"""

from tidemill.sources.opening import open_schema, open_source
from tidemill.sources.source import Source, Window

__all__ = ["Source", "Window", "open_schema", "open_source"]
