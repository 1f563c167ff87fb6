"""A model whose accepted challengers wait for a person has one more task; no other model has it."""

from collections.abc import Callable

from .conftest import PROJECT, Described

FLIGHTS = (PROJECT / "dags" / "models" / "flight_delays.yaml").read_text(encoding="utf-8")


def test_a_person_is_asked_between_the_gate_and_the_release(describe_models: Callable[..., Described]) -> None:
    described = describe_models(flight_delays=FLIGHTS.replace("accept: {", "accept: {approval: manual, "))
    tasks = described["dags"]["flight_delays_train"]["tasks"]
    assert described["errors"] == {}
    assert tasks["approve"]["upstream"] == ["evaluate", "validate_model"]
    assert tasks["approve"]["takes"] == {"evaluation": "<evaluate>", "decision": "<validate_model>"}
    assert tasks["register"]["takes"]["approval"] == "<approve>"
    # Airflow would copy the form of the run for each task, which is half the time of loading many DAGs.
    assert {task: found["form"] for task, found in tasks.items() if found["form"]} == {"approve": ["comment"]}


def test_nobody_is_asked_where_the_gate_decides(described: Described) -> None:
    tasks = described["dags"]["flight_delays_train"]["tasks"]
    assert "approve" not in tasks
    assert tasks["register"]["takes"]["approval"] is None
