"""Folds for search, cut by time: each is measured on partitions whose labels arrive after its training cutoff."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from tidemill.errors import NotTrainable
from tidemill.intervals import Partition
from tidemill.spec import Window

__all__ = ["Fold", "cut_folds"]

_MEASURED = 0.5  # maximum share of partitions to measure on; the oldest fold is fitted on the rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One fold, as partition keys in order of time."""

    train: tuple[str, ...]
    """Partitions that it is fitted on."""
    validation: tuple[str, ...]
    """Partitions that it is measured on, all later."""


def cut_folds(
    partitions: Sequence[Partition], n_folds: int, n_measured: int, gap: timedelta, window: Window = Window.EXPANDING
) -> tuple[Fold, ...]:
    """Return folds, oldest first; their measured partitions are consecutive and end with the newest.

    Parameters
    ----------
    partitions : sequence of Partition
        Train and validation set, oldest first, without the test set.
    n_folds : int
        Number of folds, from 1.
    n_measured : int
        Partitions that each fold is measured on, from 1; fewer if the folds together would be measured on more than
        half of the partitions.
    gap : timedelta
        Delay of labels: a fold is fitted on partitions that had matured at the cutoff of its first measured one.
    window : Window, default expanding
        Whether to fit on all earlier partitions, or on as many as the first fold.

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
