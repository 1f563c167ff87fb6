"""Validate data: the contract held against a snapshot, the same for training and for scoring."""

from pathlib import Path

import pyarrow as pa

from tidemill.checks import columns_of, judge, of_no_rows, whole_contract
from tidemill.errors import ContractBroken
from tidemill.intervals import Interval
from tidemill.records import CheckReport, CheckResult, Severity, SnapshotRef
from tidemill.report.pages import contract_page
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.spec import Expectation
from tidemill.storage.layout import FEATURES, PARTITION
from tidemill.storage.tables import read_schema, read_table

__all__ = ["validate_data"]

N_CASES = 5  # offending values named in an error


@declarations.validate_data
def validate_data(job: Job, snapshot: SnapshotRef) -> CheckReport:
    """Hold the model's contract against a snapshot; of one without rows, what the contract says about the table.

    Results are kept in ``tidemill.check_result`` and on a page, whatever they are.

    Raises
    ------
    ContractBroken
        If an expectation of severity ``fail`` does not hold; every one that does not is named.
    """
    contract = whole_contract(job.spec, Interval(start=snapshot.start, end=snapshot.end))
    if not snapshot.n_rows:
        contract = of_no_rows(contract)
    results = _held(contract, job.store.folder(snapshot.uri, snapshot.digest) / FEATURES)
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
            f"Mend the source or the contract; the page is {job.workspace.page(stored.uri)}.",
        )
    return report


def _held(contract: tuple[Expectation, ...], path: Path) -> tuple[CheckResult, ...]:
    """Hold a contract against stored rows, column by column; Great Expectations is asked for what is not plain."""
    found: dict[int, CheckResult | None] = {}
    there = set(read_schema(path).names)
    for name in [name for name in columns_of(contract) if name in there]:
        column = read_table(path, [name])[name]
        of_column = [at for at, item in enumerate(contract) if item.arguments.get("column") == name]
        found |= {at: judge(contract[at], column) for at in of_column}
        del column
        pa.default_memory_pool().release_unused()  # or the next one comes on top
    rest = tuple(item for at, item in enumerate(contract) if found.get(at) is None)
    asked = iter(_asked(rest, path))
    return tuple(found.get(at) or next(asked) for at in range(len(contract)))


def _asked(contract: tuple[Expectation, ...], path: Path) -> tuple[CheckResult, ...]:
    if not contract:
        return ()
    from tidemill.contracts import evaluate_contract  # loads Great Expectations, which takes seconds

    about_all = any(item.name.startswith("expect_table_column") for item in contract)
    names = [name for name in read_schema(path).names if name != PARTITION] if about_all else columns_of(contract)
    return evaluate_contract(contract, read_table(path, names).to_pandas())


def _broken(results: tuple[CheckResult, ...], severity: Severity) -> list[CheckResult]:
    return [result for result in results if not result.success and result.severity is severity]


def _told(result: CheckResult) -> str:
    such_as = f", such as {', '.join(result.failure_cases[:N_CASES])}" if result.failure_cases else ""
    return f"  {result.column or 'table'}: {result.expectation}: {result.observed}{such_as}"


def _listed(results: list[CheckResult]) -> str:
    return "\n".join(_told(result) for result in results)
