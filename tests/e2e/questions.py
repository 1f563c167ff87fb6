"""Wait for the questions that tasks ask people, and answer them as Airflow's UI does."""

from typing import Any

from tidemill.machine.polling import until

__all__ = ["answer", "wait_for_question"]


def wait_for_question(airflow: Any, dag_id: str, run_id: str, limit_s: float) -> dict[str, Any]:
    """Wait until a task of a run asks a person, and return the question.

    An answer within two heartbeats of the scheduler comes before Airflow knows that the asking process has ended: it
    would take the answer for a second start of the same attempt, and ask again.
    """
    found: list[dict[str, Any]] = []
    beats: set[str] = set()

    def question() -> bool:
        run = airflow.request("GET", f"dags/{dag_id}/dagRuns/{run_id}")
        assert run["state"] != "failed", f"{dag_id} {run_id} has failed before it asked."
        found[:] = airflow.request("GET", f"dags/{dag_id}/dagRuns/{run_id}/hitlDetails")["hitl_details"]
        return bool(found) and found[0]["task_instance"]["state"] == "awaiting_input"

    def two_more() -> bool:
        beats.add(airflow.request("GET", "monitor/health")["scheduler"]["latest_scheduler_heartbeat"])
        return len(beats) > 2

    assert until(question, limit_s), [airflow.failures(run) for run in airflow.runs(dag_id)]
    assert until(two_more, limit_s)
    return found[0]


def answer(airflow: Any, asked: dict[str, Any], option: str, comment: str) -> None:
    """Answer a question by the API, as the user of the session."""
    task = asked["task_instance"]
    place = f"dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/{task['map_index']}"
    airflow.request(
        "PATCH", f"{place}/hitlDetails", json={"chosen_options": [option], "params_input": {"comment": comment}}
    )
