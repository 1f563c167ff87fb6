"""Lineage: from one published row back to everything that stands behind it."""

from typing import Any

from tidemill.errors import NotPublished
from tidemill.warehouse.connections import transaction

__all__ = ["trace"]

_ANSWERS = {
    "binary": ("score", "predicted_label", "reasons"),
    "multiclass": ("predicted_label", "score", "probabilities", "reasons"),
    "regression": ("prediction", "low", "high", "reasons"),
}
"""What a row answers, under the names of its view."""

_HOPS = """
    SELECT row.entity_key, row.event_time, run.task, row.score, row.score AS prediction,
           coalesce(to_jsonb(row.predicted), to_jsonb(row.score >= run.threshold)) AS predicted_label, row.probabilities,
           row.low, row.high, row.reasons, run.prediction_run_id, run.token, run.published_at, run.simulated, run.checksum,
           scored.digest AS scoring_snapshot, scored.cutoff AS scoring_cutoff, scored.query_digest AS scoring_query,
           step.code_version AS scoring_code, step.spec_digest AS scoring_spec, step.lock_digest AS scoring_lock,
           release.release_id, release.estimator, release.partition AS trained_as_of, release.bundle_digest,
           release.metric || ' ' || round(release.metric_value::numeric, 4) AS evidence,
           trained.digest AS training_snapshot, trained.start_at AS training_start, trained.end_at AS training_end,
           trained.n_rows AS training_rows, trained.query_digest AS training_query, release.split_digest,
           release.code_version AS training_code, release.spec_digest AS training_spec,
           release.lock_digest AS training_lock, decision.decision_id, decision.verdict,
           decision.reasons[1] AS first_reason, live.deployment_id, live.kind AS deployed_by, live.approved_by,
           live.reason AS deployed_because, live.deployed_at
    FROM tidemill.published pointer
    JOIN tidemill.prediction_run run USING (prediction_run_id)
    JOIN tidemill.prediction row ON row.model = pointer.model AND row.partition = pointer.partition
                                AND row.prediction_run_id = pointer.prediction_run_id
    JOIN tidemill.snapshot scored ON (scored.model, scored.digest) = (run.model, run.snapshot_digest)
    LEFT JOIN tidemill.run step ON step.run_id = run.run_id
    JOIN tidemill.release release ON release.release_id = run.release_id
    JOIN tidemill.snapshot trained ON (trained.model, trained.digest) = (release.model, release.snapshot_digest)
    JOIN tidemill.decision decision ON decision.decision_id = release.decision_id
    LEFT JOIN LATERAL (SELECT * FROM tidemill.deployment d
                       WHERE d.release_id = release.release_id ORDER BY d.deployment_id LIMIT 1) live ON true
    WHERE pointer.model = %(model)s AND pointer.partition = %(partition)s AND row.entity_key = %(entity_key)s"""


def trace(url: str, model: str, entity_key: str, partition: str) -> dict[str, Any]:
    """Return one published row: its answer, and its run, data, query, code, packages, release, evidence and approver.

    Parameters
    ----------
    url : str
        Connection; any role may read.
    model, entity_key, partition : str
        The row.

    Raises
    ------
    NotPublished
        If there is no such row.
    """
    with transaction(url) as cursor:
        cursor.execute(_HOPS, {"model": model, "partition": partition, "entity_key": entity_key})
        row = cursor.fetchone()
        names = [column.name for column in cursor.description or ()]
    if row is None:
        raise NotPublished(
            f"Partition {partition!r} of {model!r} has no published row {entity_key!r}.",
            f"Look at predictions.{model} for the rows that there are.",
        )
    found = dict(zip(names, row, strict=True))
    others = {name for answers in _ANSWERS.values() for name in answers}.difference(_ANSWERS[found["task"]])
    return {name: value for name, value in found.items() if name not in others}
