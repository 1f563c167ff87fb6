"""One object per task type: every decision of the modeling room that depends on the kind of answer."""

from tidemill.modeling.tasks.binary import Binary
from tidemill.modeling.tasks.multiclass import Multiclass
from tidemill.modeling.tasks.regression import Regression
from tidemill.modeling.tasks.task_type import MAX_CLASSES, MIN_TRAIN_ROWS, Classes, TaskType

__all__ = [
    "MAX_CLASSES",
    "MIN_TRAIN_ROWS",
    "TASKS",
    "Binary",
    "Classes",
    "Multiclass",
    "Regression",
    "TaskType",
    "task_type",
]

TASKS: dict[str, TaskType] = {task.name: task for task in (Binary(), Multiclass(), Regression())}
"""The task types by name, as specs and bundles write it."""


def task_type(name: str) -> TaskType:
    """Return the object of a task's name.

    Raises
    ------
    ValueError
        If there is no such task.

    Examples
    --------
    >>> task_type("regression").has_classes
    False
    """
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}; tasks are {', '.join(TASKS)}")
    return TASKS[name]
