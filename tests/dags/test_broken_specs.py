"""One model's broken spec: it is shown, and the other models' DAGs go on."""

from collections.abc import Callable

import pytest

from .conftest import PROJECT, Described

GOOD = (PROJECT / "dags" / "models" / "flight_delays.yaml").read_text(encoding="utf-8")
VERBS = ("monitor", "predict", "retrain", "train")
SPECS = {
    "flight_delays": GOOD,
    "typo": GOOD.replace("model: flight_delays", "model: typo").replace("minimum: 0.62", "minimun: 0.62"),
    "late": GOOD.replace("model: flight_delays", "model: late").replace(
        'predict: {schedule: "30 5', 'predict: {schedule: "99 5'
    ),
    "nothing": "",
    "unclosed": "model: [",
    "unfinished": "model: unfinished",
    "listed": "- model\n- listed",
    "anchored": "model: &name anchored",
    "misnamed": GOOD,
}


@pytest.fixture(scope="module")
def mixed(describe_models: Callable[..., Described]) -> Described:
    """A sound spec among many that are not."""
    return describe_models(**SPECS)


@pytest.mark.parametrize("verb", VERBS)
def test_a_sound_model_keeps_its_dag(mixed: Described, verb: str) -> None:
    assert f"flight_delays_{verb}" in mixed["dags"]


@pytest.mark.parametrize("model", sorted(SPECS.keys() - {"flight_delays"}))
def test_a_broken_model_has_no_dag(mixed: Described, model: str) -> None:
    assert [dag_id for dag_id in mixed["dags"] if dag_id.startswith(model)] == []


@pytest.mark.parametrize("model", sorted(SPECS.keys() - {"flight_delays"}))
def test_the_import_error_names_the_file(mixed: Described, model: str) -> None:
    assert f"{{folder}}/{model}.yaml" in mixed["errors"]["broken_specs.py"]


def test_the_import_error_names_the_line_and_the_word_that_was_meant(mixed: Described) -> None:
    line = 1 + SPECS["typo"][: SPECS["typo"].index("minimun")].count("\n")
    problem = f"{{folder}}/typo.yaml:{line}: unknown key 'accept.minimun'; did you mean 'minimum'?"
    assert problem in mixed["errors"]["broken_specs.py"]


def test_an_impossible_cron_line_is_named(mixed: Described) -> None:
    assert "'99 5 * * *' is not a cron expression of five fields" in mixed["errors"]["broken_specs.py"]


def test_no_other_file_has_an_import_error(mixed: Described) -> None:
    assert set(mixed["errors"]) == {"broken_specs.py"}


def test_an_empty_folder_gives_no_models_dag_and_no_error(describe_models: Callable[..., Described]) -> None:
    described = describe_models()
    assert (set(described["dags"]) - {"tidemill_maintenance"}, described["errors"]) == (set(), {})
