"""Evidence for the ML Test Score, read from the ledger. The role ``tidemill_reader`` suffices."""

from datetime import timedelta

from tidemill.metrics.definitions import greater_is_better
from tidemill.monitoring.alerts.rules import SKEWED
from tidemill.records import Evidence, Scorecard
from tidemill.score.lines import LINES, Line
from tidemill.score.points import Standard, score_line
from tidemill.spec import ModelSpec
from tidemill.warehouse.connections import Cursor, fetch_dicts, fetch_value
from tidemill.warehouse.statements import execute

__all__ = ["read_scorecard"]


def read_scorecard(cursor: Cursor, spec: ModelSpec) -> Scorecard:
    """Return the ML Test Score of a model, by the ledger's clock.

    Parameters
    ----------
    cursor : Cursor
        A cursor in the transaction that reads the ledger.
    spec : ModelSpec
        The model: its attestations, and the limits that evidence is compared with.
    """
    execute(cursor, "now")
    standard = Standard(spec=spec, now=fetch_value(cursor))
    lines = tuple(score_line(line, _evidence(cursor, spec, line), standard) for line in LINES)
    return Scorecard(model=spec.model, as_of=standard.now, lines=lines)


def _evidence(cursor: Cursor, spec: ModelSpec, line: Line) -> tuple[Evidence, ...]:
    """Return the newest row for each need of a line."""
    if not line.needs:
        return ()
    execute(
        cursor,
        f"score_{line.name}",
        model=spec.model,
        metric=spec.accept.metric,
        greater_is_better=greater_is_better(spec.accept.metric, spec.task),
        max_skew=SKEWED,
        max_age_days=spec.monitor.model_age / timedelta(days=1),
    )
    return tuple(Evidence.from_dict(row) for row in fetch_dicts(cursor))
