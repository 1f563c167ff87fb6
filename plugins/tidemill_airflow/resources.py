"""Queue, pool, processors and memory of a DAG's tasks, by settings, so that no DAG file has to change.

The environment of the DAG processor decides, since DAGs are created there. The settings exist for ``train``, for
``predict`` and, as ``DEFAULT``, for all other kinds:

==============================  ==========================================================================
``TIDEMILL_TRAIN_QUEUE``        Celery's queue of the tasks
``TIDEMILL_TRAIN_POOL``         Airflow's pool of the tasks
``TIDEMILL_TRAIN_CPU``          processors that a pod requests, such as ``4`` or ``500m``
``TIDEMILL_TRAIN_MEMORY``       memory that it requests and may not exceed, such as ``16Gi``
==============================  ==========================================================================

Tasks that decide which release serves wait in a queue of their own, ``register``, so that only its workers need the
promoter's password; ``TIDEMILL_REGISTER_QUEUE`` names another.
"""

import os
import re
from typing import Any

from tidemill.errors import SettingsError

__all__ = ["KINDS", "QUEUES", "queue_of", "task_arguments"]

KINDS = ("train", "predict", "default")
"""Kinds with settings of their own: a training that takes hours must never delay a day's predictions."""

QUEUES = (*KINDS, "register")
"""Kinds of queues: the workers of ``register`` are the only ones that need the promoter's connection."""

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
        Verb of the DAG; one without settings of its own counts as ``default``.

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
            f"{variable} is {given!r}, which is not a {name.lower()} that Airflow takes.", "Correct it, or unset it."
        )
    return given


def _pod(cpu: str, memory: str) -> Any:
    """Return the override of the template's pod: only the resources of its container ``base``.

    Processors are requested without a limit, so that the pod may use those that are idle on the node.
    """
    try:
        from kubernetes.client import models
    except ImportError:
        raise SettingsError(
            "A setting gives pods processors or memory, but the package 'kubernetes' is not installed.",
            "Install tidemill[cluster] where the DAG processor runs, or unset the settings.",
        ) from None
    asked = {name: value for name, value in (("cpu", cpu), ("memory", memory)) if value}
    resources = models.V1ResourceRequirements(requests=asked, limits={"memory": memory} if memory else None)
    return models.V1Pod(spec=models.V1PodSpec(containers=[models.V1Container(name="base", resources=resources)]))
