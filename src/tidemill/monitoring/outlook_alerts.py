"""What an estimate, a lasting change or a recomputed row makes worth an alert."""

from collections.abc import Sequence

from tidemill.monitoring.change import LIMIT, Change
from tidemill.monitoring.estimate import PREFIX
from tidemill.records import Alert, MetricValue, Severity

__all__ = ["change_alerts", "estimate_alerts", "skew_alerts"]

SKEWED = 0.01  # share of rows below which late corrections of single rows are left alone


def estimate_alerts(
    estimates: Sequence[MetricValue], *, metric: str, floor: float | None, greater_is_better: bool = True
) -> tuple[Alert, ...]:
    """Warn if the whole interval of the estimate lies beyond the floor.

    Parameters
    ----------
    estimates : sequence of MetricValue
        From ``estimate``.
    metric : str
        Acceptance metric.
    floor : float or None
        Least quality, or greatest error; None for no floor.
    greater_is_better : bool, default True
        False for errors and losses.
    """
    found = next((item for item in estimates if item.name == PREFIX + metric), None)
    if found is None or floor is None:
        return ()
    nearest = found.high if greater_is_better else found.low
    if nearest is None or (nearest >= floor if greater_is_better else nearest <= floor):
        return ()
    return (
        Alert(
            rule=f"estimate:{metric}",
            severity=Severity.WARN,
            message=(
                f"Before its labels, {metric} of this partition is estimated at {found.value:.3f} (interval "
                f"{found.low:.3f} to {found.high:.3f}), beyond {floor:.3f}. Look at what drifted; act on the scores "
                f"with care until the labels tell."
            ),
            value=found.value,
            threshold=floor,
        ),
    )


def change_alerts(change: Change | None, *, loss: str) -> tuple[Alert, ...]:
    """Warn of a lasting rise of the loss, with the day since when."""
    if change is None or change.statistic <= LIMIT:
        return ()
    return (
        Alert(
            rule=f"change:{loss}",
            severity=Severity.WARN,
            message=(
                f"Since {change.since} the daily {loss} is {change.rise:.3f} above what it was at acceptance, too long "
                f"for chance (certain since {change.detected}). What happened on {change.since}? If the world has "
                f"changed, retrain."
            ),
            value=change.statistic,
            threshold=LIMIT,
        ),
    )


def skew_alerts(figures: Sequence[MetricValue], partition: str) -> tuple[Alert, ...]:
    """Warn of columns whose recomputed values differ from those that were scored."""
    return tuple(
        Alert(
            rule=f"skew:{item.feature or 'rows'}",
            severity=Severity.WARN,
            message=(
                f"{f'Feature {item.feature!r}' if item.feature else 'The set of rows'} of partition {partition} is another "
                f"today than when it was scored, in {item.value:.1%} of {item.n:,} rows: with the same cutoff, the query "
                f"must give the same. Let it count only what was observed by :cutoff."
            ),
            value=item.value,
            threshold=SKEWED,
        )
        for item in figures
        if item.value > SKEWED
    )
