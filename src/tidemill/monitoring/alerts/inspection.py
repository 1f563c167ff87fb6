"""Whether a sealed run may be published, from the findings that monitoring would report about it. Pure functions: no I/O.

A finding withholds the run if it would open an alert by itself, and its family says that readers would be misled. So one
set of thresholds serves both: what `monitor` opens an alert about on the first day, `inspect` keeps from readers.
"""

from collections.abc import Callable, Sequence

from tidemill.monitoring.alerts.families import FAMILIES
from tidemill.monitoring.drift import detect_score_drift
from tidemill.monitoring.profile import ColumnProfile
from tidemill.records import Alert, Decision, MetricValue, Severity, Verdict

__all__ = ["MIN_PAST", "compare_with_previous", "decide_publication", "withheld_alert", "withholds"]

MIN_PAST = 4  # published partitions: with fewer, nothing is usual yet (as for the usual rows)
MOST_NAMED = 3  # findings in a message


def withholds(found: Alert) -> bool:
    """Return whether findings of this family may withhold a run."""
    return found.family in FAMILIES and FAMILIES[found.family].withholds


def decide_publication(findings: Sequence[Alert], opens_at_once: Callable[[Alert], bool], *, n_past: int) -> Decision:
    """Decide whether a run is published or withheld.

    Parameters
    ----------
    findings : sequence of Alert
        What monitoring would report, of the families that withhold.
    opens_at_once : callable
        Whether a finding opens an alert without the same finding in other partitions.
    n_past : int
        Partitions that were published before.

    Returns
    -------
    Decision
        Of kind ``inspect``: ``reject`` withholds the run; ``not_enough_evidence`` publishes it, as does ``accept``, and
        names what was found.

    Examples
    --------
    >>> decide_publication([], lambda found: True, n_past=28).reasons
    ('Nothing unusual, compared with 28 earlier partition(s).',)
    """
    grave = [found for found in findings if opens_at_once(found)]
    said = tuple(found.message for found in findings)
    if n_past < MIN_PAST:
        few = f"Only {n_past} earlier partition(s) are published; from {MIN_PAST} on, unusual rows are withheld."
        return Decision(kind="inspect", verdict=Verdict.NOT_ENOUGH_EVIDENCE, reasons=(few, *said))
    if grave:
        reasons = (*(found.message for found in grave), *(item.message for item in findings if item not in grave))
        return Decision(kind="inspect", verdict=Verdict.REJECT, reasons=reasons)
    nothing = f"Nothing unusual, compared with {n_past} earlier partition(s)."
    return Decision(kind="inspect", verdict=Verdict.ACCEPT, reasons=said or (nothing,))


def compare_with_previous(
    previous: ColumnProfile, now: ColumnProfile, *, same_release: bool, psi_threshold: float
) -> tuple[MetricValue, ...]:
    """Return figures about the agreement of a run with the visible run of the same partition.

    Parameters
    ----------
    previous, now : ColumnProfile
        Scores or predicted classes of both runs, counted into the same bins.
    same_release : bool
        Whether one release scored both; scores of different releases may differ.
    psi_threshold : float
        Stability index from which the scores have drifted.

    Returns
    -------
    tuple of MetricValue
        ``previous_rows_ratio``, the factor between the numbers of rows, at least 1; and with the same release
        ``previous_score_psi`` and its threshold.
    """
    if not previous.n or not now.n:
        return ()
    ratio = MetricValue(name="previous_rows_ratio", value=max(now.n / previous.n, previous.n / now.n), n=now.n)
    if not same_release:
        return (ratio,)
    scores = detect_score_drift(previous, now, psi_threshold=psi_threshold)
    wanted = ("score_psi", "score_psi_threshold")
    return (
        ratio,
        *(MetricValue(name=f"previous_{m.name}", value=m.value, n=m.n) for m in scores if m.name in wanted),
    )


def withheld_alert(model: str, partition: str, reasons: Sequence[str]) -> Alert:
    """Return the alert about a run that waits for a person."""
    more = f" And {len(reasons) - MOST_NAMED} more." if len(reasons) > MOST_NAMED else ""
    return Alert(
        rule=f"withheld:{partition}",
        severity=Severity.FAIL,
        message=(
            f"New rows of partition {partition} are withheld; readers do not see them. {' '.join(reasons[:MOST_NAMED])}{more} "
            f"If the rows are right: 'tidemill publish {model} {partition} --reason …'. If not, 'tidemill discard {model} "
            f"{partition} --reason …', fix the source, and predict the partition again."
        ),
        value=float(len(reasons)),
        threshold=0.0,
    )
