"""Expectations judged on Arrow columns, exactly and without a frame.

Great Expectations is the vocabulary; what it means for each type of column is in `values`. Rarer expectations are left to
``contracts``, which asks Great Expectations itself.
"""

from tidemill.checks.accepted import surely_accepted
from tidemill.checks.contract import columns_of, in_words, of_no_rows, whole_contract
from tidemill.checks.judging import judge, missing_columns, needed_columns, why_unjudged
from tidemill.checks.keys import judge_keys
from tidemill.checks.quarantine import RECORD, compares_rows, find_broken, kept_rows, quarantine_result, quarantining
from tidemill.checks.values import N_CASES

__all__ = [
    "N_CASES",
    "RECORD",
    "columns_of",
    "compares_rows",
    "find_broken",
    "in_words",
    "judge",
    "judge_keys",
    "kept_rows",
    "missing_columns",
    "needed_columns",
    "of_no_rows",
    "quarantine_result",
    "quarantining",
    "surely_accepted",
    "whole_contract",
    "why_unjudged",
]
