"""Overview: the state of each model according to the ledger. The role ``tidemill_reader`` is enough."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import ValidationError

from tidemill.intervals import key_order
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
    OpenAlert,
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

Row = TypeVar("Row")

N_PARTITIONS, N_RELEASES, N_DECISIONS, N_FAILURES = 90, 20, 5, 10  # newest entries of each kind that are shown
N_DRIFT = 30  # newest partitions whose features are shown
N_FEATURES = 25  # most important features that are shown
N_NAMED = 30  # newest partitions in which names of figures are looked for
N_STEPS = 100  # newest steps of a partition


@dataclass(frozen=True, slots=True)
class Overview:
    """The reader's view of all models."""

    url: str
    """Connection of the role ``tidemill_reader``."""
    as_of: datetime | None = None
    """Instant to judge timeliness at; now by the database's clock by default."""

    def names(self) -> tuple[str, ...]:
        """Return the name of every model that has ever run, in order."""
        with transaction(self.url) as cursor:
            execute(cursor, "models")
            return tuple(model for (model,) in cursor.fetchall())

    def states(self, models: Sequence[str]) -> tuple[ModelState, ...]:
        """Return the state of some models that have run, in the same order."""
        with transaction(self.url) as cursor:
            return _states(cursor, models, self._as_of(cursor))

    def model(self, model: str) -> ModelDetails | None:
        """Return a model's state and recent past; None if it has never run."""
        with transaction(self.url) as cursor:
            execute(cursor, "model_is_known", model=model)
            if not fetch_value(cursor):
                return None
            execute(cursor, "count_published", model=model)
            n_published = fetch_value(cursor)
            (state,) = _states(cursor, [model], self._as_of(cursor))
            partitions = tuple(_partitions(cursor, [model], N_PARTITIONS)[model])
            return ModelDetails(
                state=state,
                n_published=n_published,
                partitions=partitions,
                releases=tuple(_releases(cursor, [model])[model]),
                decisions=_decisions(cursor, model),
                drift=_drift(cursor, model, [item.partition for item in partitions[:N_DRIFT]]),
                score=_score(cursor, model),
                held=_held(cursor, model),
                shadow=running_shadow(cursor, model),
                row_decisions=_row_decisions(cursor, model, partitions[-1].partition, partitions[0].partition)
                if partitions
                else (),
            )

    def recorded_failures(self, runs: Collection[tuple[str, str]], since: datetime) -> frozenset[tuple[str, str]]:
        """Return those of Airflow's runs that have a failed step in the ledger.

        Parameters
        ----------
        runs : collection of (str, str)
            Model and id of each DAG run.
        since : datetime
            Instant before which no step is looked at.
        """
        if not runs:
            return frozenset()
        models, dag_run_ids = (list(column) for column in zip(*runs, strict=True))
        with transaction(self.url) as cursor:
            execute(cursor, "recorded_failures", models=models, dag_run_ids=dag_run_ids, since=since)
            return frozenset(cursor.fetchall())

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
            return tuple(_failures(cursor, [model], None)[model])

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
                published=next(iter(_partitions(cursor, [model], 1, partition)[model]), None),
                withheld=bool(withheld),
                previous=previous,
                next=following,
                steps=steps,
                alerts=alerts,
                row_decisions=_row_decisions(cursor, model, partition, partition),
            )


def _states(cursor: Cursor, models: Sequence[str], as_of: datetime) -> tuple[ModelState, ...]:
    champions = {model: found[0] for model, found in _releases(cursor, models, serving=True).items()}
    newest = {model: found[0] for model, found in _partitions(cursor, models, 1).items()}
    quality, failures = _quality(cursor, champions), _failures(cursor, models, N_FAILURES)
    specs = _specs(cursor, models)
    alerts = defaultdict[str, list[OpenAlert]](list)
    for alert in open_alerts(cursor, models):
        alerts[alert.model].append(alert)
    execute(cursor, "model_states", models=list(models), limit=N_PARTITIONS)
    found = {row.pop("model"): row for row in fetch_dicts(cursor)}

    def state(model: str, examined: str | None, n_unexamined: int, **keys: list[str]) -> ModelState:
        champion, spec = champions.get(model), specs.get(model)
        newest_keys = sorted({*keys["published"], *keys["withheld"]}, key=key_order, reverse=True)[:N_PARTITIONS]
        known = {key: key in keys["empty"] for key in newest_keys}
        withheld = tuple(key for key in newest_keys if key in keys["withheld"])
        matured, value = quality.get(model, (None, None))
        return ModelState(
            model=model,
            champion=champion,
            newest=newest.get(model),
            quality=value,
            matured=matured,
            examined=examined,
            n_unexamined=n_unexamined,
            failures=tuple(failures[model]),
            alerts=tuple(alerts[model]),
            timeliness=None
            if spec is None
            else judge_timeliness(spec, known, champion is not None, as_of, N_PARTITIONS, withheld=withheld),
            floor=_floor(spec, champion),
            withheld=withheld,
        )

    return tuple(state(model, **found[model]) for model in models)


def newest_spec(cursor: Cursor, model: str) -> ModelSpec | None:
    """Return the spec of a model's newest run; None if it has never run, or its spec is one of another version."""
    return _specs(cursor, [model]).get(model)


def _specs(cursor: Cursor, models: Sequence[str]) -> dict[str, ModelSpec | None]:
    execute(cursor, "newest_specs", models=list(models))
    return {model: _spec(bytes(content)) for model, content in cursor.fetchall()}


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


def _by_model(cursor: Cursor, name: str, make: Callable[..., Row], **values: Any) -> defaultdict[str, list[Row]]:
    """Run a statement about some models, and return what its rows become, by model."""
    execute(cursor, name, **values)
    found = defaultdict[str, list[Row]](list)
    for row in fetch_dicts(cursor):
        found[row.pop("model")].append(make(**row))
    return found


def _failures(cursor: Cursor, models: Sequence[str], limit: int | None) -> defaultdict[str, list[FailedStep]]:
    return _by_model(cursor, "failed_steps", FailedStep, models=list(models), limit=limit)


def _quality(cursor: Cursor, champions: Mapping[str, StandingRelease]) -> dict[str, tuple[str, MetricValue]]:
    """Return each model's newest matured partition with the figure of its champion's metric."""
    metrics = [champion.metric for champion in champions.values()]
    execute(cursor, "newest_quality", models=list(champions), metrics=metrics)
    return {row.pop("model"): (row.pop("partition"), MetricValue(**row)) for row in fetch_dicts(cursor)}


def _partitions(
    cursor: Cursor, models: Sequence[str], limit: int, partition: str | None = None
) -> defaultdict[str, list[PublishedPartition]]:
    of = {"models": list(models), "partition": partition, "limit": limit}
    return _by_model(cursor, "newest_partitions", _partition, **of)


def _partition(**row: Any) -> PublishedPartition:
    name, value, low, high, n = (row.pop(column) for column in ("name", "value", "low", "high", "n"))
    estimate, least, most = (row.pop(f"estimate{end}") for end in ("", "_low", "_high"))
    return PublishedPartition(
        realised=None if value is None else MetricValue(name=name, value=value, low=low, high=high, n=n),
        estimated=None if estimate is None else MetricValue(name="estimated", value=estimate, low=least, high=most),
        **row,
    )


def _releases(
    cursor: Cursor, models: Sequence[str], *, serving: bool = False
) -> defaultdict[str, list[StandingRelease]]:
    of = {"models": list(models), "serving": serving, "limit": N_RELEASES}
    return _by_model(cursor, "standing_releases", StandingRelease, **of)


def _drift(cursor: Cursor, model: str, partitions: list[str]) -> tuple[FeatureDrift, ...]:
    execute(cursor, "feature_drift", model=model, partitions=partitions, limit=N_FEATURES)
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
