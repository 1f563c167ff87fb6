"""Validate a snapshot against the data contract, equally for training and scoring."""

from pathlib import Path

import pyarrow as pa

from tidemill.arrow import to_frame
from tidemill.checks import judge, judge_keys, needed_columns, of_no_rows, whole_contract
from tidemill.errors import ContractBroken
from tidemill.intervals import Interval
from tidemill.records import CheckReport, CheckResult, Severity, SnapshotRef
from tidemill.report.pages import contract_page
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.spec import Expectation, ModelSpec
from tidemill.steps.data.label_join import is_joined_by_time
from tidemill.steps.data.quarantine import quarantine_results
from tidemill.storage.layout import FEATURES, LABELS, PARTITION
from tidemill.storage.tables import read_schema, read_table

__all__ = ["validate_data"]

N_CASES = 5  # failing values listed in an error


@declarations.validate_data
def validate_data(job: Job, snapshot: SnapshotRef) -> CheckReport:
    """Check the model's contract on a snapshot; without rows, only its expectations about the table.

    The rows that break an expectation of severity ``quarantine`` have been set aside by `extract`; they are reported.

    Keys that have only blanks, or are too long for the ledger, fail whatever the contract says.

    A ``numeric`` column whose digits a double does not keep is a warning.

    All results are recorded in ``tidemill.check_result`` and on a page.

    Raises
    ------
    ContractBroken
        If expectations of severity ``fail`` do not hold; lists all of them.
    """
    folder = job.store.folder(snapshot.uri, snapshot.digest)
    identity = _identity(job.spec, folder)
    contract = whole_contract(job.spec, Interval(start=snapshot.start, end=snapshot.end), identity)
    if not snapshot.n_rows:
        contract = of_no_rows(contract)
    judged = tuple(item for item in contract if item.severity is not Severity.QUARANTINE)
    results = (
        *_held(judged, folder / FEATURES),
        *_odd_keys(job.spec, folder / FEATURES),
        *quarantine_results(job.spec, folder),
        *_rounded(snapshot),
    )
    job.ledger.record_checks(snapshot.digest, results, job.run_id)
    page = contract_page(snapshot, results)

    def fill(folder: Path) -> None:
        (folder / "index.html").write_text(page, encoding="utf-8")

    stored = job.store.write(job.spec.model, "reports", fill)
    report = CheckReport(
        snapshot_digest=snapshot.digest,
        n_expectations=len(results),
        n_failed=len(_broken(results, Severity.FAIL)),
        n_warned=len(_broken(results, Severity.WARN)),
        report_uri=stored.uri,
    )
    if report.n_failed:
        raise ContractBroken(
            f"The snapshot of {job.spec.model!r} for partition {snapshot.partition!r} breaks {report.n_failed} of "
            f"{report.n_expectations} expectations:\n{_listed(_broken(results, Severity.FAIL))}",
            f"Correct the source or the contract; the page is {job.workspace.page(stored.uri)}."
            f"{_advice(job.spec, snapshot, results)}",
        )
    return report


def _identity(spec: ModelSpec, folder: Path) -> tuple[str, ...]:
    """Return the columns that identify a row: the key, within a partition if labels are joined by key and time."""
    is_panel = (folder / LABELS).exists() and is_joined_by_time(read_schema(folder / LABELS).names, spec)
    return (PARTITION, spec.entity_key) if is_panel else (spec.entity_key,)


def _advice(spec: ModelSpec, snapshot: SnapshotRef, results: tuple[CheckResult, ...]) -> str:
    """Return what to do about keys that recur in another partition of a training window."""
    names = {result.expectation for result in _broken(results, Severity.FAIL) if result.column == spec.entity_key}
    if snapshot.purpose != "train" or "expect_column_values_to_be_unique" not in names:
        return ""
    return (
        f" If an entity has a row in each partition, let {spec.source.labels} return {spec.time_column!r} too: then a key is "
        "unique within a partition, and labels are joined by key and time."
    )


def _held(contract: tuple[Expectation, ...], path: Path) -> tuple[CheckResult, ...]:
    """Check a contract on stored rows, with only one expectation's columns in memory."""
    names = read_schema(path).names
    of_columns: dict[tuple[str, ...], list[int]] = {}
    for at, item in enumerate(contract):
        of_columns.setdefault(tuple(needed_columns(item, names)), []).append(at)
    found: dict[int, CheckResult | None] = {}
    for needed, places in of_columns.items():
        rows = read_table(path, list(needed))
        found |= {at: judge(contract[at], rows) for at in places}
        del rows
        pa.default_memory_pool().release_unused()  # otherwise the next columns add to it
    rest = tuple(item for at, item in enumerate(contract) if found[at] is None)
    asked = iter(_asked(rest, path))
    return tuple(found[at] or next(asked) for at in range(len(contract)))


def _odd_keys(spec: ModelSpec, path: Path) -> tuple[CheckResult, ...]:
    found = judge_keys(read_table(path, [spec.entity_key])[spec.entity_key], spec.entity_key)
    return () if found is None else (found,)


def _rounded(snapshot: SnapshotRef) -> tuple[CheckResult, ...]:
    """Return a warning for each ``numeric`` column whose values lose digits as a double."""
    return tuple(
        CheckResult(
            expectation="numeric_values_keep_their_digits",
            column=name,
            severity=Severity.WARN,
            success=False,
            observed=f"{n_values:,} values of type numeric have more digits than a double keeps, and are rounded",
            n_unexpected=n_values,
        )
        for name, n_values in snapshot.rounded.items()
    )


def _asked(contract: tuple[Expectation, ...], path: Path) -> tuple[CheckResult, ...]:
    """Check the remaining expectations with Great Expectations."""
    if not contract:
        return ()
    from tidemill.contracts import evaluate_contract  # loads Great Expectations, which takes seconds

    there = [name for name in read_schema(path).names if name != PARTITION]
    names = dict.fromkeys(name for item in contract for name in needed_columns(item, there))
    about_all = any(item.name.startswith("expect_table_column") for item in contract)
    return evaluate_contract(contract, to_frame(read_table(path, there if about_all else list(names))))


def _broken(results: tuple[CheckResult, ...], severity: Severity) -> list[CheckResult]:
    return [result for result in results if not result.success and result.severity is severity]


def _line(result: CheckResult) -> str:
    such_as = f", such as {', '.join(result.failure_cases[:N_CASES])}" if result.failure_cases else ""
    return f"  {result.column or 'table'}: {result.expectation}: {result.observed}{such_as}"


def _listed(results: list[CheckResult]) -> str:
    return "\n".join(_line(result) for result in results)
