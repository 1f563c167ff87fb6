"""Whatever lies beside a good spec, its DAGs stay, and Airflow and ``tidemill check`` name everything else."""

import random
import re
from pathlib import Path

import pytest

from tidemill.checking import check_models
from tidemill.errors import SpecError
from tidemill.spec_file import load_sound_specs, read_spec
from tidemill.workspace import Workspace

from .conftest import PROJECT, Described, describe
from .hostile import GOOD, mutated, write_hostile

VERBS = ("act", "monitor", "predict", "reproduce", "retrain", "rollback", "test", "train")
N_MUTANTS = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One good spec among the hostile entries."""
    models = tmp_path_factory.mktemp("models")
    (models / "flight_delays.yaml").write_text(GOOD)
    return models


@pytest.fixture(scope="module")
def names(folder: Path) -> list[str]:
    return write_hostile(folder)


@pytest.fixture(scope="module")
def described(folder: Path, names: list[str]) -> Described:
    return describe(folder)


def test_there_are_at_least_fifty_hostile_entries(folder: Path, names: list[str]) -> None:
    assert len(list(folder.iterdir())) == len(names) + 1 > 50


def test_the_good_models_dags_stay(described: Described) -> None:
    assert {f"flight_delays_{verb}" for verb in VERBS} | {"tidemill_maintenance"} == set(described["dags"])


def test_the_import_error_of_one_file_names_every_hostile_entry(
    described: Described, names: list[str], folder: Path
) -> None:
    assert set(described["errors"]) == {"broken_specs.py"}
    said = described["errors"]["broken_specs.py"]
    assert [name for name in names if f"{folder}/{name}.yaml" not in said] == []


def test_check_names_every_hostile_entry(folder: Path, names: list[str]) -> None:
    workspace = Workspace(models=folder, sql=PROJECT / "sql", storage=folder, tracking_uri=None)
    problems = check_models(workspace, [], source=False)
    said = "\n".join(problems)
    assert len(problems) == len(names)
    assert [name for name in names if f"{folder}/{name}.yaml" not in said] == []


def test_what_is_reported_can_be_shown_and_stored(described: Described) -> None:
    lines = described["errors"]["broken_specs.py"].splitlines()
    assert [line for line in lines if not line.isprintable()] == []
    assert max(map(len, lines)) < 2000


def test_a_link_out_of_the_folder_does_not_show_what_it_leads_to(described: Described) -> None:
    assert "hunter2" not in described["errors"]["broken_specs.py"]


@pytest.mark.slow
def test_no_mutation_of_the_good_spec_raises_anything_else_or_loses_another_model(tmp_path: Path) -> None:
    rng, valid, refused = random.Random(20261130), {"flight_delays"}, {}
    (tmp_path / "flight_delays.yaml").write_text(GOOD)
    for number in range(N_MUTANTS):
        path = tmp_path / f"mutant_{number}.yaml"
        path.write_bytes(mutated(rng, path.stem))
        try:
            valid.add(read_spec(path).model)
        except SpecError as error:
            refused[path.name] = error.problem
    assert [name for name, problem in refused.items() if name not in problem] == []
    assert [line for problem in refused.values() for line in problem.splitlines() if not line.isprintable()] == []
    assert {spec.model for spec in load_sound_specs(tmp_path)} == valid
    assert 20 < len(valid) < N_MUTANTS  # the mutations reach both sides
    described = describe(tmp_path)  # what is valid has all its DAGs, and they survive the trip to the scheduler
    models = {re.sub(r"_[a-z]+$", "", dag_id) for dag_id in described["dags"]} - {"tidemill"}
    assert (models, set(described["errors"])) == (valid, {"broken_specs.py"})
    assert len(described["dags"]) == 1 + len(VERBS) * len(valid)
