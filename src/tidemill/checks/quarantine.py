"""The rows that break an expectation of severity ``quarantine``: which they are, and why."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.checks.contract import columns_of, in_words
from tidemill.checks.judging import broken_rows
from tidemill.checks.values import N_CASES
from tidemill.records import CheckResult, Severity
from tidemill.spec import Expectation, ModelSpec

__all__ = ["RECORD", "compares_rows", "find_broken", "kept_rows", "quarantine_result", "quarantining"]

RECORD = pa.schema(
    {
        "row_number": pa.int64(),
        "entity_key": pa.string(),
        "expectation": pa.string(),
        "column_name": pa.string(),
        "value": pa.string(),
    }
)
"""Why a row is set aside, under the names of ``tidemill.quarantine``; a row that breaks two expectations has two records."""
_UNIQUE = {"expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique"}
VALUE_LENGTH = 100  # characters kept of a value, enough to recognise it


def quarantining(spec: ModelSpec) -> tuple[Expectation, ...]:
    """Return the expectations of a model that set rows aside."""
    return tuple(item for item in spec.contract if item.severity is Severity.QUARANTINE)


def compares_rows(expectation: Expectation) -> bool:
    """Return whether other rows decide about a row, so that all rows of a partition have to be judged together."""
    return expectation.name in _UNIQUE or "row_condition" in expectation.arguments  # a condition may name a mean


def find_broken(expectation: Expectation, rows: pa.Table, key: str, first: int = 0) -> pa.Table:
    """Return a record per row that breaks an expectation.

    Parameters
    ----------
    expectation : Expectation
        From `quarantining`.
    rows : pyarrow.Table
        Rows of one partition, all of them if it `compares_rows`; the key, and the columns of `needed_columns`.
    key : str
        Column of the entity key.
    first : int, default 0
        Number of the first row in its partition.

    Raises
    ------
    SpecError
        If the expectation is not about single rows, or has no meaning for its column's type.
    """
    places = pa.array(broken_rows(expectation, rows))
    texts = [rows[name].take(places).cast(pa.string()) for name in columns_of((expectation,))]
    value = (
        texts[0]
        if len(texts) == 1
        else pc.binary_join_element_wise(*texts, ", ", null_handling="replace", null_replacement="NULL")
    )
    columns = [
        pc.add(places, first),
        rows[key].take(places).cast(pa.string()),
        pa.repeat(in_words(expectation), len(places)),
        pa.repeat(pa.scalar(expectation.arguments.get("column"), pa.string()), len(places)),
        pc.utf8_slice_codeunits(value, 0, VALUE_LENGTH),
    ]
    return pa.table(columns, schema=RECORD)


def kept_rows(n_rows: int, broken: Sequence[pa.Table]) -> npt.NDArray[np.bool_]:
    """Return which of a partition's rows have no record among the results of `find_broken`."""
    kept = np.ones(n_rows, dtype=np.bool_)
    for records in broken:
        kept[records["row_number"].to_numpy()] = False
    return kept


def quarantine_result(expectation: Expectation, records: pa.Table) -> CheckResult:
    """Return the result of an expectation from the records of a snapshot."""
    column = expectation.arguments.get("column")
    of_column = pc.is_null(records["column_name"]) if column is None else pc.equal(records["column_name"], column)
    broken = records.filter(pc.and_(pc.equal(records["expectation"], in_words(expectation)), of_column))
    cases = pc.unique(broken["value"].slice(0, N_CASES)).drop_null().to_pylist()
    return CheckResult(
        expectation=in_words(expectation),
        column=column,
        severity=expectation.severity,
        success=not broken.num_rows,
        observed=f"{broken.num_rows:,} rows break it and are set aside",
        n_unexpected=broken.num_rows,
        failure_cases=tuple(cases),
    )
