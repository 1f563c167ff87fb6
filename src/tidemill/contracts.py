"""Great Expectations: which expectations there are, and the verdicts that ``checks`` leaves to it.

The only place that imports it, which takes seconds.
"""

from collections.abc import Sequence
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations.expectations.expectation import Expectation as GxExpectation
from pydantic import ValidationError

from tidemill.checks import N_CASES, in_words
from tidemill.errors import SpecError
from tidemill.records import CheckResult
from tidemill.spec import Expectation

__all__ = ["evaluate_contract", "problems_of"]


def problems_of(contract: Sequence[Expectation]) -> list[tuple[int, str]]:
    """Return the expectations that Great Expectations does not know, or whose arguments it does not take.

    Returns
    -------
    list of (int, str)
        Position in the contract, and the problem.
    """
    problems = []
    for position, expectation in enumerate(contract):
        try:
            _build(expectation, position)
        except SpecError as error:
            problems.append((position, error.problem))
    return problems


def evaluate_contract(contract: Sequence[Expectation], frame: pd.DataFrame) -> tuple[CheckResult, ...]:
    """Evaluate a contract on a frame.

    Parameters
    ----------
    contract : sequence of Expectation
        From ``whole_contract``.
    frame : pandas.DataFrame
        Rows of the snapshot; columns that the contract does not need may be left out.

    Returns
    -------
    tuple of CheckResult
        One per expectation, in the contract's order. An expectation that cannot be evaluated, for example because its
        column is missing, has failed.
    """
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    definition = (
        context.data_sources.add_pandas("snapshot")
        .add_dataframe_asset("rows")
        .add_batch_definition_whole_dataframe("all")
    )
    suite = gx.ExpectationSuite("contract", [_build(item, position) for position, item in enumerate(contract)])
    outcome = definition.get_batch({"dataframe": frame}).validate(
        suite, result_format={"result_format": "BASIC", "partial_unexpected_count": N_CASES}
    )
    found = {item.expectation_config.meta["position"]: item for item in outcome.results}
    return tuple(_result(expectation, found[position]) for position, expectation in enumerate(contract))


def _build(expectation: Expectation, position: int) -> GxExpectation:
    name = "".join(word.capitalize() for word in expectation.name.split("_"))
    known = getattr(gx.expectations, name, None)
    if known is None:
        raise SpecError(
            f"Great Expectations has no {expectation.name!r}.", "See its gallery of expectations for the names."
        )
    try:
        return known(**expectation.arguments, meta={"position": position})
    except (TypeError, ValueError, ValidationError) as error:
        first = next((line.strip() for line in str(error).splitlines()[1:] if line.strip()), str(error))
        raise SpecError(
            f"{expectation.name} does not take these arguments: {first}.", "Correct the contract."
        ) from error


def _result(expectation: Expectation, found: Any) -> CheckResult:
    result, cases = found.result, found.result.get("partial_unexpected_list", [])
    return CheckResult(
        expectation=in_words(expectation),
        column=expectation.arguments.get("column"),
        severity=expectation.severity,
        success=bool(found.success),
        observed=_observed(found),
        n_unexpected=int(result.get("unexpected_count") or 0),
        failure_cases=tuple(dict.fromkeys(str(case)[:100] for case in cases if not pd.isna(case))),
    )


def _observed(found: Any) -> str:
    result = found.result
    if "unexpected_count" in result and "element_count" in result:
        return f"{result['unexpected_count']:,} of {result['element_count']:,} values break it"
    if result.get("observed_value") is not None:
        return f"observed {result['observed_value']}"
    if found.success:
        return "holds"
    reasons = [item["exception_message"] for item in _exceptions(found.exception_info) if item.get("exception_message")]
    return reasons[0].splitlines()[0] if reasons else "does not hold"


def _exceptions(info: Any) -> list[dict[str, Any]]:
    """Return the exceptions of a result, which has one, or a mapping of metric to exception."""
    if not info:
        return []
    return [info] if "exception_message" in info else list(info.values())
