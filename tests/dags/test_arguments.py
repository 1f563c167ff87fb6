"""What people see of a DAG, and how its tasks behave when they fail."""

import pytest

from .conftest import Described

VERBS = ("train", "predict", "monitor", "retrain", "reproduce", "test")
FORMS = {
    "train": {"partition", "cutoff", "trials", "dry_run", "reason"},
    "predict": {"partition", "cutoff", "release", "policy", "simulate", "dry_run"},
    "monitor": {"partition"},
    "retrain": {"partition", "dry_run", "reason"},
    "act": {"action", "alert", "until", "partition", "release", "force", "what", "name", "reason"},
    "test": {"partition"},
    "reproduce": {"partition", "release", "prediction_run", "as_declared"},
}


@pytest.mark.parametrize("verb", VERBS)
def test_the_trigger_form_has_the_fields_that_the_dag_uses(described: Described, verb: str) -> None:
    assert set(described["dags"][f"flight_delays_{verb}"]["params"]) == FORMS[verb]


@pytest.mark.parametrize("verb", VERBS)
def test_every_field_of_the_form_has_a_type_and_a_title(described: Described, verb: str) -> None:
    params = described["dags"][f"flight_delays_{verb}"]["params"]
    assert [name for name, param in params.items() if not (param.get("type") and param.get("title"))] == []


@pytest.mark.parametrize("verb", VERBS)
def test_an_untouched_form_asks_for_nothing_special(described: Described, verb: str) -> None:
    params = described["dags"][f"flight_delays_{verb}"]["params"]
    asked = {name: param["default"] for name, param in params.items() if param["default"]}
    assert asked in ({}, {"policy": "live_then"})


@pytest.mark.parametrize("verb", VERBS)
def test_tags_name_the_platform_the_model_and_the_verb(described: Described, verb: str) -> None:
    assert described["dags"][f"flight_delays_{verb}"]["tags"] == sorted(["tidemill", "flight_delays", verb])


@pytest.mark.parametrize(
    "said",
    [
        "Will a flight out of New York arrive more than 15 minutes late?",
        "America/New_York",
        "sql/flight_delays/features.sql",
        "SELECT * FROM predictions.flight_delays",
        "data-platform@example.com",
        "2013-01-01",
    ],
)
@pytest.mark.parametrize("verb", VERBS)
def test_the_page_of_a_dag_says(described: Described, verb: str, said: str) -> None:
    assert said in described["dags"][f"flight_delays_{verb}"]["doc_md"]


@pytest.mark.parametrize("verb", VERBS)
def test_the_page_of_a_dag_gives_the_same_command(described: Described, verb: str) -> None:
    assert f"tidemill {verb} flight_delays --partition" in described["dags"][f"flight_delays_{verb}"]["doc_md"]


@pytest.mark.parametrize("verb", VERBS)
def test_the_page_of_a_dag_says_what_to_do_about_a_run_of_a_cancelled_backfill(described: Described, verb: str) -> None:
    page = " ".join(described["dags"][f"flight_delays_{verb}"]["doc_md"].split())
    assert "a run of a cancelled backfill must not be cleared: Airflow would leave it queued forever." in page
    assert "Mark it as failed, and trigger its partition by hand." in page


@pytest.mark.parametrize("verb", VERBS)
def test_no_page_has_an_unfilled_place(described: Described, verb: str) -> None:
    page = described["dags"][f"flight_delays_{verb}"]["doc_md"]
    assert "{" not in page
    assert "None" not in page


@pytest.mark.parametrize("verb", VERBS)
def test_every_task_retries_three_times_by_our_policy(described: Described, verb: str) -> None:
    tasks = described["dags"][f"flight_delays_{verb}"]["tasks"].values()
    assert {(task["retries"], task["has_our_policy"]) for task in tasks} == {(3, True)}


@pytest.mark.parametrize("verb", VERBS)
def test_every_task_is_owned_by_the_owner_of_the_model(described: Described, verb: str) -> None:
    tasks = described["dags"][f"flight_delays_{verb}"]["tasks"].values()
    assert {task["owner"] for task in tasks} == {"data-platform@example.com"}


@pytest.mark.parametrize("verb", ["train", "retrain", "reproduce"])
def test_one_training_of_a_model_at_a_time(described: Described, verb: str) -> None:
    assert described["dags"][f"flight_delays_{verb}"]["max_active_runs"] == 1


@pytest.mark.parametrize("verb", ["predict", "monitor"])
def test_partitions_may_run_side_by_side(described: Described, verb: str) -> None:
    assert described["dags"][f"flight_delays_{verb}"]["max_active_runs"] > 1
