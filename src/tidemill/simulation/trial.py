"""A trial: one training in a sandbox, with production's steps, on a sample of the window and without a search.

Nothing reaches the ledger or the storage; the evaluation's page is written to a folder of the caller's choice.
"""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from datetime import time as time_of_day
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from psycopg2 import sql

from tidemill.errors import ContractBroken, EmptyPartition, LeakageFound
from tidemill.intervals import Partition
from tidemill.metrics.definitions import greater_is_better
from tidemill.records import Decision, EvaluationReport, SnapshotRef
from tidemill.report.pages import evaluation_page, read_pictures
from tidemill.runtime.chains import drive, train_chain
from tidemill.simulation.injections import FEATURES_TABLE
from tidemill.simulation.past import Past, Progress, ignore_progress
from tidemill.simulation.sandbox import Sandbox, open_sandbox
from tidemill.spec import ModelSpec
from tidemill.warehouse.connections import transaction

__all__ = ["N_ROWS", "Trial", "newest_partition", "sample_rows", "suggested_floor", "try_model"]

N_ROWS = 50_000
"""Rows of the sample: the candidates fit in under a minute on two cores."""

OnStep = Callable[[str, dict[str, Any] | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one training on a sample has found."""

    n_source: int
    """Rows of the window in the source."""
    n_sample: int
    """Rows of the sample."""
    finding: str
    """What stopped the trial: a broken contract or signs of a leak; empty if nothing did."""
    report: EvaluationReport | None
    """The evaluation, if the trial got that far."""
    decision: Decision | None
    """What the gate would decide on these rows."""
    floor: float | None
    """Suggestion for ``accept.minimum``: the worse end of the metric's interval; None without an interval."""
    seconds: float
    """Duration of the steps."""
    peak_mb: float
    """Peak memory of the process."""
    page: Path | None
    """The evaluation's page."""


def try_model(
    past: Past,
    folder: Path,
    *,
    n_rows: int = N_ROWS,
    on_step: OnStep = lambda step, record: None,
    on_progress: Progress = ignore_progress,
) -> Trial:
    """Train as of the past's only partition on a sample of its window, in a sandbox.

    Parameters
    ----------
    past : Past
        The model and the partition as of which it is trained.
    n_rows : int
        Size of the sample, in rows. Rows are chosen by a stable hash of the entity key.

    Raises
    ------
    EmptyPartition
        If there is nothing before the partition to train on, or no row.
    NotTrainable
        If the sample has too few labelled rows.
    """
    with open_sandbox() as sandbox:
        sandbox.copy_source(past, on_progress)
        n_source, n_sample = sample_rows(sandbox, past.spec, n_rows)
        sandbox.declare(past.spec, past.spec.model)
        start = time.monotonic()
        seen, finding = _train(sandbox, past, on_step)
        seconds = time.monotonic() - start
        report = EvaluationReport.from_dict(seen["evaluate"]) if "evaluate" in seen else None
        decision = Decision.from_dict(seen["validate_model"]) if "validate_model" in seen else None
        snapshot = SnapshotRef.from_dict(seen["extract"])
        page = None if report is None else _write_page(sandbox, snapshot, report, decision, folder)
    return Trial(
        n_source=n_source,
        n_sample=n_sample,
        finding=finding,
        report=report,
        decision=decision,
        floor=None if report is None else suggested_floor(report),
        seconds=seconds,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        page=page,
    )


def _train(sandbox: Sandbox, past: Past, on_step: OnStep) -> tuple[dict[str, dict[str, Any]], str]:
    """Return the record of each step up to the gate, and what stopped the chain before it, if anything did."""
    seen: dict[str, dict[str, Any]] = {}

    def on_record(step: str, record: dict[str, Any] | None) -> None:
        if record is not None:
            seen[step] = record
        on_step(step, record)

    chain = train_chain(past.spec, dry_run=True, trials=0)
    place = past.spec.model, past.first, sandbox.workspace
    try:
        drive("train", chain, *place, until="validate_model", on_step=on_record)
    except (ContractBroken, LeakageFound) as error:
        return seen, error.problem
    return seen, ""


def newest_partition(spec: ModelSpec, now: datetime) -> Partition:
    """Return the partition of a run at an instant, or the model's last one if it ends earlier."""
    scheduled, last = spec.partition_at(now), spec.partitions.last
    if last is None:
        return scheduled
    noon = datetime.combine(last, time_of_day(12), ZoneInfo(spec.timezone))
    ending = spec.partitions.every.containing(noon, spec.timezone, spec.partitions.cutoff)
    return min(scheduled, ending, key=lambda item: item.interval.start)


def suggested_floor(report: EvaluationReport) -> float | None:
    """Return the worse end of the headline metric's interval: a similar model reaches it even on an unlucky sample."""
    headline = report.metrics[0]
    return headline.low if greater_is_better(headline.name) else headline.high


def sample_rows(sandbox: Sandbox, spec: ModelSpec, n_rows: int) -> tuple[int, int]:
    """Keep about ``n_rows`` of the copied rows, chosen by a hash of their key; return the number of rows before and after.

    Raises
    ------
    EmptyPartition
        If no row was copied.
    """
    count = sql.SQL("SELECT count(*) FROM {}").format(FEATURES_TABLE)
    with transaction(sandbox.database.url) as cursor:
        cursor.execute(count)
        (before,) = cursor.fetchall()[0]
        if not before:
            raise EmptyPartition(
                f"{spec.source.features} returns no row of the training window.",
                "Name a partition whose past has rows, with --partition; without it, the newest one is taken, as of today.",
            )
        if before <= n_rows:
            return before, before
        cursor.execute(
            sql.SQL("DELETE FROM {} WHERE abs(hashtext({}::text)::bigint) %% 1000000 >= %s").format(
                FEATURES_TABLE, sql.Identifier(spec.entity_key)
            ),
            (n_rows * 1_000_000 // before,),
        )
        cursor.execute(count)
        return before, cursor.fetchall()[0][0]


def _write_page(
    sandbox: Sandbox, snapshot: SnapshotRef, report: EvaluationReport, decision: Decision | None, folder: Path
) -> Path:
    """Write the page that production would show for this evaluation."""
    pictures = read_pictures(sandbox.folder / "storage" / report.uri)
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "index.html"
    page.write_text(evaluation_page(snapshot, report, decision, pictures=pictures), encoding="utf-8")
    return page
