"""Whatever fails while one model's DAG is built, all other DAGs stay, and one import error names it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag

from tidemill_airflow import model_dags
from tidemill_airflow.operators import ExtractOperator

DAGS = Path(__file__).parents[2] / "dags"
GOOD = (DAGS / "models" / "flight_delays.yaml").read_text(encoding="utf-8")
VERBS = set(model_dags.PURPOSE)


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], DagBag]:
    """Load all DAG files with two sound specs, as a process that has built none of their DAGs."""
    for model in ("flight_delays", "other"):
        own = re.sub("^model: .*$", f"model: {model}", GOOD, count=1, flags=re.MULTILINE)
        (tmp_path / f"{model}.yaml").write_text(own, encoding="utf-8")
    monkeypatch.setenv("TIDEMILL_MODELS", str(tmp_path))
    monkeypatch.setattr(model_dags, "_REHEARSED", {})
    return lambda: DagBag(dag_folder=str(DAGS))


def failing(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, error: Exception) -> None:
    """Let a function fail for the model ``other``."""
    original = getattr(where, name)

    def fail(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("model") == "other" or any(getattr(item, "model", "") == "other" for item in args):
            raise error
        return original(*args, **kwargs)

    vars(fail).update(vars(original))  # Airflow looks for what an operator's own function wraps
    monkeypatch.setattr(where, name, fail)


def models_of(bag: DagBag) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for dag_id in bag.dags:
        model, _, verb = dag_id.rpartition("_")
        found.setdefault(model, set()).add(verb)
    return found


@pytest.mark.parametrize(
    "error", [ValueError("a bad value"), RecursionError("too deep"), OverflowError("too large"), KeyError("x")]
)
def test_a_schedule_that_cannot_be_made_takes_away_no_other_model(
    load: Callable[[], DagBag], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    failing(monkeypatch, model_dags, "timetable", error)
    bag = load()
    assert models_of(bag) == {"flight_delays": VERBS, "tidemill": {"maintenance"}}
    ((file, said),) = bag.import_errors.items()
    assert file.endswith("broken_specs.py")
    assert f"'other.yaml' is sound, but DAG other_train cannot be built: {type(error).__name__}: {error}" in said


def test_a_task_that_cannot_be_made_takes_away_one_dag(
    load: Callable[[], DagBag], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, ExtractOperator, "__init__", TypeError("no such argument"))
    bag = load()
    assert models_of(bag)["flight_delays"] == VERBS
    assert models_of(bag)["other"] == VERBS - {"train", "predict"}
    ((_, said),) = bag.import_errors.items()
    assert re.findall(r"DAG (\w+) cannot be built", said) == ["other_train", "other_predict"]


def test_what_was_built_once_is_not_built_again(load: Callable[[], DagBag], monkeypatch: pytest.MonkeyPatch) -> None:
    bag = load()
    assert bag.import_errors == {}
    failing(monkeypatch, model_dags, "timetable", ValueError("late"))
    model_dags.require_sound_specs(str(DAGS / "broken_specs.py"))  # the specs are the same, so nothing is built
    assert models_of(load()) == {"flight_delays": VERBS, "tidemill": {"maintenance"}}


def test_a_folder_without_dag_files_makes_nothing_count_as_built(
    load: Callable[[], DagBag], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = str(tmp_path / "broken_specs.py")
    model_dags.rehearse(elsewhere, model_dags.specs_beside(elsewhere))
    failing(monkeypatch, model_dags, "timetable", ValueError("late"))
    ((_, said),) = load().import_errors.items()
    assert "DAG other_train cannot be built" in said
