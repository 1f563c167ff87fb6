"""The common parts of a model's DAGs: the spec files, and the DAG itself."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, get_parsing_context

from tidemill.errors import SpecError
from tidemill.intervals import Interval
from tidemill.spec import ModelSpec
from tidemill.spec_file import load_sound_specs, load_specs, read_spec, spec_paths
from tidemill_airflow.params import trigger_form
from tidemill_airflow.resources import task_arguments
from tidemill_airflow.retry import DEFAULT_ARGS
from tidemill_airflow.schedules import lifetime, timetable

__all__ = ["PURPOSE", "model_dag", "require_sound_specs", "specs_beside"]

PURPOSE = {
    "train": "Trains a challenger and lets the acceptance gate decide whether it becomes the champion.",
    "predict": "Scores one partition with the release that was live for it, and publishes the rows all at once.",
    "monitor": "Examines a partition's data, scores, matured quality and cost, and opens or resolves alerts.",
    "reproduce": "Builds a release again from its records in the ledger, and compares every step.",
    "rollback": "Makes an earlier champion the champion again, and takes back what the undone releases published.",
    "act": "Does what a person asks for by one short change of the ledger, and records who asked and why.",
    "retrain": "Decides whether a new challenger is due, triggers its training, and records what came of it.",
}
"""Purpose of each kind of DAG; a DAG's name is the model's and its kind."""
BY_HAND = {
    "rollback": """Trigger it with the release to go back to, or with none for the one before the champion, and with the
partitions whose rows are to be withdrawn.
The same from a shell: `tidemill rollback {spec.model} --reason …`.""",
    "act": """The console's buttons trigger it. By hand, choose an action, and fill in the fields that it takes.""",
}
"""Kinds of DAGs that no schedule runs, and how a person runs them."""
_FORTH = """By hand: trigger it with a partition key such as `{key}`, and leave the logical
date empty: Airflow gives a run dated after the DAG's end no task at all, and calls it a success.
Every run may be repeated; a repeated partition replaces its rows in one transaction. Only a run of a cancelled backfill
must not be cleared: Airflow would leave it queued forever. Mark it as failed, and trigger its partition by hand.
The same from a shell: `tidemill {verb} {spec.model} --partition …`."""


def specs_beside(dag_file: str) -> tuple[ModelSpec, ...]:
    """Return the specs of ``TIDEMILL_MODELS``, or of the folder ``models`` beside a DAG file.

    A spec with problems is left out, so that the DAGs of other models stay; ``require_sound_specs`` reports it. If
    Airflow asks for a single DAG, as it does for a task, only the spec of that DAG's model is read.
    """
    folder = _models(dag_file)
    model, _, verb = (get_parsing_context().dag_id or "").rpartition("_")
    own = folder / f"{model}.yaml"
    if verb not in PURPOSE or own not in spec_paths(folder):
        return tuple(load_sound_specs(folder))
    with suppress(SpecError):
        return (read_spec(own),)
    return ()


def require_sound_specs(dag_file: str) -> None:
    """Fail while a spec of that folder has problems.

    Raises
    ------
    SpecError
        With every problem of every file, and their lines.
    """
    load_specs(_models(dag_file))


@contextmanager
def model_dag(spec: ModelSpec, verb: str, *form: str, **arguments: Any) -> Iterator[DAG]:
    """Define a DAG of a model; its tasks are created inside the block.

    Parameters
    ----------
    verb : str
        A key of `PURPOSE`.
    *form : str
        Fields of the trigger form.
    **arguments
        Further arguments of the DAG.
    """
    cron = _cron(spec, verb)
    with DAG(
        dag_id=f"{spec.model}_{verb}",
        schedule=timetable(spec, cron),
        description=PURPOSE[verb],
        doc_md=_page(spec, verb),
        tags=["tidemill", spec.model, verb],
        default_args=DEFAULT_ARGS | {"owner": spec.owner or "tidemill"} | task_arguments(verb),
        **lifetime(spec, cron),
        **arguments,
    ) as dag:
        yield dag
        dag.params.update(trigger_form(*form))  # not before: Airflow would copy them three times for each task


def _cron(spec: ModelSpec, verb: str) -> str | None:
    return None if verb in BY_HAND else getattr(spec, verb).schedule


def _models(dag_file: str) -> Path:
    return Path(os.environ.get("TIDEMILL_MODELS") or Path(dag_file).parent / "models")


def _page(spec: ModelSpec, verb: str) -> str:
    cron = _cron(spec, verb)
    when = f"at `{cron}` in {spec.timezone}" if cron else "by hand"
    return f"""### {spec.model}: {verb}

{PURPOSE[verb]}

{spec.description}

| | |
|---|---|
| runs | {when} |
| partition | {_which(spec)} |
| source | `sql/{spec.source.features}` and `sql/{spec.source.labels}` |
| read the result | `SELECT * FROM predictions.{spec.model} WHERE partition = '…'` |
| owner | {spec.owner or "not named"} |

{BY_HAND.get(verb, _FORTH).format(spec=spec, verb=verb, key=_first_key(spec))}
"""


def _which(spec: ModelSpec) -> str:
    """Return which partition a scheduled run is for, and when its rows are known."""
    every, offset = spec.partitions.every.value, spec.predict.offset
    beside = {-1: f"the {every} that has just ended", 0: f"the {every} that has begun", 1: f"the next {every}"}
    which = beside.get(offset, f"{abs(offset)} {every}s {'before' if offset < 0 else 'after'} the one that has begun")
    return f"one {every}: {which}; known {spec.partitions.known}"


def _first_key(spec: ModelSpec) -> str:
    start = spec.local_midnight(spec.partitions.first or date(2013, 7, 4))
    soon = Interval(start=start, end=start + timedelta(days=62))
    return next(spec.partitions.every.within(soon, spec.timezone)).key
