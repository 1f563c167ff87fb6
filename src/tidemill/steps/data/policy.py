"""The policy on features: what a model must not read, checked against the plan of its features query."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import pyarrow as pa

from tidemill.errors import SpecError
from tidemill.spec import ModelSpec, Policy
from tidemill.steps.data.features import feature_schema
from tidemill.warehouse.columns_read import ColumnsRead, columns_read, missing_tables, views_among
from tidemill.warehouse.connections import Cursor
from tidemill.warehouse.model_queries import Query
from tidemill.warehouse.reading import Column

__all__ = ["denied_reads", "refuse_denied_reads", "useless_denials"]


def refuse_denied_reads(
    cursor: Cursor, spec: ModelSpec, query: Query, parameters: Mapping[str, datetime], columns: Sequence[Column]
) -> None:
    """Refuse a features query by which the model reads what the policy denies.

    Raises
    ------
    SpecError
        With every denied column and table.
    """
    found = denied_reads(cursor, spec, query, parameters, columns)
    if found:
        raise SpecError(f"{'; '.join(found)}.", f"Remove it from {query.file}, or change features.policy.")


def denied_reads(
    cursor: Cursor, spec: ModelSpec, query: Query, parameters: Mapping[str, datetime], columns: Sequence[Column]
) -> list[str]:
    """Return a sentence, without its full stop, per denied column and table that the model reads.

    Parameters
    ----------
    cursor : cursor
        Of the transaction from ``frozen_view``.
    query, parameters
        As for ``describe``.
    """
    policy = _policy(spec)
    if policy == Policy():
        return []
    given = pa.schema([(column.name, column.arrow) for column in columns])
    time = (spec.time_column,) if spec.has_time else ()
    names = dict.fromkeys((spec.entity_key, *time, *feature_schema(spec, given).names))
    read = columns_read(cursor, query, parameters, list(names))
    return [
        *(
            f"features.policy denies {view}, which is a view: deny the tables that it reads"
            for view in views_among(cursor, _tables(policy))
        ),
        *(f"{query.file} reads {said}, which features.policy denies" for said in _denied(policy, read)),
    ]


def useless_denials(cursor: Cursor, spec: ModelSpec) -> list[str]:
    """Return a sentence, without its full stop, per denied table, or table of a denied column, that does not exist."""
    return [
        f"features.policy denies {name}, which does not exist"
        for name in missing_tables(cursor, _tables(_policy(spec)))
    ]


def _tables(policy: Policy) -> list[str]:
    return sorted({*policy.denied_tables, *(name.rpartition(".")[0] for name in policy.denied_columns)} - {""})


def _policy(spec: ModelSpec) -> Policy:
    return Policy() if spec.features is None else spec.features.policy


def _denied(policy: Policy, read: ColumnsRead) -> Iterator[str]:
    yield from sorted(read.tables & set(policy.denied_tables))
    for column, shown_as in sorted(read.columns.items()):
        table, _, name = column.rpartition(".")
        denied = {column, name} & set(policy.denied_columns)
        whole = name == "*" and any(item.rpartition(".")[0] in (table, "") for item in policy.denied_columns)
        if denied or whole:
            yield f"{column} (as {', '.join(map(repr, shown_as))})" if shown_as else column
