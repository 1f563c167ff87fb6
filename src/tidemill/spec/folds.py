"""Folds: how rows without a time are divided, by their keys instead of their days."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from tidemill.intervals import FOLD, Interval, Partition
from tidemill.spec.kinds import Part

__all__ = ["NO_TIME", "N_FOLDS", "STAMP", "Folds", "fold_block", "fold_key", "fold_start"]

NO_TIME = "none"
"""Value of ``event_time`` for rows that have no time."""
STAMP = "partition_start"
"""Column that rows without a time get instead: the start of the partition in which they were read."""
N_FOLDS = 100
"""Folds of all keys: each holds about one key in a hundred, and is a block in statistics."""
_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)  # folds have an order and no date: fold n stands at the n-th day from here


class Folds(Part):
    """How many of the 100 folds are kept back; only for ``event_time: none``."""

    validation: Annotated[int, Field(ge=5, le=45)] = 20
    """Folds of the validation set, before those of the test set."""
    test: Annotated[int, Field(ge=5, le=45)] = 20
    """Folds of the test set, the last ones."""

    @model_validator(mode="after")
    def _some_to_train_on(self) -> Self:
        if self.validation + self.test > N_FOLDS - 10:
            raise ValueError(f"validation and test leave fewer than 10 of {N_FOLDS} folds to train on")
        return self

    @property
    def n_train(self) -> int:
        """Folds of the train set, the first ones."""
        return N_FOLDS - self.validation - self.test


def fold_key(number: int) -> str:
    """Return the key of a fold.

    Examples
    --------
    >>> fold_key(7)
    'fold-07'
    """
    return f"{FOLD}{number:02}"


def fold_block(key: str) -> Partition:
    """Return a fold as a block of rows; its instants only give the order of folds."""
    number = int(key.removeprefix(FOLD))
    start = fold_start(number)
    return Partition(key=key, interval=Interval(start=start, end=fold_start(number + 1)), cutoff=start)


def fold_start(number: int) -> datetime:
    """Return the instant that stands for the beginning of a fold."""
    return _ORIGIN + timedelta(days=number)
