"""Where the tasks of a kind of DAG run, and what they are given: by settings, so that no DAG file has to be changed.

The environment of the DAG processor decides, since that is where DAGs are made. For ``train``, ``predict`` and, with
``DEFAULT``, for all other kinds:

==============================  ==========================================================================
``TIDEMILL_TRAIN_QUEUE``        queue that Celery keeps the tasks in
``TIDEMILL_TRAIN_POOL``         Airflow's pool that they take a slot of
``TIDEMILL_TRAIN_CPU``          processors that a pod of theirs asks for, such as ``4`` or ``500m``
``TIDEMILL_TRAIN_MEMORY``       memory that it asks for and may not exceed, such as ``16Gi``
==============================  ==========================================================================
"""

import os
import re
from typing import Any

from tidemill.errors import SettingsError

__all__ = ["KINDS", "queue_of", "task_arguments"]

KINDS = ("train", "predict", "default")
"""What settings tell apart: a training that takes hours never stands before a day's predictions."""

_FORMS = {
    "QUEUE": r"[\w.-]{1,250}",
    "POOL": r"[\w. -]{1,250}",
    "CPU": r"\d+(\.\d+)?m?",
    "MEMORY": r"\d+(\.\d+)?([kMGT]|[KMGT]i)?",
}


def task_arguments(verb: str) -> dict[str, Any]:
    """Return the default arguments of the tasks of a DAG.

    Parameters
    ----------
    verb : str
        What the DAG does; one that is no kind of its own counts as ``default``.

    Raises
    ------
    SettingsError
        If a setting is malformed.
    """
    kind = verb if verb in KINDS else "default"
    pool, cpu, memory = (_setting(kind, name) for name in ("POOL", "CPU", "MEMORY"))
    arguments: dict[str, Any] = {"queue": queue_of(kind)}
    if pool:
        arguments["pool"] = pool
    if cpu or memory:
        arguments["executor_config"] = {"pod_override": _pod(cpu, memory)}
    return arguments


def queue_of(kind: str) -> str:
    """Return the queue of a kind: its own name, unless a setting says otherwise."""
    return _setting(kind, "QUEUE") or kind


def _setting(kind: str, name: str) -> str:
    variable = f"TIDEMILL_{kind.upper()}_{name}"
    given = os.environ.get(variable, "")
    if given and not re.fullmatch(_FORMS[name], given):
        raise SettingsError(
            f"{variable} is {given!r}, which is no {name.lower()} that Airflow takes.", "Correct it, or unset it."
        )
    return given


def _pod(cpu: str, memory: str) -> Any:
    """Return what is laid over the pod of the template: of its container ``base``, the resources alone.

    Processors are asked for without a limit, since one that is idle on the node may as well be used.
    """
    try:
        from kubernetes.client import models
    except ImportError:
        raise SettingsError(
            "Pods are given processors or memory by a setting, and the package 'kubernetes' is not installed.",
            "Install tidemill[cluster] where the DAG processor runs, or take the settings away.",
        ) from None
    asked = {name: value for name, value in (("cpu", cpu), ("memory", memory)) if value}
    resources = models.V1ResourceRequirements(requests=asked, limits={"memory": memory} if memory else None)
    return models.V1Pod(spec=models.V1PodSpec(containers=[models.V1Container(name="base", resources=resources)]))
