"""The ledger's own rows: figures, checks, runs, examinations, and messages that went out."""

from collections.abc import Iterator
from datetime import datetime

from tidemill.intervals import Every
from tidemill.retention.removal import Removal
from tidemill.spec import ModelSpec
from tidemill.warehouse.connections import transaction
from tidemill.warehouse.statements import execute

__all__ = ["LOOKED_BACK", "collect_records"]

LOOKED_BACK = 100
"""Partitions whose figures monitoring may compare with; it does with fewer."""

LOOKED_BACK_HOURS = 2_400  # the same where a partition is an hour
LOOKED_BACK_RUNS = 2_000  # succeeded runs whose cost the next is compared with
N_AT_ONCE = 10_000  # rows of a table deleted in one transaction
FIGURES, WATCHING = ("metrics", "checks", "runs"), ("examinations", "messages", "counts")


def collect_records(url: str, spec: ModelSpec, as_of: datetime, *, dry_run: bool) -> Iterator[Removal]:
    """Delete what is older than its limit, in short transactions; a dry run rolls them back."""
    before = as_of - spec.retention.records
    gone = [0] * len(FIGURES + WATCHING)
    while True:
        found = _delete(url, spec, before, dry_run=dry_run)
        gone = [so_far + now for so_far, now in zip(gone, found, strict=True)]
        if dry_run or max(found) < N_AT_ONCE:
            break
    for kinds, counts in ((FIGURES, gone[: len(FIGURES)]), (WATCHING, gone[len(FIGURES) :])):
        if any(counts):
            yield Removal(
                model=spec.model,
                kind="records",
                size_bytes=0,
                outcome="due" if dry_run else "collected",
                name=", ".join(f"{n} {kind}" for n, kind in zip(counts, kinds, strict=True)),
                reason=f"older than {before:%Y-%m-%d}, and nothing that is kept refers to them",
            )


def _delete(url: str, spec: ModelSpec, before: datetime, *, dry_run: bool) -> tuple[int, ...]:
    """Delete a batch of rows of each table; monitoring's rows go first, so that their runs can go too."""
    n_partitions = LOOKED_BACK_HOURS if spec.partitions.every is Every.HOUR else LOOKED_BACK
    at_most = None if dry_run else N_AT_ONCE
    with transaction(url) as cursor:
        execute(cursor, "collect_watching", model=spec.model, before=before, n_partitions=n_partitions, at_most=at_most)
        watching = cursor.fetchone() or ()
        execute(
            cursor,
            "collect_records",
            model=spec.model,
            before=before,
            n_partitions=n_partitions,
            n_runs=LOOKED_BACK_RUNS,
            at_most=at_most,
        )
        found = (*(cursor.fetchone() or ()), *watching)
        if dry_run:
            cursor.connection.rollback()
    return found
