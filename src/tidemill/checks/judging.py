"""From an expectation and the columns that it needs to a verdict."""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.arrow import decoded, is_number, is_text, to_frame
from tidemill.checks.aggregates import AGGREGATES, DISTINCT, breaks_range, row_count, unexpected_values
from tidemill.checks.contract import columns_of, in_words
from tidemill.checks.rows import ROW_WISE
from tidemill.checks.values import N_CASES, known, places_of, shown, unjudgeable
from tidemill.errors import SpecError
from tidemill.records import CheckResult, Severity
from tidemill.spec import Expectation

__all__ = ["broken_rows", "judge", "missing_columns", "needed_columns", "why_unjudged"]

_OWN = {"column", "column_A", "column_B", "column_list", "mostly", "row_condition", "condition_parser"}
"""Arguments that are applied before an expectation sees the others."""
_OF_THE_ORDER = {"expect_column_values_to_be_increasing", "expect_column_values_to_be_decreasing"}
"""Removing the rows that break one of these can make other rows break it."""
_FAULTS_OF_CONDITIONS = (
    SyntaxError, TokenError, NameError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RuntimeError,
)  # fmt: skip
"""What pandas raises if an expression makes no sense for a table."""


def needed_columns(expectation: Expectation, names: Collection[str]) -> list[str]:
    """Return which of a table's columns an expectation reads, those of its ``row_condition`` included."""
    words = set(re.findall(r"\w+", str(expectation.arguments.get("row_condition") or "")))
    asked = columns_of((expectation,))
    return [name for name in names if name in asked or name in words]


def missing_columns(expectation: Expectation, names: Collection[str]) -> list[str]:
    """Return the columns that an expectation names and a table lacks."""
    return [name for name in columns_of((expectation,)) if name not in names]


def judge(expectation: Expectation, rows: pa.Table) -> CheckResult | None:
    """Judge one expectation.

    Parameters
    ----------
    rows : pyarrow.Table
        At least the columns of `needed_columns`.

    Returns
    -------
    CheckResult or None
        None if only Great Expectations can judge it. An expectation that cannot be judged has failed, and says why.
    """
    try:
        return _judged_or_refused(expectation, decoded(rows))
    except SpecError as error:
        return _result(expectation, success=False, observed=f"cannot be judged: {error.problem}")


def why_unjudged(expectation: Expectation, columns: pa.Schema) -> str | None:
    """Return why an expectation cannot be judged for columns of these types, or None if it can be."""
    if missing_columns(expectation, columns.names):
        return None
    try:
        _judged_or_refused(expectation, decoded(columns.empty_table()))
        if expectation.severity is Severity.QUARANTINE:
            broken_rows(expectation, columns.empty_table())
    except SpecError as error:
        return error.problem
    return None


def broken_rows(expectation: Expectation, rows: pa.Table) -> npt.NDArray[np.int64]:
    """Return the positions of the rows that break an expectation about single rows, in order.

    Raises
    ------
    SpecError
        If the expectation is about something else, or has no meaning for the types of its columns.
    """
    if expectation.name not in ROW_WISE or expectation.name in _OF_THE_ORDER:
        raise unjudgeable(f"{expectation.name} is not about single rows, so severity quarantine does not fit")
    rows = decoded(rows)
    places = _meeting_condition(expectation, rows)
    chosen = rows if places is None else rows.take(places)
    columns = [chosen[column] for column in columns_of((expectation,))]
    judged, broken = ROW_WISE[expectation.name](columns, _other_arguments(expectation))
    found = places_of(pc.and_(broken, judged))
    return found if places is None else places.to_numpy()[found]


def _other_arguments(expectation: Expectation) -> dict[str, Any]:
    return {key: value for key, value in expectation.arguments.items() if key not in _OWN}


def _judged_or_refused(expectation: Expectation, rows: pa.Table) -> CheckResult | None:
    try:
        return _judged(expectation, rows)
    except pa.ArrowNotImplementedError as error:
        kinds = ", ".join(sorted({str(rows[column].type) for column in columns_of((expectation,))}))
        raise unjudgeable(f"it is not defined for values of type {kinds}") from error


def _judged(expectation: Expectation, rows: pa.Table) -> CheckResult | None:
    name, missing = expectation.name, missing_columns(expectation, rows.column_names)
    if name == "expect_column_to_exist" and "column_index" not in expectation.arguments:
        return _result(expectation, success=not missing, observed="there is none" if missing else "it is there")
    if missing:
        return _result(expectation, success=False, observed=f"there is no column {', '.join(map(repr, missing))}")
    places = _meeting_condition(expectation, rows)
    rows = rows if places is None else rows.take(places)
    arguments = _other_arguments(expectation)
    columns = [rows[column] for column in columns_of((expectation,))]
    if name in ROW_WISE:
        return _row_wise(expectation, columns, arguments)
    if name in AGGREGATES:
        value, kind = AGGREGATES[name](known(columns[0]))
        broken = breaks_range(value, kind, arguments)
        return _result(
            expectation, success=not rows.num_rows or (value is not None and not broken), observed=f"observed {value}"
        )
    if name in DISTINCT:
        cases = unexpected_values(name, columns[0], arguments)
        result = _result(expectation, success=not cases, observed="does not hold" if cases else "holds")
        return replace(result, n_unexpected=len(cases), failure_cases=cases[:N_CASES])
    counted = row_count(name, rows.num_rows, arguments)
    if counted is not None:
        return _result(expectation, success=counted[0], observed=f"observed {counted[1]:,}")
    odd = next((column.type for column in columns if not (is_number(column.type) or is_text(column.type))), None)
    if odd is not None:  # Great Expectations would compare objects
        raise unjudgeable(f"it is not defined for values of type {odd}")
    return None


def _row_wise(expectation: Expectation, columns: Sequence[pa.ChunkedArray], arguments: dict[str, Any]) -> CheckResult:
    mostly = expectation.arguments.get("mostly", 1.0)
    if isinstance(mostly, bool) or not isinstance(mostly, int | float) or not 0 <= mostly <= 1:
        raise unjudgeable(f"mostly is {mostly!r}, not a number from 0 to 1")
    judged, broken = ROW_WISE[expectation.name](columns, arguments)
    broken = pc.and_(broken, judged)
    n_judged, n_broken = (pc.sum(mask).as_py() or 0 for mask in (judged, broken))
    success = not n_judged or (n_judged - n_broken) / n_judged >= mostly
    result = _result(expectation, success=success, observed=f"{n_broken:,} of {len(columns[0]):,} values break it")
    single = len(columns) == 1 and expectation.name != "expect_column_values_to_not_be_null"
    return replace(
        result, n_unexpected=n_broken, failure_cases=shown(columns[0], broken) if n_broken and single else ()
    )


def _meeting_condition(expectation: Expectation, rows: pa.Table) -> pa.Array | None:
    """Return the positions of the rows that meet the ``row_condition``, an expression of ``DataFrame.query``; None for all."""
    condition = expectation.arguments.get("row_condition")
    if condition is None:
        return None
    if expectation.arguments.get("condition_parser", "pandas") not in ("pandas", "python"):
        raise unjudgeable("condition_parser has to be 'pandas'")
    words = set(re.findall(r"\w+", str(condition)))
    frame = to_frame(
        rows.select([name for name in rows.column_names if name in words]).append_column(
            "__row", pa.array(range(rows.num_rows), pa.int64())
        )
    )
    try:
        kept = frame.query(condition)["__row"]
    except _FAULTS_OF_CONDITIONS as error:
        raise unjudgeable(f"row_condition {condition!r}: {type(error).__name__}: {error}") from error
    return pa.array(kept, pa.int64())


def _result(expectation: Expectation, *, success: bool, observed: str) -> CheckResult:
    return CheckResult(
        expectation=in_words(expectation),
        column=expectation.arguments.get("column"),
        severity=expectation.severity,
        success=success,
        observed=observed,
        n_unexpected=0,
        failure_cases=(),
    )
