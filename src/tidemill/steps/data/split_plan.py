"""Where a training window is cut into train, validation and test set: by time; without one, by folds of the keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tidemill.errors import NotTrainable
from tidemill.intervals import Partition
from tidemill.spec import N_FOLDS, Folds, ModelSpec, fold_start

__all__ = ["SplitPlan", "plan_folds", "plan_split"]

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPlan:
    """Where the window is cut: for each set its first instant and the first instant after it."""

    train_start: datetime
    """First instant of the train set."""
    train_end: datetime
    """First instant after it; labels of later partitions were not known when validation begins."""
    validation_start: datetime
    """First instant of the validation set."""
    validation_end: datetime
    """First instant after it; labels of later partitions were not known when the test set begins."""
    test_start: datetime
    """First instant of the test set."""
    test_end: datetime
    """First instant after the test set; later partitions have not matured."""

    def set_of(self, start: datetime) -> str | None:
        """Return the set that a partition belongs to, by its start; None if it lies in a gap or has not matured."""
        bounds = {
            "train": (self.train_start, self.train_end),
            "validation": (self.validation_start, self.validation_end),
            "test": (self.test_start, self.test_end),
        }
        return next((name for name, (first, end) in bounds.items() if first <= start < end), None)


def plan_folds(folds: Folds) -> SplitPlan:
    """Cut the folds of rows without a time: the last ones are the test set, in every training."""
    validation, test, end = (
        fold_start(number) for number in (folds.n_train, folds.n_train + folds.validation, N_FOLDS)
    )
    return SplitPlan(
        train_start=fold_start(0),
        train_end=validation,
        validation_start=validation,
        validation_end=test,
        test_start=test,
        test_end=end,
    )


def plan_split(spec: ModelSpec, partitions: tuple[Partition, ...], cutoff: datetime) -> SplitPlan:
    """Cut a window so that each set holds only labels that were known when the next set begins.

    Otherwise labels that look 30 days ahead would leak the days of the test set into the train set (purging: López de
    Prado, *Advances in Financial Machine Learning*, 2018, section 7.4.1).

    Parameters
    ----------
    spec : ModelSpec
        Lengths of the sets, and the time that labels take.
    partitions : tuple of Partition
        The window, oldest first.
    cutoff : datetime
        Instant as of which labels are known.

    Raises
    ------
    NotTrainable
        If no partition is left for one of the sets. Validation and test have at least one partition each, even one that is
        longer than the spec says.
    """
    mature = _known(spec, partitions, cutoff)
    test = _newest(mature, spec.train.test)
    validation = _newest(_known(spec, _before(mature, test), test[0].cutoff), spec.train.validation) if test else []
    train = _known(spec, _before(mature, validation), validation[0].cutoff) if validation else []
    if not train:
        raise _too_short(spec, len(mature), cutoff)
    return SplitPlan(
        train_start=train[0].interval.start,
        train_end=train[-1].interval.end,
        validation_start=validation[0].interval.start,
        validation_end=validation[-1].interval.end,
        test_start=test[0].interval.start,
        test_end=test[-1].interval.end,
    )


def _known(spec: ModelSpec, partitions: Sequence[Partition], instant: datetime) -> list[Partition]:
    """Return the partitions whose labels are known at an instant."""
    return [item for item in partitions if item.due(spec.label.matures_after) <= instant]


def _newest(partitions: Sequence[Partition], length: timedelta) -> list[Partition]:
    """Return the newest partitions that begin within a duration, at least the last one."""
    if not partitions:
        return []
    last = partitions[-1]
    start = min(last.shift(last.interval.end, -length), last.interval.start)
    return [item for item in partitions if item.interval.start >= start]


def _before(partitions: Sequence[Partition], later: Sequence[Partition]) -> list[Partition]:
    return [item for item in partitions if item.interval.start < later[0].interval.start]


def _too_short(spec: ModelSpec, n_mature: int, cutoff: datetime) -> NotTrainable:
    gaps = (
        f", and the gap of {spec.label.matures_after / DAY:g} days before each of them, in which labels were not known yet,"
        if spec.label.matures_after
        else ""
    )
    return NotTrainable(
        f"Only {n_mature} partition(s) of {spec.model!r} have matured by {cutoff:%Y-%m-%d %H:%M %Z}; "
        f"validation ({spec.train.validation / DAY:g} days) and test ({spec.train.test / DAY:g} days){gaps} leave nothing "
        "to train on.",
        "Train as of a later partition, lengthen train.window, or shorten train.validation and train.test.",
    )
