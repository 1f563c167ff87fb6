"""Releases in the shadow: what scores beside the champion, with what result."""

from dataclasses import dataclass, replace

from tidemill.faults import fault_point
from tidemill.records import Decision, Role, Shadow, Verdict
from tidemill.warehouse.connections import Cursor, fetch_all, fetch_one, fetch_value, transaction
from tidemill.warehouse.statements import execute

__all__ = ["ShadowRun", "Shadows", "running_shadow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowRun:
    """The rows that a release has scored in the shadow."""

    partition: str
    """Key of the partition."""
    snapshot_digest: str
    """Rows that were scored."""
    prediction_run_id: int
    """Row in ``tidemill.prediction_run``."""
    threshold: float | None
    """Score from which the positive class is predicted."""


def running_shadow(cursor: Cursor, model: str) -> Shadow | None:
    """Return what scores in the shadow of a model's champion, or None."""
    execute(cursor, "running_shadow", model=model)
    found = fetch_one(cursor, Shadow)
    return None if found is None else replace(found, role=Role(found.role))


@dataclass(frozen=True, slots=True)
class Shadows:
    """What scores in the shadow of each model's champion."""

    url: str
    """Connection; reading needs any role, starting and ending ``tidemill_promoter``."""

    def running(self, model: str) -> Shadow | None:
        """Return what scores in the shadow now, or None."""
        with transaction(self.url) as cursor:
            return running_shadow(cursor, model)

    def start(self, model: str, wanted: Shadow) -> bool:
        """Let a release score in the shadow; ``shadow_id`` is ignored.

        Returns
        -------
        bool
            False if another release does already, this judgement has had its time, or the champion is another.
        """
        with transaction(self.url) as cursor:
            execute(cursor, "start_shadow", model=model, **wanted.to_dict())
            started = fetch_value(cursor) is not None
            fault_point("shadow-before-commit")
        fault_point("shadow-after-commit")
        return started

    def end(self, shadow: Shadow, state: str) -> None:
        """Record that a release has ``won`` or ``lost`` in the shadow, or that the comparison is ``void``; the first counts."""
        with transaction(self.url) as cursor:
            execute(cursor, "end_shadow", shadow_id=shadow.shadow_id, state=state)

    def verdict(self, model: str, shadow: Shadow) -> Decision | None:
        """Return the decision that was recorded about a release in the shadow, or None."""
        with transaction(self.url) as cursor:
            execute(cursor, "shadow_verdict", model=model, shadow_id=shadow.shadow_id)
            row = cursor.fetchone()
        if row is None:
            return None
        verdict, reasons, decision_id = row
        return Decision(kind="shadow", verdict=Verdict(verdict), reasons=tuple(reasons), decision_id=decision_id)

    def runs(self, model: str, shadow: Shadow) -> dict[tuple[str, str], ShadowRun]:
        """Return the newest unpublished run of the release, by partition and digest of the snapshot."""
        with transaction(self.url) as cursor:
            execute(cursor, "shadow_runs", model=model, release_id=shadow.release_id)
            return {(run.partition, run.snapshot_digest): run for run in fetch_all(cursor, ShadowRun)}
