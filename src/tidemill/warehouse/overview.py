"""How models stand, as the ledger knows it: what a person reads first. The role ``tidemill_reader`` is enough."""

from dataclasses import dataclass
from typing import Any

from tidemill.records import (
    Decision,
    EvaluationReport,
    FailedStep,
    MetricValue,
    ModelDetails,
    ModelState,
    PublishedPartition,
    RetrainDecision,
    SnapshotRef,
    StandingRelease,
    Verdict,
)
from tidemill.warehouse.alerts.state import open_alerts
from tidemill.warehouse.connections import Cursor, fetch_all, fetch_one, fetch_value, transaction

__all__ = ["Overview", "ReleaseEvidence"]

N_PARTITIONS, N_RELEASES, N_DECISIONS, N_FAILURES = 30, 20, 5, 10  # newest ones of each that are shown

_RELEASES = """
    SELECT r.release_id, r.estimator, r.partition, r.metric, r.metric_value, d.verdict, live.live_from,
           live.approved_by, live.reason,
           coalesce((SELECT CAST(m->>'value' AS double precision) FROM jsonb_array_elements(r.evidence->'metrics') m
                     WHERE m->>'name' = r.metric || '_of_partitions' LIMIT 1), r.metric_value) AS accepted_value
    FROM tidemill.release r
    JOIN tidemill.decision d USING (decision_id)
    LEFT JOIN LATERAL (SELECT live_from, approved_by, reason FROM tidemill.live
                       WHERE model = r.model AND release_id = r.release_id
                       ORDER BY deployment_id DESC LIMIT 1) live ON true
    WHERE r.model = %(model)s"""

# A figure and a page count in the newest run that has them.
_PARTITIONS = """
    SELECT p.partition, p.n_rows, p.release_id, p.simulated, p.published_at,
           realised.name, realised.value, realised.low, realised.high, realised.n,
           estimated.value AS estimate, estimated.low AS estimate_low, estimated.high AS estimate_high,
           drift.value AS drift_share, monitoring.uri AS monitoring, contract.uri AS contract
    FROM tidemill.published_partition p
    JOIN tidemill.release r USING (release_id)
    LEFT JOIN LATERAL (SELECT name, value, low, high, n FROM tidemill.metric m
                       WHERE m.model = p.model AND m.part = 'performance' AND m.partition = p.partition
                         AND m.name = r.metric AND m.slice IS NULL ORDER BY m.run_id DESC LIMIT 1) realised ON true
    LEFT JOIN LATERAL (SELECT value, low, high FROM tidemill.metric m
                       WHERE m.model = p.model AND m.part = 'estimate' AND m.partition = p.partition
                         AND m.name = 'estimated_' || r.metric AND m.slice IS NULL
                       ORDER BY m.run_id DESC LIMIT 1) estimated ON true
    LEFT JOIN LATERAL (SELECT value FROM tidemill.metric m
                       WHERE m.model = p.model AND m.part = 'drift' AND m.partition = p.partition
                         AND m.name = 'drift_share' ORDER BY m.run_id DESC LIMIT 1) drift ON true
    LEFT JOIN LATERAL (SELECT result->>'uri' AS uri FROM tidemill.run
                       WHERE model = p.model AND chain = 'monitor' AND partition = p.partition AND step = 'report'
                         AND status = 'succeeded' ORDER BY run_id DESC LIMIT 1) monitoring ON true
    LEFT JOIN LATERAL (SELECT result->>'report_uri' AS uri FROM tidemill.run
                       WHERE model = p.model AND chain = 'predict' AND partition = p.partition
                         AND step = 'validate_data' AND status = 'succeeded'
                       ORDER BY run_id DESC LIMIT 1) contract ON true
    WHERE p.model = %(model)s ORDER BY p.partition DESC LIMIT %(limit)s"""

_QUALITY = """
    SELECT partition, name, value, low, high, n FROM tidemill.metric
    WHERE model = %(model)s AND part = 'performance' AND slice IS NULL AND name IN (%(metric)s, %(metric)s || '_recent')
    ORDER BY partition DESC, name DESC, run_id DESC LIMIT 1"""

# Failed steps of the newest week of work that have not been done since.
_FAILURES = """
    SELECT chain, step, partition, coalesce(error, '') AS error, ended_at
    FROM (SELECT DISTINCT ON (chain, partition, step, coalesce(map_index, -1)) chain, step, partition, status, error, ended_at
          FROM tidemill.run
          WHERE model = %(model)s AND started_at > (SELECT max(started_at) - interval '7 days' FROM tidemill.run
                                                    WHERE model = %(model)s)
          ORDER BY chain, partition, step, coalesce(map_index, -1), run_id DESC) newest
    WHERE status = 'failed' ORDER BY ended_at DESC LIMIT %(limit)s"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseEvidence:
    """What a release stands on."""

    snapshot: SnapshotRef
    """Its training data."""
    evaluation: EvaluationReport
    """What was measured."""
    decision: Decision
    """What the gate said."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The reader's view of all models."""

    url: str
    """Connection of the role ``tidemill_reader``."""

    def models(self) -> tuple[ModelState, ...]:
        """Return how every model stands that has ever run, in the order of their names."""
        with transaction(self.url) as cursor:
            cursor.execute("SELECT DISTINCT model FROM tidemill.run ORDER BY model")
            return tuple(_state(cursor, model) for (model,) in cursor.fetchall())

    def model(self, model: str) -> ModelDetails | None:
        """Return how a model stands, with its recent past; None if it has never run."""
        with transaction(self.url) as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM tidemill.run WHERE model = %s)", (model,))
            if not fetch_value(cursor):
                return None
            return ModelDetails(
                state=_state(cursor, model),
                partitions=_partitions(cursor, model, N_PARTITIONS),
                releases=_releases(cursor, model),
                decisions=_decisions(cursor, model),
            )

    def release(self, model: str, release_id: int) -> ReleaseEvidence | None:
        """Return what a release stands on; None if the model has none of that number."""
        with transaction(self.url) as cursor:
            cursor.execute(
                "SELECT to_jsonb(s) - '{run_id,taken_at}'::text[], r.evidence,"
                " jsonb_build_object('kind', d.kind, 'verdict', d.verdict, 'reasons', d.reasons)"
                " FROM tidemill.release r JOIN tidemill.decision d USING (decision_id)"
                " JOIN tidemill.snapshot s ON s.model = r.model AND s.digest = r.snapshot_digest"
                " WHERE r.model = %s AND r.release_id = %s",
                (model, release_id),
            )
            row = cursor.fetchone()
        if row is None:
            return None
        snapshot, evidence, decision = row
        snapshot |= {"start": snapshot.pop("start_at"), "end": snapshot.pop("end_at")}
        return ReleaseEvidence(
            snapshot=SnapshotRef.from_dict(snapshot),
            evaluation=EvaluationReport.from_dict(evidence),
            decision=Decision.from_dict(decision),
        )


def _state(cursor: Cursor, model: str) -> ModelState:
    cursor.execute(
        "WITH seen AS (SELECT max(partition) AS newest FROM tidemill.examination WHERE model = %(model)s)"
        " SELECT count(partition), count(partition) FILTER (WHERE partition > coalesce(newest, '')), max(newest),"
        " (SELECT release_id FROM tidemill.champion WHERE model = %(model)s)"
        " FROM seen LEFT JOIN tidemill.published ON model = %(model)s",
        {"model": model},
    )
    ((n_published, n_unexamined, examined, release_id),) = cursor.fetchall()
    cursor.execute(_RELEASES + " AND r.release_id = %(release_id)s", {"model": model, "release_id": release_id})
    champion = fetch_one(cursor, StandingRelease)
    matured, quality = _quality(cursor, model, champion)
    cursor.execute(_FAILURES, {"model": model, "limit": N_FAILURES})
    failures = fetch_all(cursor, FailedStep)
    return ModelState(
        model=model,
        champion=champion,
        newest=next(iter(_partitions(cursor, model, 1)), None),
        n_published=n_published,
        quality=quality,
        matured=matured,
        examined=examined,
        n_unexamined=n_unexamined,
        failures=failures,
        alerts=open_alerts(cursor, model),
    )


def _quality(cursor: Cursor, model: str, champion: StandingRelease | None) -> tuple[str | None, MetricValue | None]:
    cursor.execute(_QUALITY, {"model": model, "metric": champion.metric if champion else ""})
    for matured, name, value, low, high, n in cursor.fetchall():
        return matured, MetricValue(name=name, value=value, low=low, high=high, n=n)
    return None, None


def _partitions(cursor: Cursor, model: str, limit: int) -> tuple[PublishedPartition, ...]:
    cursor.execute(_PARTITIONS, {"model": model, "limit": limit})
    names = [column.name for column in cursor.description or ()]
    return tuple(_partition(dict(zip(names, row, strict=True))) for row in cursor.fetchall())


def _partition(row: dict[str, Any]) -> PublishedPartition:
    name, value, low, high, n = (row.pop(column) for column in ("name", "value", "low", "high", "n"))
    estimate, least, most = (row.pop(f"estimate{end}") for end in ("", "_low", "_high"))
    return PublishedPartition(
        realised=None if value is None else MetricValue(name=name, value=value, low=low, high=high, n=n),
        estimated=None if estimate is None else MetricValue(name="estimated", value=estimate, low=least, high=most),
        **row,
    )


def _releases(cursor: Cursor, model: str) -> tuple[StandingRelease, ...]:
    cursor.execute(_RELEASES + " ORDER BY r.release_id DESC LIMIT %(limit)s", {"model": model, "limit": N_RELEASES})
    return fetch_all(cursor, StandingRelease)


def _decisions(cursor: Cursor, model: str) -> tuple[RetrainDecision, ...]:
    cursor.execute(
        "SELECT partition, verdict, reasons FROM tidemill.decision WHERE model = %s AND kind = 'retrain'"
        " ORDER BY decision_id DESC LIMIT %s",
        (model, N_DECISIONS),
    )
    return tuple(
        RetrainDecision(partition=partition, verdict=Verdict(verdict), reasons=tuple(reasons))
        for partition, verdict, reasons in cursor.fetchall()
    )
