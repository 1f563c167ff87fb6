"""Whether the ledger can keep the keys of a snapshot, and a reader can see them."""

import pyarrow.compute as pc

from tidemill.arrow import is_text
from tidemill.checks.values import Column, shown
from tidemill.records import CheckResult, Severity

__all__ = ["MAX_KEY_BYTES", "judge_keys"]

MAX_KEY_BYTES = 2_600  # an entry of an index of Postgres has at most 2,704 bytes, 24 of which the run's number needs


def judge_keys(keys: Column, name: str) -> CheckResult | None:
    """Return the failure of keys that have only blanks, or are too long for the ledger's index; None if there are none.

    The contract itself refuses missing and empty keys.

    Examples
    --------
    >>> import pyarrow as pa
    >>> judge_keys(pa.chunked_array([["a", "b c"]]), "order_id") is None
    True
    >>> judge_keys(pa.chunked_array([["a", "  "]]), "order_id").n_unexpected
    1
    """
    if not is_text(keys.type):
        return None
    n_bytes = pc.fill_null(pc.binary_length(keys), 0)
    blank = pc.equal(pc.fill_null(pc.binary_length(pc.utf8_trim_whitespace(keys)), 0), 0)
    blank, long = pc.and_(blank, pc.greater(n_bytes, 0)), pc.greater(n_bytes, MAX_KEY_BYTES)
    n_blank, n_long = (pc.sum(mask).as_py() or 0 for mask in (blank, long))
    if not n_blank + n_long:
        return None
    return CheckResult(
        expectation="keys_can_be_kept",
        column=name,
        severity=Severity.FAIL,
        success=False,
        observed=f"{n_blank:,} keys have only blanks, and {n_long:,} more than {MAX_KEY_BYTES:,} bytes",
        n_unexpected=n_blank + n_long,
        failure_cases=shown(keys, pc.or_(blank, long)),
    )
