import sys

from .conftest import PROJECT, Described, describe

HEAVY = {
    "altair", "great_expectations", "mlflow", "numpy", "optuna", "pandas", "psycopg2", "pyarrow", "scipy", "skops",
    "sklearn", "vl_convert", "xgboost",
}  # fmt: skip
LIGHT = {
    "tidemill",
    "tidemill._version",
    "tidemill.errors",
    "tidemill.intervals",
    "tidemill.metrics",
    "tidemill.record",
    "tidemill.records",
    "tidemill.spec",
    "tidemill.spec_file",
    "tidemill.runtime",
}


def test_no_file_has_an_import_error(described: Described) -> None:
    assert described["errors"] == {}


def test_a_model_has_six_dags_that_run_by_schedule_and_two_that_people_trigger(described: Described) -> None:
    assert sorted(dag_id for dag_id in described["dags"] if dag_id.startswith("flight_delays")) == [
        "flight_delays_act",
        "flight_delays_monitor",
        "flight_delays_predict",
        "flight_delays_reproduce",
        "flight_delays_retrain",
        "flight_delays_rollback",
        "flight_delays_test",
        "flight_delays_train",
    ]


def test_each_dag_comes_from_the_file_of_its_verb(described: Described) -> None:
    files = {dag_id: dag["file"] for dag_id, dag in described["dags"].items() if dag_id.startswith("flight_delays")}
    assert files == {
        f"flight_delays_{verb}": f"{verb}.py"
        for verb in ("train", "predict", "monitor", "retrain", "reproduce", "rollback", "act", "test")
    }


def test_parsing_imports_nothing_heavy(described: Described) -> None:
    assert {name.partition(".")[0] for name in described["loaded"]} & HEAVY == set()


def test_parsing_imports_only_the_light_rooms(described: Described) -> None:
    loaded = {".".join(name.split(".")[:2]) for name in described["loaded"] if name.split(".")[0] == "tidemill"}
    assert loaded == LIGHT


def test_parsing_imports_few_modules_beyond_airflow_and_the_standard_library(described: Described) -> None:
    known = {*sys.stdlib_module_names, "airflow", "tidemill", "tidemill_airflow", "asgiref", "dill", "tzdata"}
    others = {name for name in described["loaded"] if name.split(".")[0] not in known}
    assert {name for name in others if not name.startswith("unusual_prefix_")} == set()  # Airflow's names of DAG files


def test_the_examples_of_other_tasks_have_their_dags_too() -> None:
    found = describe(PROJECT / "examples" / "models")
    assert found["errors"] == {}
    assert {"flight_air_time_train", "flight_punctuality_predict"} <= set(found["dags"])
