"""The task that starts a training when retraining has been decided."""

import time
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from tidemill.errors import RetrainingFailed
from tidemill_airflow.params import RunParams

__all__ = ["TriggerTrainingOperator"]


class TriggerTrainingOperator(TriggerDagRunOperator):
    """Trigger the train DAG of a model and wait for its end; skip if the decision is no.

    Where a person has the last word, it does not wait: the answer may take days. An attempt that finds the run of an
    earlier one waits for that, so that a second attempt does not make a failed training look well.

    Parameters
    ----------
    model : str
        Name of the model.
    decision : Decision
        Output of ``decide``.
    waits : bool, default True
        Whether to wait for the end.
    """

    template_fields = (*TriggerDagRunOperator.template_fields, "decision")

    def __init__(self, *, model: str, decision: Any, waits: bool = True, **kwargs: Any) -> None:
        super().__init__(
            trigger_dag_id=f"{model}_train",
            logical_date=None,
            wait_for_completion=waits,
            poke_interval=5,
            **kwargs,
        )
        self.model = model
        self.decision = decision

    def execute(self, context: Context) -> None:
        """Trigger and wait, or skip."""
        from tidemill_airflow.schedules import partition_of_run
        from tidemill_airflow.workspaces import workspace_of

        if self.decision["verdict"] != "accept":
            raise AirflowSkipException("No retraining is due: " + " ".join(self.decision["reasons"]))
        if RunParams.check(context["params"], context["dag"].params).dry_run:
            raise AirflowSkipException("Retraining is due, but this is a dry run.")
        partition = partition_of_run(context, workspace_of(context).spec(self.model))
        self.trigger_run_id = run_id = f"retrain__{partition}__{self.decision['decision_id']}"
        if context["ti"].get_dr_count(self.trigger_dag_id, run_ids=[run_id]):
            self._wait_for(context, run_id)
            return
        self.conf = {"partition": partition, "reason": " ".join(self.decision["reasons"])[:500]}
        if context["ti"].get_dag(self.trigger_dag_id).is_paused:
            raise RetrainingFailed(
                f"{self.trigger_dag_id} is paused, so nothing would train.", "Unpause it, and clear this task."
            )
        super().execute(context)

    def _wait_for(self, context: Context, run_id: str) -> None:
        """Wait for the end of a run that an earlier attempt has triggered."""
        self.log.info("Run %s of %s is there already.", run_id, self.trigger_dag_id)
        while self.wait_for_completion:
            state = context["ti"].get_dagrun_state(self.trigger_dag_id, run_id)
            if state == "success":
                return
            if state == "failed":
                raise RetrainingFailed(
                    f"Run {run_id} of {self.trigger_dag_id} has failed.",
                    "Mend what its failed task says, clear that task, and then this one.",
                )
            time.sleep(self.poke_interval)  # the scheduler tells nobody when a run has ended
