"""Folds for search: cut by time, each measured on partitions whose labels were still to come when it was fitted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from tidemill.errors import NotTrainable
from tidemill.intervals import Partition
from tidemill.spec import Window

__all__ = ["Fold", "cut_folds"]

_MEASURED = (
    0.5  # share of all partitions that the folds are measured on at most: the oldest fold needs the rest to learn
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One cut, by keys of partitions in order of time."""

    train: tuple[str, ...]
    """What it is fitted on."""
    validation: tuple[str, ...]
    """What it is measured on, all later."""


def cut_folds(
    partitions: Sequence[Partition], n_folds: int, n_measured: int, gap: timedelta, window: Window = Window.EXPANDING
) -> tuple[Fold, ...]:
    """Cut folds, oldest first; their measured partitions follow each other and end with the newest.

    Parameters
    ----------
    partitions : sequence of Partition
        Train and validation set, oldest first. The test set has no business here.
    n_folds : int
        Number of folds, from 1.
    n_measured : int
        Partitions that each fold is measured on, from 1; fewer if all folds together would be measured on more than
        half of all partitions.
    gap : timedelta
        Time that labels take: a fold learns from partitions that had matured at the cutoff of the first one measured.
    window : Window, default expanding
        Fitted on all that came before, or on as many partitions as the first fold.

    Raises
    ------
    NotTrainable
        If there are too few partitions.

    Examples
    --------
    >>> from tidemill.intervals import Every
    >>> days = [Every.DAY.of(f"2013-07-{day:02}", "UTC") for day in range(1, 11)]
    >>> for fold in cut_folds(days, 2, 2, timedelta(days=1)):
    ...     print(fold.train[0], fold.train[-1], fold.validation)
    2013-07-01 2013-07-05 ('2013-07-07', '2013-07-08')
    2013-07-01 2013-07-07 ('2013-07-09', '2013-07-10')
    """
    size = min(n_measured, int(len(partitions) * _MEASURED) // n_folds)
    starts = [len(partitions) - size * back for back in range(n_folds, 0, -1)]
    trains = [_matured(partitions[:start], partitions[start], gap) for start in starts if size]
    if not trains or not trains[0]:
        raise NotTrainable(
            f"{len(partitions)} partition(s) of train and validation set are too few for {n_folds} folds "
            f"with a gap of {gap}.",
            "Lengthen train.window, or lower train.search.folds.",
        )
    longest = len(trains[0]) if window is Window.SLIDING else len(partitions)
    return tuple(
        Fold(train=train[-longest:], validation=tuple(item.key for item in partitions[start : start + size]))
        for start, train in zip(starts, trains, strict=True)
    )


def _matured(earlier: Sequence[Partition], first: Partition, gap: timedelta) -> tuple[str, ...]:
    return tuple(item.key for item in earlier if item.due(gap) <= first.cutoff)
