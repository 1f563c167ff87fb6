"""The task of the step ``record_outcome``."""

from typing import Any, ClassVar

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from tidemill.errors import RetrainingFailed
from tidemill_airflow.operators.step import StepOperator

__all__ = ["RecordOutcomeOperator"]


class RecordOutcomeOperator(StepOperator):
    """Record what came of a decision, and fail if an earlier task has failed.

    It runs last, whatever the state of the others, so its state is the run's. A teardown would not do: with
    ``on_failure_fail_dagrun`` the run's state is taken from it only; without, its own failure is hidden.

    Parameters
    ----------
    decision : Decision
        Output of ``decide``.
    """

    step: ClassVar[str] = "record_outcome"
    template_fields = ("decision",)

    def __init__(self, *, decision: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.decision = decision

    def execute(self, context: Context) -> dict[str, Any]:
        """Record the outcome, then raise if a task failed; skip if none failed and nothing was decided, as for a draft."""
        failed = self._failed(context)
        if self.decision is None and not failed:
            raise AirflowSkipException("Nothing was decided: the task 'decide' was skipped.")
        record = {} if self.decision is None else super().execute(context)
        if failed:
            raise RetrainingFailed(
                f"Of the tasks before this one, {' and '.join(failed)} failed.",
                "Fix what their logs report, then clear them with their downstream tasks.",
            )
        return record

    def _failed(self, context: Context) -> list[str]:
        task_instance = context["ti"]
        states = task_instance.get_task_states(
            task_instance.dag_id, task_ids=sorted(self.upstream_task_ids), run_ids=[task_instance.run_id]
        )
        found = states.get(task_instance.run_id, {})
        return sorted(name for name, state in found.items() if state in ("failed", "upstream_failed"))
