"""Withheld runs: sealed rows that no reader sees until a person, or the declared fallback, decides.

Withholding changes the run's status only; nothing is copied. Publishing a withheld run moves the pointer as any publication
does, in the transaction that records who decided and why.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tidemill.errors import NotPublished
from tidemill.faults import fault_point
from tidemill.records import Decision, PredictionRef, Verdict
from tidemill.warehouse.connections import Cursor, fetch_all, fetch_value, transaction
from tidemill.warehouse.predictions.pointer import mark_stale, stale_attempt
from tidemill.warehouse.statements import execute

__all__ = ["WithheldRun", "Withholding"]

STALE = -1  # no decision has this id


@dataclass(frozen=True, slots=True, kw_only=True)
class WithheldRun:
    """A run that waits for a person."""

    model: str
    partition: str
    prediction_run_id: int
    """Row in ``tidemill.prediction_run``."""
    release_id: int
    token: int
    """Claim on the partition; a newer claim makes this run stale."""
    n_rows: int
    """Rows written."""
    n_set_aside: int
    """Rows that were set aside instead."""
    checksum: str
    """Exclusive or of the hashes of all keys and answers."""
    mean_score: float | None
    """Mean of the scores; None if there are no rows."""
    reasons: tuple[str, ...]
    """One sentence per finding."""
    rules: tuple[str, ...]
    """Alert rules that withhold it."""
    requested_by: str
    """Person who started the run; empty if the schedule did."""
    run_id: int
    """Step that inspected it, a row in ``tidemill.run``."""
    since: datetime
    """When it was withheld."""

    @property
    def prediction(self) -> PredictionRef:
        """The rows as a publication takes them."""
        return PredictionRef(**{name: getattr(self, name) for name in PredictionRef.__slots__ if hasattr(self, name)})


@dataclass(frozen=True, slots=True)
class Withholding:
    """The writer's view of withheld runs."""

    url: str
    """Connection of the role ``tidemill_writer``."""

    def known(self, prediction_run_id: int) -> Decision | None:
        """Return the newest decision about a run that was withheld; None for a run that never was.

        Returns
        -------
        Decision or None
            Of kind ``inspect`` while the run waits, of kind ``publish`` once somebody has decided.
        """
        with transaction(self.url) as cursor:
            execute(cursor, "run_state", prediction_run_id=prediction_run_id)
            row = cursor.fetchone()
        if row is None or row[-1] is None:
            return None
        _, kind, verdict, reasons, decision_id = row
        return Decision(kind=kind, verdict=Verdict(verdict), reasons=tuple(reasons), decision_id=decision_id)

    def withhold(
        self, prediction: PredictionRef, decision: Decision, evidence: Mapping[str, Any], run_id: int
    ) -> Decision:
        """Withhold a written run, and return the recorded decision; the pointer of the partition does not move.

        Raises
        ------
        StaleAttempt
            If a newer attempt has claimed the partition.
        NotPublished
            If the run is not written.
        """
        values = {"reasons": list(decision.reasons), "evidence": json.dumps(evidence), "run_id": run_id}
        with transaction(self.url) as cursor:
            decision_id = _change(cursor, "withhold", prediction, values)
            fault_point("withhold-before-commit")
        fault_point("withhold-after-commit")
        return _recorded(decision, prediction, decision_id)

    def resolve(
        self, prediction: PredictionRef, decision: Decision, *, marked: bool = False, run_id: int | None = None
    ) -> Decision:
        """Publish a withheld run if a decision accepts it, discard it if not, and return the recorded decision.

        Raises
        ------
        StaleAttempt
            If a newer attempt has claimed the partition.
        NotPublished
            If the run is no longer withheld.
        """
        values = {
            "verdict": decision.verdict.value,
            "reasons": list(decision.reasons),
            "by": decision.by,
            "marked": marked,
            "run_id": run_id,
        }
        with transaction(self.url) as cursor:
            decision_id = _change(cursor, "resolve", prediction, values)
            fault_point("resolve-before-commit")
        fault_point("resolve-after-commit")
        return _recorded(decision, prediction, decision_id)

    def runs(self, model: str, partition: str | None = None) -> tuple[WithheldRun, ...]:
        """Return the withheld runs of a model, or of one of its partitions, in order of key."""
        with transaction(self.url) as cursor:
            execute(cursor, "withheld_runs", model=model, partition=partition)
            found = fetch_all(cursor, WithheldRun)
        return tuple(replace(run, reasons=tuple(run.reasons), rules=tuple(run.rules)) for run in found)


def _change(cursor: Cursor, statement: str, prediction: PredictionRef, values: Mapping[str, Any]) -> int | None:
    """Run a change under the claim's lock; return its decision, None if it does not apply, or STALE."""
    execute(cursor, "lock_claim", model=prediction.model, partition=prediction.partition)
    if cursor.fetchone() != (prediction.token,):
        mark_stale(cursor, prediction)
        return STALE
    execute(cursor, statement, prediction_run_id=prediction.prediction_run_id, **values)
    found: int | None = fetch_value(cursor)
    return found


def _recorded(decision: Decision, prediction: PredictionRef, decision_id: int | None) -> Decision:
    if decision_id == STALE:
        raise stale_attempt(prediction)
    if decision_id is None:
        raise NotPublished(
            f"Prediction run {prediction.prediction_run_id} of {prediction.model!r}, partition {prediction.partition!r}, "
            "is not in the state that this decision is about.",
            f"See 'tidemill history {prediction.model}' for what is withheld; predict the partition again if needed.",
        )
    return replace(decision, decision_id=decision_id)
