"""What Airflow shows the person who decides."""

from datetime import timedelta

from airflow.sdk import DAG

from tidemill_airflow.operators import ApproveOperator
from tidemill_airflow.params import RunParams, trigger_form


def task() -> ApproveOperator:
    with DAG("flight_delays_train", schedule=None, params=trigger_form(*RunParams.model_fields)):
        return ApproveOperator(
            task_id="approve", model="flight_delays", evaluation={}, decision={}, timeout=timedelta(hours=6)
        )


def test_the_form_has_a_comment_and_none_of_the_run_s_own_parameters() -> None:
    assert set(task().serialized_params) == {"comment"}


def test_silence_rejects_after_the_time_of_the_spec() -> None:
    asked = task()
    assert (asked.options, asked.defaults, asked.response_timeout) == (
        ["Approve", "Reject"],
        ["Reject"],
        timedelta(hours=6),
    )


def test_the_comment_is_no_parameter_of_the_run() -> None:
    assert task().asked({"params": {"dry_run": True, "comment": "x"}}) == {"dry_run": True}
