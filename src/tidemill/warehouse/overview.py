"""Overview: the state of each model according to the ledger. The role ``tidemill_reader`` is enough."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from tidemill.records import (
    Decision,
    EvaluationReport,
    FailedStep,
    FeatureDrift,
    FigureName,
    FigureOfPartition,
    Hold,
    MetricValue,
    ModelDetails,
    ModelState,
    PartitionAlert,
    PartitionDetails,
    PublishedPartition,
    RecordedScore,
    ReleaseEvidence,
    ReleaseOrigin,
    RetrainDecision,
    RowChanges,
    RowDecision,
    Severity,
    SnapshotRef,
    StandingRelease,
    StepOfPartition,
    Verdict,
    WantedFigure,
)
from tidemill.spec import ModelSpec
from tidemill.spec.due_partitions import judge_timeliness
from tidemill.warehouse.alerts.state import open_alerts
from tidemill.warehouse.connections import Cursor, fetch_all, fetch_dicts, fetch_one, fetch_value, transaction
from tidemill.warehouse.releases.shadows import running_shadow
from tidemill.warehouse.statements import execute

__all__ = ["Overview", "newest_spec"]

N_PARTITIONS, N_RELEASES, N_DECISIONS, N_FAILURES = 90, 20, 5, 10  # newest entries of each kind that are shown
N_DRIFT = 30  # newest partitions whose features are shown
N_NAMED = 30  # newest partitions in which names of figures are looked for
N_STEPS = 100  # newest steps of a partition


@dataclass(frozen=True, slots=True)
class Overview:
    """The reader's view of all models."""

    url: str
    """Connection of the role ``tidemill_reader``."""
    as_of: datetime | None = None
    """Instant to judge timeliness at; now by the database's clock by default."""

    def models(self) -> tuple[ModelState, ...]:
        """Return the state of every model that has ever run, in order of name."""
        with transaction(self.url) as cursor:
            execute(cursor, "models")
            names = [model for (model,) in cursor.fetchall()]
            as_of = self._as_of(cursor)
            return tuple(_state(cursor, model, as_of) for model in names)

    def model(self, model: str) -> ModelDetails | None:
        """Return a model's state and recent past; None if it has never run."""
        with transaction(self.url) as cursor:
            execute(cursor, "model_is_known", model=model)
            if not fetch_value(cursor):
                return None
            partitions = _partitions(cursor, model, N_PARTITIONS)
            return ModelDetails(
                state=_state(cursor, model, self._as_of(cursor)),
                partitions=partitions,
                releases=_releases(cursor, model),
                decisions=_decisions(cursor, model),
                drift=_drift(cursor, model, [item.partition for item in partitions[:N_DRIFT]]),
                score=_score(cursor, model),
                held=_held(cursor, model),
                shadow=running_shadow(cursor, model),
                row_decisions=_row_decisions(cursor, model, partitions[-1].partition, partitions[0].partition)
                if partitions
                else (),
            )

    def recorded_failures(self, model: str, dag_run_ids: Sequence[str], since: datetime) -> frozenset[str]:
        """Return those of Airflow's runs of which the ledger has a failed step that started after an instant."""
        with transaction(self.url) as cursor:
            execute(cursor, "recorded_failures", model=model, dag_run_ids=list(dag_run_ids), since=since)
            return frozenset(dag_run_id for (dag_run_id,) in cursor.fetchall())

    def figure_names(self, model: str) -> tuple[FigureName, ...]:
        """Return the names and slices of the figures of a model's newest partitions."""
        with transaction(self.url) as cursor:
            execute(cursor, "figure_names", model=model, limit=N_NAMED)
            return fetch_all(cursor, FigureName)

    def figures(self, model: str, wanted: WantedFigure, limit: int) -> tuple[FigureOfPartition, ...]:
        """Return one figure over partitions, oldest first; if there are more than the limit, the newest."""
        asked = {name: getattr(wanted, name) for name in WantedFigure.__slots__}
        with transaction(self.url) as cursor:
            execute(cursor, "figures", model=model, limit=limit, **asked)
            return fetch_all(cursor, FigureOfPartition)

    def _as_of(self, cursor: Cursor) -> datetime:
        if self.as_of is not None:
            return self.as_of
        execute(cursor, "now")
        instant: datetime = fetch_value(cursor)
        return instant

    def failures(self, model: str) -> tuple[FailedStep, ...]:
        """Return every failed step that neither succeeded later nor was dismissed."""
        with transaction(self.url) as cursor:
            execute(cursor, "failed_steps", model=model, limit=None)
            return fetch_all(cursor, FailedStep)

    def release(self, model: str, release_id: int) -> ReleaseEvidence | None:
        """Return the evidence of a release; None if the model has no release of that number."""
        with transaction(self.url) as cursor:
            execute(cursor, "release_evidence", model=model, release_id=release_id)
            row = cursor.fetchone()
            if row is None:
                return None
            execute(cursor, "release_pages", model=model, release_id=release_id)
            (origin,) = fetch_all(cursor, ReleaseOrigin)
        snapshot, evidence, decision, settings = row
        snapshot |= {"start": snapshot.pop("start_at"), "end": snapshot.pop("end_at")}
        return ReleaseEvidence(
            snapshot=SnapshotRef.from_dict(snapshot),
            evaluation=EvaluationReport.from_dict(evidence),
            decision=Decision.from_dict(decision),
            settings=settings or {},
            origin=origin,
        )

    def partition(self, model: str, partition: str) -> PartitionDetails | None:
        """Return what happened to a partition; None if nothing ever did."""
        of = {"model": model, "partition": partition}
        with transaction(self.url) as cursor:
            execute(cursor, "partition_place", **of)
            ((withheld, previous, following),) = cursor.fetchall()
            execute(cursor, "partition_steps", **of, limit=N_STEPS)
            steps = fetch_all(cursor, StepOfPartition)
            if not steps and withheld is None:
                return None
            execute(cursor, "partition_alerts", **of)
            alerts = tuple(
                PartitionAlert(alert_id=alert_id, rule=rule, event=event, severity=Severity(severity), message=message)
                for alert_id, rule, event, severity, message in cursor.fetchall()
            )
            execute(cursor, "partition_revision", **of)
            revision = next(iter(fetch_all(cursor, RowChanges)), None)
            return PartitionDetails(
                **of,
                revision=revision,
                published=next(iter(_partitions(cursor, model, 1, partition)), None),
                withheld=bool(withheld),
                previous=previous,
                next=following,
                steps=steps,
                alerts=alerts,
                row_decisions=_row_decisions(cursor, model, partition, partition),
            )


def _state(cursor: Cursor, model: str, as_of: datetime) -> ModelState:
    execute(cursor, "model_state", model=model)
    ((n_published, n_unexamined, examined, release_id),) = cursor.fetchall()
    champion = None if release_id is None else next(iter(_releases(cursor, model, release_id)), None)
    matured, quality = _quality(cursor, model, champion)
    execute(cursor, "failed_steps", model=model, limit=N_FAILURES)
    failures = fetch_all(cursor, FailedStep)
    spec = newest_spec(cursor, model)
    execute(cursor, "newest_keys", model=model, limit=N_PARTITIONS)
    keys = cursor.fetchall()
    known = {key: empty for key, empty, _ in keys}
    withheld = tuple(key for key, _, waits in keys if waits)
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
        timeliness=None
        if spec is None
        else judge_timeliness(spec, known, release_id is not None, as_of, N_PARTITIONS, withheld=withheld),
        floor=_floor(spec, champion),
        withheld=withheld,
    )


def newest_spec(cursor: Cursor, model: str) -> ModelSpec | None:
    """Return the spec of a model's newest run; None if it has never run, or its spec is one of another version."""
    execute(cursor, "newest_spec", model=model)
    row = cursor.fetchone()
    return None if row is None else _spec(bytes(row[0]))


@lru_cache(maxsize=1024)
def _spec(text: bytes) -> ModelSpec | None:
    """Return a recorded spec; None for one of another version, until the next run records the present one."""
    try:
        return ModelSpec.model_validate_json(text)
    except ValidationError:
        return None


def _floor(spec: ModelSpec | None, champion: StandingRelease | None) -> float | None:
    """Return the floor of a single partition, whose metric differs from that of all test rows together."""
    if spec is None or champion is None or spec.accept.minimum is None or spec.accept.metric != champion.metric:
        return None
    return spec.accept.minimum + champion.accepted_value - champion.metric_value


def _quality(cursor: Cursor, model: str, champion: StandingRelease | None) -> tuple[str | None, MetricValue | None]:
    execute(cursor, "newest_quality", model=model, metric=champion.metric if champion else "")
    for matured, name, value, low, high, n in cursor.fetchall():
        return matured, MetricValue(name=name, value=value, low=low, high=high, n=n)
    return None, None


def _partitions(cursor: Cursor, model: str, limit: int, partition: str | None = None) -> tuple[PublishedPartition, ...]:
    execute(cursor, "newest_partitions", model=model, partition=partition, limit=limit)
    return tuple(_partition(row) for row in fetch_dicts(cursor))


def _partition(row: dict[str, Any]) -> PublishedPartition:
    name, value, low, high, n = (row.pop(column) for column in ("name", "value", "low", "high", "n"))
    estimate, least, most = (row.pop(f"estimate{end}") for end in ("", "_low", "_high"))
    return PublishedPartition(
        realised=None if value is None else MetricValue(name=name, value=value, low=low, high=high, n=n),
        estimated=None if estimate is None else MetricValue(name="estimated", value=estimate, low=least, high=most),
        **row,
    )


def _releases(cursor: Cursor, model: str, release_id: int | None = None) -> tuple[StandingRelease, ...]:
    execute(cursor, "standing_releases", model=model, release_id=release_id, limit=N_RELEASES)
    return fetch_all(cursor, StandingRelease)


def _drift(cursor: Cursor, model: str, partitions: list[str]) -> tuple[FeatureDrift, ...]:
    execute(cursor, "feature_drift", model=model, partitions=partitions)
    return fetch_all(cursor, FeatureDrift)


def _row_decisions(cursor: Cursor, model: str, first: str, last: str) -> tuple[RowDecision, ...]:
    execute(cursor, "row_decisions", model=model, first=first, last=last)
    return tuple(
        RowDecision(
            partition=partition, kind=kind, verdict=Verdict(verdict), reasons=tuple(reasons), decided_at=decided_at
        )
        for partition, kind, verdict, reasons, decided_at in cursor.fetchall()
    )


def _score(cursor: Cursor, model: str) -> RecordedScore | None:
    execute(cursor, "recorded_score", model=model)
    return fetch_one(cursor, RecordedScore)


def _held(cursor: Cursor, model: str) -> tuple[Hold, ...]:
    execute(cursor, "held", model=model)
    return fetch_all(cursor, Hold)


def _decisions(cursor: Cursor, model: str) -> tuple[RetrainDecision, ...]:
    execute(cursor, "retrain_decisions", model=model, limit=N_DECISIONS)
    return tuple(
        RetrainDecision(partition=partition, verdict=Verdict(verdict), reasons=tuple(reasons))
        for partition, verdict, reasons in cursor.fetchall()
    )
