"""The common parts of a model's DAGs: the spec files, and the DAG itself.

Airflow takes away every DAG of a file that has an import error. So whatever goes wrong with one model's spec or DAG leaves
out this DAG only, and the import error of one file without DAGs, ``broken_specs.py``, names it.
"""

import logging
import os
import runpy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, get_parsing_context
from airflow.sdk.configuration import conf

from tidemill.errors import SettingsError, SpecError
from tidemill.spec import ModelSpec
from tidemill.spec_file import load_sound_specs, load_specs, read_spec, spec_paths
from tidemill_airflow.params import trigger_form
from tidemill_airflow.resources import task_arguments
from tidemill_airflow.retry import DEFAULT_ARGS
from tidemill_airflow.schedules import first_partition, lifetime, timetable

__all__ = ["PURPOSE", "model_dag", "rehearse", "require_sound_specs", "specs_beside"]

log = logging.getLogger(__name__)

PURPOSE = {
    "train": "Trains a challenger and lets the acceptance gate decide whether it becomes the champion.",
    "predict": "Scores one partition with the release that was live for it, and publishes the rows all at once.",
    "monitor": "Examines a partition's data, scores, matured quality and cost, and opens or resolves alerts.",
    "reproduce": "Builds a release again from its records in the ledger, and compares every step.",
    "rollback": "Makes an earlier champion the champion again, and withdraws what the undone releases published.",
    "act": "Does what a person asks for by one short change of the ledger, and records who asked and why.",
    "test": "Tests the model on a sample of its source, in a database of its own.",
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
date empty: Airflow creates no task for a run dated after the DAG's end, and marks it as successful.
Every run may be repeated; a repeated partition replaces its rows in one transaction. Only a run of a cancelled backfill
must not be cleared: Airflow would leave it queued forever. Mark it as failed, and trigger its partition by hand.
The same from a shell: `tidemill {verb} {spec.model} --partition …`."""


_REHEARSED: dict[str, tuple[ModelSpec, list[str]]] = {}
"""The newest spec of each model whose DAGs this process, or the one that forked it, has built, and what was wrong with them."""
_rehearsing: list[ModelSpec] = []
"""Specs whose DAGs are built only to see whether they can be."""


def specs_beside(dag_file: str) -> tuple[ModelSpec, ...]:
    """Return the specs of ``TIDEMILL_MODELS``, or of the folder ``models`` beside a DAG file.

    A spec with problems is left out, so that the DAGs of other models stay; ``require_sound_specs`` reports it. If
    Airflow asks for a single DAG, as it does for a task, only the spec of that DAG's model is read.
    """
    if _rehearsing:
        return tuple(_rehearsing)
    folder = _models(dag_file)
    model, _, verb = (get_parsing_context().dag_id or "").rpartition("_")
    own = folder / f"{model}.yaml"
    if verb not in PURPOSE or own not in spec_paths(folder):
        return tuple(load_sound_specs(folder))
    with suppress(SpecError):
        return (read_spec(own),)
    return ()


def require_sound_specs(dag_file: str) -> None:
    """Fail while a spec of that folder has problems, or a DAG of it cannot be built.

    Raises
    ------
    SpecError
        With every problem of every file, and their lines.
    """
    rehearse(dag_file, specs := specs_beside(dag_file))
    problems = [said for spec in specs if spec.model in _REHEARSED for said in _REHEARSED[spec.model][1]]
    try:
        load_specs(_models(dag_file))
    except SpecError as error:
        problems.append(error.problem)
    if problems:
        raise SpecError("\n".join(problems), "Correct these lines.")


def rehearse(dag_file: str, specs: Iterable[ModelSpec]) -> None:
    """Build the DAGs of the specs that have changed since this was last done, and remember which of them cannot be built."""
    files = [path for verb in PURPOSE if (path := Path(dag_file).with_name(f"{verb}.py")).is_file()]
    if not files:
        return  # a spec counts as built only where its DAG files are
    known = {model: spec for model, (spec, _) in _REHEARSED.items()}
    _rehearsing.extend(spec for spec in specs if known.get(spec.model) is not spec)
    try:
        _REHEARSED.update((spec.model, (spec, [])) for spec in _rehearsing)
        for file in files if _rehearsing else ():
            runpy.run_path(str(file))
    finally:
        _rehearsing.clear()


class _ModelDag(DAG):
    """A DAG that is hashed by its name: Airflow hashes it for each edge, by default with all that it holds."""

    def __hash__(self) -> int:
        return hash(self.dag_id)


@contextmanager
def model_dag(spec: ModelSpec, verb: str, *form: str, **arguments: Any) -> Iterator[DAG]:
    """Define a DAG of a model; its tasks are created inside the block. If that fails, the file goes on without this DAG.

    Parameters
    ----------
    verb : str
        A key of `PURPOSE`.
    **arguments
        Further arguments of the DAG.
    """
    try:
        dag, wrong = _empty_dag(spec, verb, arguments), None
    except SettingsError:
        raise
    except Exception as error:
        dag, wrong = DAG(f"{spec.model}_{verb}", schedule=None, auto_register=False), error  # for its tasks
    with dag:
        try:
            yield dag
            dag.params.update(trigger_form(*form))  # not before: Airflow would copy them three times for each task
            dag.validate()
        except SettingsError:  # of the machine, for all models alike
            raise
        except Exception as error:
            dag.auto_register = False
            wrong = wrong or error
    if wrong is not None:
        _leave_out(dag.dag_id, spec, wrong)


def _empty_dag(spec: ModelSpec, verb: str, arguments: dict[str, Any]) -> DAG:
    cron = _cron(spec, verb)
    return _ModelDag(
        dag_id=f"{spec.model}_{verb}",
        schedule=timetable(spec, cron),
        description=PURPOSE[verb],
        doc_md=_page(spec, verb),
        tags=["tidemill", spec.model, verb],
        default_args=DEFAULT_ARGS | {"owner": spec.owner or "tidemill"} | task_arguments(verb),
        auto_register=not _rehearsing,
        **lifetime(spec, cron),
        **(_limits() | arguments),
    )


@cache  # Airflow would look them up in its configuration for each DAG
def _limits() -> dict[str, int]:
    names = ("max_active_tasks", "max_active_runs", "max_consecutive_failed_dag_runs")
    return {name: conf.getint("core", f"{name}_per_dag") for name in names}


def _leave_out(dag_id: str, spec: ModelSpec, error: Exception) -> None:
    """Log why a DAG cannot be built, and keep it for the import error of ``broken_specs.py``."""
    log.error("DAG %s is left out", dag_id, exc_info=error)
    if _rehearsing:
        said = (
            f"The spec '{spec.model}.yaml' is sound, but DAG {dag_id} cannot be built: {type(error).__name__}: {error}"
        )
        _REHEARSED[spec.model][1].append(said)


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
    midnight = spec.local_midnight(spec.partitions.first or date(2013, 7, 4))
    return first_partition(spec.partitions.every, midnight, spec.timezone).key
