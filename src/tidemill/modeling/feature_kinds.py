"""The kind of value that each feature had in training, compared with that of other rows.

A model silently reads true as 1 and 5 as an unknown text. So rows of another kind than the model was trained on are
refused. A number may change its width: ``integer``, ``numeric`` and ``double precision`` are one kind.
"""

from collections.abc import Sequence
from typing import cast

import pyarrow as pa

from tidemill.arrow import kind_of
from tidemill.modeling.schema import FeatureKind, FeatureSchema

__all__ = ["changed_kinds", "feature_kinds"]


def feature_kinds(numeric: Sequence[str], categorical: Sequence[str], columns: pa.Schema) -> dict[str, FeatureKind]:
    """Return the kind of each feature that the columns contain.

    Examples
    --------
    >>> feature_kinds(["hour"], ["gate"], pa.schema({"hour": pa.int16(), "gate": pa.int16()}))
    {'hour': 'number', 'gate': 'whole number'}
    """
    there = set(columns.names)
    return {name: _kind(columns, name, name in numeric) for name in (*numeric, *categorical) if name in there}


def changed_kinds(schema: FeatureSchema, columns: pa.Schema) -> list[str]:
    """Return one phrase per feature whose kind differs from that in training; none for a bundle without kinds.

    Examples
    --------
    >>> schema = FeatureSchema(numeric=("hour",), kinds={"hour": "number"})
    >>> changed_kinds(schema, pa.schema({"hour": pa.bool_()}))
    ["'hour' was a number in training, and is a boolean now"]
    """
    now = feature_kinds(schema.numeric, schema.categorical, columns)
    return [
        f"{name!r} was {_with_article(then)} in training, and is {_with_article(now[name])} now"
        for name, then in schema.kinds.items()
        if name in now and now[name] != then
    ]


def _kind(columns: pa.Schema, name: str, is_numeric: bool) -> FeatureKind:
    found = kind_of(columns.field(name).type)
    return cast(FeatureKind, "number" if is_numeric and found == "whole number" else found)


def _with_article(kind: str) -> str:
    return f"of type {kind}" if "[" in kind else kind if kind == "text" else f"a {kind}"
