"""Validate data: the contract held against a snapshot, the same for training and for scoring."""

from pathlib import Path

from tidemill.contracts import columns_of, evaluate_contract, of_no_rows, whole_contract
from tidemill.errors import ContractBroken
from tidemill.intervals import Interval
from tidemill.records import CheckReport, CheckResult, Severity, SnapshotRef
from tidemill.report.pages import contract_page
from tidemill.steps.extract import FEATURES
from tidemill.steps.running import Job
from tidemill.storage.tables import read_table

__all__ = ["validate_data"]

N_CASES = 5  # offending values named in an error


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
    rows = read_table(job.store.folder(snapshot.uri, snapshot.digest) / FEATURES, columns_of(contract))
    results = evaluate_contract(contract, rows.to_pandas()) if contract else ()
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


def _broken(results: tuple[CheckResult, ...], severity: Severity) -> list[CheckResult]:
    return [result for result in results if not result.success and result.severity is severity]


def _told(result: CheckResult) -> str:
    such_as = f", such as {', '.join(result.failure_cases[:N_CASES])}" if result.failure_cases else ""
    return f"  {result.column or 'table'}: {result.expectation}: {result.observed}{such_as}"


def _listed(results: list[CheckResult]) -> str:
    return "\n".join(_told(result) for result in results)
