"""The ledger's plain rows: runs, snapshots, checks, decisions, metrics.

Releases and the champion are in ``releases``, prediction runs and the pointer in ``publishing``, alerts in ``alerts``.
Every method is one short transaction; nothing is cached.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from psycopg2.extras import execute_values

from tidemill.records import CheckResult, Decision, MetricValue, SnapshotRef
from tidemill.warehouse.connections import Cursor, fetch_all, fetch_value, process_name, transaction

__all__ = ["Cost", "Ledger", "Origin", "StepRun", "keep_documents"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who asked for a step: an Airflow task, or nobody but the CLI."""

    dag_id: str | None = None
    """DAG, e.g. ``flight_delays_train``."""
    dag_run_id: str | None = None
    """DAG run."""
    task_id: str | None = None
    """Task."""
    map_index: int | None = None
    """Index of a mapped task; -1 or None if it is not mapped."""
    try_number: int | None = None
    """Attempt, from 1."""
    requested_by: str = ""
    """Person who asked for it by hand; empty if the schedule did, or if nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a step has cost."""

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
    """Name of the step."""
    partition: str
    """Key of the partition."""
    wall_s: float
    """Seconds."""
    cpu_s: float
    """Seconds of processor time."""
    peak_rss_bytes: int
    """Bytes."""
    n_rows: int | None
    """Rows worked on, if the step counts rows."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The writer's view of the schema ``tidemill``."""

    url: str
    """Connection of the role ``tidemill_writer``."""

    # ------------------------------------------------------------ runs

    def start_run(
        self,
        model: str,
        chain: str,
        step: str,
        partition: str,
        origin: Origin,
        *,
        code_version: str,
        spec_digest: str,
        lock_digest: str,
        documents: Mapping[str, str] = MappingProxyType({}),
    ) -> int:
        """Record that a step starts, and what its digests stand for, by kind; gives the run's id."""
        with transaction(self.url) as cursor:
            keep_documents(cursor, documents)
            cursor.execute(
                "INSERT INTO tidemill.run (model, chain, step, partition, dag_id, dag_run_id, task_id, map_index,"
                " try_number, code_version, spec_digest, lock_digest, process)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING run_id",
                (
                    model,
                    chain,
                    step,
                    partition,
                    origin.dag_id,
                    origin.dag_run_id,
                    origin.task_id,
                    origin.map_index,
                    origin.try_number,
                    code_version,
                    spec_digest,
                    lock_digest,
                    process_name(),
                ),
            )
            return int(fetch_value(cursor))

    def end_run(
        self, run_id: int, cost: Cost, *, error: str | None, result: dict[str, Any] | None, n_rows: int | None
    ) -> None:
        """Record how a step ended, and what it cost."""
        with transaction(self.url) as cursor:
            cursor.execute(
                "UPDATE tidemill.run SET status = %s, error = %s, result = %s, ended_at = clock_timestamp(),"
                " wall_s = %s, cpu_s = %s, peak_rss_bytes = %s, n_rows = %s WHERE run_id = %s",
                (
                    "failed" if error else "succeeded",
                    error,
                    None if result is None else json.dumps(result),
                    cost.wall_s,
                    cost.cpu_s,
                    cost.peak_rss_bytes,
                    n_rows,
                    run_id,
                ),
            )

    def step_runs(self, model: str, *, limit: int = 2000) -> tuple[StepRun, ...]:
        """Return the newest succeeded runs of a model's steps, newest first."""
        with transaction(self.url) as cursor:
            cursor.execute(
                "SELECT chain, step, partition, wall_s, cpu_s, peak_rss_bytes, n_rows FROM tidemill.run"
                " WHERE model = %s AND status = 'succeeded' ORDER BY run_id DESC LIMIT %s",
                (model, limit),
            )
            return fetch_all(cursor, StepRun)

    def trainings(self, model: str) -> tuple[tuple[str, str], ...]:
        """Give partition and verdict of every training that was not a dry run, the newest first."""
        with transaction(self.url) as cursor:
            cursor.execute(
                "SELECT r.partition, d.verdict FROM tidemill.release r JOIN tidemill.decision d USING (decision_id)"
                " WHERE r.model = %s ORDER BY r.release_id DESC",
                (model,),
            )
            return tuple((partition, verdict) for partition, verdict in cursor.fetchall())

    # ------------------------------------------------------------ data

    def record_snapshot(self, snapshot: SnapshotRef, run_id: int | None, queries: str | None = None) -> None:
        """Record a snapshot, and the text that its ``query_digest`` is of; the same content again changes nothing."""
        with transaction(self.url) as cursor:
            keep_documents(cursor, {} if queries is None else {"queries": queries})
            cursor.execute(
                "INSERT INTO tidemill.snapshot (digest, model, purpose, partition, start_at, end_at, cutoff, query_digest,"
                " uri, n_rows, size_bytes, run_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
                " ON CONFLICT (model, digest) DO NOTHING",
                (
                    snapshot.digest,
                    snapshot.model,
                    snapshot.purpose,
                    snapshot.partition,
                    snapshot.start,
                    snapshot.end,
                    snapshot.cutoff,
                    snapshot.query_digest,
                    snapshot.uri,
                    snapshot.n_rows,
                    snapshot.size_bytes,
                    run_id,
                ),
            )

    def record_checks(self, snapshot_digest: str, results: Sequence[CheckResult], run_id: int) -> None:
        """Record the contract's results."""
        rows = [
            (
                run_id,
                snapshot_digest,
                r.expectation,
                r.column,
                r.severity.value,
                r.success,
                r.observed,
                r.n_unexpected,
                list(r.failure_cases),
            )
            for r in results
        ]
        with transaction(self.url) as cursor:
            execute_values(
                cursor,
                "INSERT INTO tidemill.check_result (run_id, snapshot_digest, expectation, column_name, severity, success,"
                " observed, n_unexpected, failure_cases) VALUES %s",
                rows,
            )

    # ------------------------------------------------------------ decisions

    def record_decision(
        self, model: str, partition: str, decision: Decision, evidence: dict[str, Any], run_id: int | None
    ) -> int:
        """Record a decision, and in the audit who took it where a person did; gives its id."""
        with transaction(self.url) as cursor:
            cursor.execute(
                "INSERT INTO tidemill.decision (model, partition, kind, verdict, reasons, evidence, run_id)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING decision_id",
                (
                    model,
                    partition,
                    decision.kind,
                    decision.verdict.value,
                    list(decision.reasons),
                    json.dumps(evidence),
                    run_id,
                ),
            )
            decision_id = int(fetch_value(cursor))
            cursor.execute(
                "SELECT tidemill.append_audit(%s, %s, %s)",
                (
                    f"decide:{decision.kind}",
                    model,
                    json.dumps(
                        {"decision_id": decision_id, "partition": partition, "verdict": decision.verdict.value}
                        | ({"by": decision.by} if decision.by else {})
                    ),
                ),
            )
            return decision_id

    def decision_after(
        self, model: str, kind: str, partition: str, decision_id: int
    ) -> tuple[str, tuple[str, ...]] | None:
        """Give verdict and reasons of the newest decision about a partition that came after another one, or None."""
        with transaction(self.url) as cursor:
            cursor.execute(
                "SELECT verdict, reasons FROM tidemill.decision WHERE model = %s AND kind = %s AND partition = %s"
                " AND decision_id > %s ORDER BY decision_id DESC LIMIT 1",
                (model, kind, partition, decision_id),
            )
            row = cursor.fetchone()
            return None if row is None else (row[0], tuple(row[1]))

    def now(self) -> datetime:
        """Return the time by the database's clock, which is the same for all machines."""
        with transaction(self.url) as cursor:
            cursor.execute("SELECT clock_timestamp()")
            instant: datetime = fetch_value(cursor)
            return instant

    def append_audit(self, event: str, model: str, details: dict[str, Any]) -> None:
        """Append to the audit's chain."""
        with transaction(self.url) as cursor:
            cursor.execute("SELECT tidemill.append_audit(%s, %s, %s)", (event, model, json.dumps(details)))

    # ------------------------------------------------------------ metrics

    def record_metrics(
        self,
        model: str,
        partition: str,
        part: str,
        metrics: Sequence[MetricValue],
        *,
        release_id: int | None,
        as_of: datetime,
        run_id: int,
    ) -> None:
        """Record figures about a partition."""
        rows = [
            (
                model,
                partition,
                part,
                m.name,
                m.feature,
                m.slice,
                m.value,
                m.low,
                m.high,
                m.n,
                m.label_coverage,
                release_id,
                as_of,
                run_id,
            )
            for m in metrics
        ]
        with transaction(self.url) as cursor:
            execute_values(
                cursor,
                "INSERT INTO tidemill.metric (model, partition, part, name, feature, slice, value, low, high, n,"
                " label_coverage, release_id, as_of, run_id) VALUES %s",
                rows,
            )

    def metrics(
        self, model: str, part: str, name: str | None = None, *, until: str
    ) -> dict[str, tuple[MetricValue, ...]]:
        """Return the newest figures of each partition up to a key, oldest partition first.

        Parameters
        ----------
        model : str
            Name of the model.
        part : str
            ``drift``, ``performance`` or ``compute``.
        name : str, optional
            One metric's name; all by default.
        until : str
            Newest partition key to give, inclusive.
        """
        with transaction(self.url) as cursor:
            cursor.execute(
                # A subquery for each row would look the newest run up by walking all runs from the newest back.
                "WITH newest AS MATERIALIZED (SELECT partition, max(run_id) AS run_id FROM tidemill.metric"
                "  WHERE model = %(model)s AND part = %(part)s AND partition <= %(until)s GROUP BY partition)"
                " SELECT partition, name, feature, slice, value, low, high, n, label_coverage"
                " FROM newest JOIN tidemill.metric m USING (partition, run_id)"
                " WHERE model = %(model)s AND part = %(part)s AND (%(name)s IS NULL OR name = %(name)s)"
                " ORDER BY partition, metric_id",
                {"model": model, "part": part, "until": until, "name": name},
            )
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
    """Keep the texts that digests are of; the ledger reckons the digest itself."""
    for kind, text in documents.items():
        cursor.execute(
            "INSERT INTO tidemill.document (digest, kind, content)"
            " VALUES (encode(sha256(%(content)s), 'hex'), %(kind)s, %(content)s) ON CONFLICT DO NOTHING",
            {"kind": kind, "content": text.encode()},
        )
