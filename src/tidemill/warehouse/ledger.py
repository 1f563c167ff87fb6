"""The ledger's plain rows: runs, snapshots, checks, decisions, metrics.

Releases and the champion are in ``releases``, prediction runs and the pointer in ``predictions``, alerts in ``alerts``.
Every method is one short transaction; nothing is cached.
"""

import getpass
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from psycopg2.extras import execute_batch

from tidemill.records import CheckResult, Decision, MetricValue, SnapshotRef
from tidemill.warehouse.connections import Cursor, fetch_all, fetch_value, process_name, transaction
from tidemill.warehouse.statements import execute, statements

__all__ = ["Cost", "Ledger", "Measurement", "NewRun", "Origin", "StepRun", "keep_documents"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Origin of a step: an Airflow task or the command line."""

    dag_id: str | None = None
    """DAG, e.g. ``flight_delays_train``."""
    dag_run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None
    """Index of a mapped task; -1 or None if it is not mapped."""
    try_number: int | None = None
    """Attempt, from 1."""
    requested_by: str = ""
    """Person who requested it manually; empty if the schedule did or it is unknown."""

    @property
    def person(self) -> str:
        """Person who started it: in Airflow who triggered the run, if anybody did, else the user of this shell."""
        return self.requested_by or ("" if self.dag_id else getpass.getuser())


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Time and memory that a step has used."""

    wall_s: float
    """Seconds from start to end."""
    cpu_s: float
    """Seconds of processor time, all threads, children included."""
    peak_rss_bytes: int
    """Largest resident set of the process, bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun:
    """A finished step of a partition, for compute monitoring."""

    chain: str
    """``train``, ``predict``, ``monitor`` or ``retrain``."""
    step: str
    partition: str
    wall_s: float
    cpu_s: float
    """Seconds of processor time."""
    peak_rss_bytes: int
    n_rows: int | None
    """Rows worked on, if the step counts rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A step that starts."""

    model: str
    chain: str
    """``train``, ``predict``, ``monitor``, ``retrain``, ``reproduce`` or ``test``."""
    step: str
    partition: str
    origin: Origin
    """Who asked for it."""
    code_version: str
    spec_digest: str
    lock_digest: str
    """Digest of the installed packages."""
    documents: Mapping[str, str] = field(default_factory=dict)
    """Texts of the digests, by kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Subject of some figures, and the run that computed them."""

    model: str
    partition: str
    part: str
    """``drift``, ``performance``, ``estimate`` or ``compute``."""
    release_id: int | None
    """Release that scored the partition; None if the figures concern no release."""
    as_of: datetime
    """Instant of model time as of which labels count."""
    run_id: int
    """Run of the step."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The writer's view of the schema ``tidemill``."""

    url: str
    """Connection of the role ``tidemill_writer``."""

    # ------------------------------------------------------------ runs

    def start_run(self, new: NewRun) -> int:
        """Record that a step starts, and the texts of its digests; return the run's id."""
        with transaction(self.url) as cursor:
            keep_documents(cursor, new.documents)
            execute(
                cursor,
                "start_run",
                model=new.model,
                chain=new.chain,
                step=new.step,
                partition=new.partition,
                dag_id=new.origin.dag_id,
                dag_run_id=new.origin.dag_run_id,
                task_id=new.origin.task_id,
                map_index=new.origin.map_index,
                try_number=new.origin.try_number,
                code_version=new.code_version,
                spec_digest=new.spec_digest,
                lock_digest=new.lock_digest,
                process=process_name(),
            )
            return int(fetch_value(cursor))

    def end_run(
        self, run_id: int, cost: Cost, *, error: str | None, result: dict[str, Any] | None, n_rows: int | None
    ) -> None:
        """Record how a step ended, and what it cost."""
        with transaction(self.url) as cursor:
            execute(
                cursor,
                "end_run",
                status="failed" if error else "succeeded",
                error=error,
                result=None if result is None else json.dumps(result),
                wall_s=cost.wall_s,
                cpu_s=cost.cpu_s,
                peak_rss_bytes=cost.peak_rss_bytes,
                n_rows=n_rows,
                run_id=run_id,
            )

    def step_runs(self, model: str) -> tuple[StepRun, ...]:
        """Return the 2,000 newest succeeded runs of a model's steps, newest first."""
        with transaction(self.url) as cursor:
            execute(cursor, "step_runs", model=model, limit=2000)
            return fetch_all(cursor, StepRun)

    def trainings(self, model: str) -> tuple[tuple[str, str], ...]:
        """Return partition and newest verdict of every training except dry runs, the last judged first."""
        with transaction(self.url) as cursor:
            execute(cursor, "trainings", model=model)
            return tuple((partition, verdict) for partition, verdict in cursor.fetchall())

    # ------------------------------------------------------------ data

    def record_snapshot(self, snapshot: SnapshotRef, run_id: int | None, queries: str | None = None) -> None:
        """Record a snapshot, and the text of its ``query_digest``; the same content again changes nothing."""
        with transaction(self.url) as cursor:
            keep_documents(cursor, {} if queries is None else {"queries": queries})
            execute(
                cursor,
                "insert_snapshot",
                digest=snapshot.digest,
                model=snapshot.model,
                purpose=snapshot.purpose,
                partition=snapshot.partition,
                start=snapshot.start,
                end=snapshot.end,
                cutoff=snapshot.cutoff,
                query_digest=snapshot.query_digest,
                uri=snapshot.uri,
                n_rows=snapshot.n_rows,
                n_set_aside=snapshot.n_set_aside,
                size_bytes=snapshot.size_bytes,
                run_id=run_id,
            )

    def record_checks(self, snapshot_digest: str, results: Sequence[CheckResult], run_id: int) -> None:
        """Record the contract's results."""
        rows = [
            {
                "run_id": run_id,
                "snapshot_digest": snapshot_digest,
                "expectation": result.expectation,
                "column": result.column,
                "severity": result.severity.value,
                "success": result.success,
                "observed": result.observed,
                "n_unexpected": result.n_unexpected,
                "failure_cases": list(result.failure_cases),
            }
            for result in results
        ]
        with transaction(self.url) as cursor:
            execute_batch(cursor, statements()["insert_check_result"], rows)

    # ------------------------------------------------------------ decisions

    def record_decision(
        self, model: str, partition: str, decision: Decision, evidence: dict[str, Any], run_id: int | None
    ) -> int:
        """Record a decision, and in the audit the person who made it, if any; return its id."""
        with transaction(self.url) as cursor:
            execute(
                cursor,
                "record_decision",
                model=model,
                partition=partition,
                kind=decision.kind,
                verdict=decision.verdict.value,
                reasons=list(decision.reasons),
                evidence=json.dumps(evidence),
                run_id=run_id,
                by=decision.by,
            )
            return int(fetch_value(cursor))

    def first_question(self, model: str, origin: Origin, digest: str) -> str:
        """Record in the audit the question of a task to a person; return the digest of its first text."""
        details = {
            "dag_id": origin.dag_id,
            "dag_run_id": origin.dag_run_id,
            "task_id": origin.task_id,
            "digest": digest,
        }
        with transaction(self.url) as cursor:
            execute(cursor, "record_question", model=model, details=json.dumps(details))
            execute(cursor, "first_question", model=model, dag_id=origin.dag_id, dag_run_id=origin.dag_run_id)
            return str(fetch_value(cursor))

    def decision_after(
        self, model: str, kind: str, partition: str, decision_id: int
    ) -> tuple[str, tuple[str, ...]] | None:
        """Return verdict and reasons of the newest decision about a partition after another one, or None."""
        with transaction(self.url) as cursor:
            execute(cursor, "decision_after", model=model, kind=kind, partition=partition, decision_id=decision_id)
            row = cursor.fetchone()
            return None if row is None else (row[0], tuple(row[1]))

    def now(self) -> datetime:
        """Return the time by the database's clock, which is the same for all machines."""
        with transaction(self.url) as cursor:
            execute(cursor, "now")
            instant: datetime = fetch_value(cursor)
            return instant

    def append_audit(self, event: str, model: str, details: dict[str, Any]) -> None:
        """Append to the audit's chain."""
        with transaction(self.url) as cursor:
            execute(cursor, "append_audit", event=event, model=model, details=json.dumps(details))

    # ------------------------------------------------------------ metrics

    def record_metrics(self, of: Measurement, metrics: Sequence[MetricValue]) -> None:
        """Record figures about a partition."""
        measured = {
            "model": of.model,
            "partition": of.partition,
            "part": of.part,
            "release_id": of.release_id,
            "as_of": of.as_of,
            "run_id": of.run_id,
        }
        with transaction(self.url) as cursor:
            execute_batch(cursor, statements()["insert_metric"], [measured | asdict(metric) for metric in metrics])

    def metrics(
        self, model: str, part: str, name: str | None = None, *, since: str = "", until: str
    ) -> dict[str, tuple[MetricValue, ...]]:
        """Return the newest figures of each partition between two keys, oldest partition first.

        Parameters
        ----------
        part : str
            ``drift``, ``performance`` or ``compute``.
        name : str, optional
            One metric's name; all by default.
        since, until : str
            Keys of the first and last partition, inclusive; without ``since``, from the first one of all.
        """
        with transaction(self.url) as cursor:
            execute(cursor, "newest_metrics", model=model, part=part, since=since, until=until, name=name)
            rows = cursor.fetchall()
        found: dict[str, list[MetricValue]] = {}
        for partition, metric, feature, slice_, value, low, high, n, label_coverage in rows:
            figure = MetricValue(
                name=metric,
                feature=feature,
                slice=slice_,
                value=value,
                low=low,
                high=high,
                n=n,
                label_coverage=label_coverage,
            )
            found.setdefault(partition, []).append(figure)
        return {partition: tuple(values) for partition, values in found.items()}


def keep_documents(cursor: Cursor, documents: Mapping[str, str]) -> None:
    """Keep the texts of digests; the ledger computes each digest itself."""
    for kind, text in documents.items():
        execute(cursor, "keep_document", kind=kind, content=text.encode())
