"""The contract of a model: what it expects of a snapshot, which columns it names, and how it reads in a report."""

import json
from collections.abc import Sequence

from tidemill.intervals import Interval
from tidemill.spec import Expectation, ModelSpec

__all__ = ["columns_of", "in_words", "of_no_rows", "whole_contract"]


def whole_contract(spec: ModelSpec, interval: Interval, identity: Sequence[str] = ()) -> tuple[Expectation, ...]:
    """Return the expectations of a model: those of every model first, then the spec's own.

    Each row lies in the interval that was asked for, and is the only one of its identity.

    Parameters
    ----------
    interval : Interval
        Of the rows.
    identity : sequence of str
        Columns that identify a row together; by default the key does.
    """
    key, time = {"column": spec.entity_key}, {"column": spec.time_column}
    inside = {"min_value": interval.start, "max_value": interval.end, "strict_max": True}
    return (
        Expectation(name="expect_column_values_to_not_be_null", arguments=key),
        _unique(identity or (spec.entity_key,)),
        Expectation(name="expect_column_values_to_not_be_in_set", arguments=key | {"value_set": [""]}),
        Expectation(name="expect_column_values_to_not_be_null", arguments=time),
        Expectation(name="expect_column_values_to_be_between", arguments=time | inside),
        *spec.contract,
    )


def _unique(columns: Sequence[str]) -> Expectation:
    if len(columns) == 1:
        return Expectation(name="expect_column_values_to_be_unique", arguments={"column": columns[0]})
    return Expectation(name="expect_compound_columns_to_be_unique", arguments={"column_list": list(columns)})


def columns_of(contract: Sequence[Expectation]) -> list[str]:
    """Return the columns that a contract names, each once, in order."""
    names = [
        value
        for expectation in contract
        for argument, value in expectation.arguments.items()
        if argument in ("column", "column_A", "column_B")
    ]
    lists = [item for expectation in contract for item in expectation.arguments.get("column_list", ())]
    return list(dict.fromkeys(names + lists))


def of_no_rows(contract: Sequence[Expectation]) -> tuple[Expectation, ...]:
    """Return the expectations that apply to a snapshot without rows: those about the table.

    Without values nothing can be said about them, and an aggregate is not defined. Use
    ``expect_table_row_count_to_be_between`` to require rows.
    """
    return tuple(item for item in contract if not columns_of((item,)) or item.name == "expect_column_to_exist")


def in_words(expectation: Expectation) -> str:
    """Return an expectation with its arguments, without its column, as one line of text."""
    arguments = {name: value for name, value in expectation.arguments.items() if name != "column"}
    if not arguments:
        return expectation.name
    inner = ", ".join(f"{name}={json.dumps(value, default=str)}" for name, value in arguments.items())
    return f"{expectation.name}({inner})"
