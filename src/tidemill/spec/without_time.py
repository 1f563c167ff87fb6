"""What a spec may say about time if its rows have none."""

from tidemill.intervals import Every
from tidemill.spec.data import Partitions
from tidemill.spec.folds import Folds
from tidemill.spec.operation import Predict
from tidemill.spec.training import Train

__all__ = ["require_no_folds", "require_no_time"]


def require_no_folds(train: Train) -> None:
    """Refuse folds where rows have a time.

    Raises
    ------
    ValueError
        If there are any.
    """
    if train.folds != Folds():
        raise ValueError(
            "train.folds is for event_time: none; with a time, sets are cut by train.validation and train.test"
        )


def require_no_time(train: Train, partitions: Partitions, predict: Predict) -> None:
    """Refuse lengths and offsets of time where rows have no time.

    Raises
    ------
    ValueError
        About the first.
    """
    lengths = {"window": train.window, "validation": train.validation, "test": train.test}
    changed = [name for name, length in lengths.items() if length != Train.model_fields[name].default]
    if changed:
        raise ValueError(
            f"train.{changed[0]} is a length of time, and event_time is none: rows are divided by their keys; write "
            "'train: {folds: {validation: 20, test: 20}}', in folds of 100"
        )
    if train.refit:
        raise ValueError(
            "train.refit: without a time, no row is left on which a model fitted on all rows could be measured; leave it out"
        )
    if predict.offset:
        raise ValueError("predict.offset: rows without a time belong to the partition of the run; write 0")
    if predict.lookback:
        raise ValueError("predict.lookback: the table of an earlier day cannot be read again; leave it out")
    if partitions.cutoff:
        raise ValueError("partitions.cutoff: rows without a time are read as they are; leave it out")
    if partitions.every is Every.HOUR:
        raise ValueError("partitions.every: with event_time none, a partition is a day or longer")
