"""Weights: how often each labelled row counts, from a column of the features query or of the labels query."""

from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.errors import ContractBroken, SpecError
from tidemill.spec import ModelSpec
from tidemill.steps.data.label_join import label_positions
from tidemill.warehouse.reading import Column

__all__ = ["refuse_odd_weight", "row_weights", "weight_columns"]


def weight_columns(spec: ModelSpec, features: Collection[str], labels: Collection[str]) -> list[str]:
    """Return the columns of the features query that ``weight`` names: one, or none if the labels query has it.

    Raises
    ------
    SpecError
        If both queries return the column, or neither does.
    """
    if spec.weight is None:
        return []
    n_found = (spec.weight in features) + (spec.weight in labels)
    if n_found != 1:
        raise SpecError(
            f"weight of {spec.model!r} is {spec.weight!r}, which {'both queries return' if n_found else 'no query returns'}.",
            f"Return it by either {spec.source.features} or {spec.source.labels}.",
        )
    return [spec.weight] if spec.weight in features else []


def refuse_odd_weight(features: Sequence[Column], labels: Sequence[Column], spec: ModelSpec) -> None:
    """Refuse queries that do not return the weight once, or not as a number.

    Raises
    ------
    SpecError
        With the column.
    """
    given = {column.name: column.arrow for column in (*features, *labels)}
    weight_columns(spec, *({column.name for column in columns} for columns in (features, labels)))
    if spec.weight is not None:
        _refuse_non_number(given[spec.weight], spec)


def _refuse_non_number(kind: pa.DataType, spec: ModelSpec) -> None:
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise SpecError(
            f"The weight {spec.weight!r} of {spec.model!r} is of type {kind}; it has to be a number.",
            "CAST it to double precision in the query that returns it.",
        )


def row_weights(
    rows: pa.Table, labels: pa.Table | None, spec: ModelSpec, counted: pa.ChunkedArray | pa.Array
) -> pa.ChunkedArray | None:
    """Return how often each row counts, null where it is not counted; None if the spec has no ``weight``.

    Parameters
    ----------
    rows : pyarrow.Table
        At least the columns that find labels, and the weight if the features query returns it.
    labels : pyarrow.Table or None
        Result of the labels query; None before labels are known.
    counted : pyarrow array of bool
        Rows whose weight is needed: those with a label.

    Raises
    ------
    SpecError
        If the column is not a number, or not in exactly one of the two.
    ContractBroken
        If the weight of a counted row is negative, NaN, infinite or NULL.
    """
    if spec.weight is None:
        return None
    if labels is None or weight_columns(spec, rows.column_names, labels.column_names):
        file, column = spec.source.features, rows[spec.weight]
    else:
        file, column = spec.source.labels, labels[spec.weight].take(label_positions(rows, labels, spec))
    _refuse_non_number(column.type, spec)
    weights = pc.if_else(counted, column.cast(pa.float64()), pa.scalar(None, pa.float64()))
    sound = pc.fill_null(pc.and_(pc.is_finite(weights), pc.greater_equal(weights, 0)), False)
    odd = pc.and_(counted, pc.invert(sound))
    n_odd = pc.sum(odd).as_py() or 0
    if n_odd:
        key = rows[spec.entity_key].filter(odd)[0].as_py()
        raise ContractBroken(
            f"{n_odd} row(s) of {spec.model!r} have a weight {spec.weight!r} that is negative, NaN, infinite or NULL, such as "
            f"{key!r}: {weights.filter(odd)[0].as_py()}.",
            f"Return a number from 0 for each row in {file}; a row of weight 0 does not count.",
        )
    return weights
