"""The gate's second look: a release in the shadow against the champion, on the labels of days that both have scored."""

from collections.abc import Sequence

import numpy as np

from tidemill.metrics.sequential import LEAST, confidence_sequence
from tidemill.records import Decision, Role, Shadow, Verdict, significant

__all__ = ["decide_shadow"]


def decide_shadow(shadow: Shadow, gains: Sequence[float], *, over: bool, unit: str = "day") -> Decision:
    """Decide whether a release in the shadow replaces the champion, after any block of time.

    Parameters
    ----------
    gains : sequence of float
        By how much the release in the shadow was better than the champion on each block, in the acceptance metric.
    over : bool
        Whether no further block will come.

    Returns
    -------
    Decision
        ``accept`` replaces the champion, ``reject`` does not, and ``not_enough_evidence`` waits for the next block. A
        challenger is accepted if it is shown to be no worse by the margin, a predecessor if it is shown to be better by
        more than the margin.
    """
    low, high = confidence_sequence(gains)
    challenges = shadow.role is Role.CHALLENGER
    bar = -shadow.margin if challenges else shadow.margin
    lost = high < 0 if challenges else high < shadow.margin
    figures = _figures(gains, low, high, unit)
    what = f"release {shadow.release_id} minus release {shadow.against}, the champion, is {figures}"
    if low > bar:
        said = "not worse by" if challenges else "better by more than"
        return _decision(Verdict.ACCEPT, f"{what}: {said} {significant(shadow.margin, 4)}.")
    if lost:
        said = "worse" if challenges else f"not better by more than {significant(shadow.margin, 4)}"
        return _decision(Verdict.REJECT, f"{what}: {said}.")
    if over:
        return _decision(Verdict.REJECT, f"{what}: its time is over, and this is not enough to replace the champion.")
    return _decision(Verdict.NOT_ENOUGH_EVIDENCE, f"{what}: not enough to decide yet.")


def _figures(gains: Sequence[float], low: float, high: float, unit: str) -> str:
    if len(gains) < LEAST:
        return f"known for {len(gains)} {unit}s, of at least {LEAST}"
    mean = float(np.mean(gains))
    return f"{mean:+.4f} ({low:+.4f} to {high:+.4f}, at all looks together) over {len(gains)} {unit}s"


def _decision(verdict: Verdict, reason: str) -> Decision:
    return Decision(kind="shadow", verdict=verdict, reasons=(f"In the shadow, {reason}",))
