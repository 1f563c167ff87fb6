"""The task that starts a training when retraining has been decided."""

import time
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException, DagRunTriggerException

from tidemill.errors import RetrainingFailed
from tidemill_airflow.params import RunParams

__all__ = ["TriggerTrainingOperator"]


class TriggerTrainingOperator(TriggerDagRunOperator):
    """Trigger the train DAG of a model and wait for its end; skip if the decision is no.

    Where a person has the last word, it does not wait: the answer may take days. An attempt that finds the run of an
    earlier one waits for that run, so that a second attempt does not hide a failed training. It does not wait for a DAG
    that is paused: Airflow starts no task of it, and the wait would occupy a worker until the time limit.

    Parameters
    ----------
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
        self.conf = {"partition": partition, "reason": " ".join(self.decision["reasons"])[:500]}
        if context["ti"].get_dr_count(self.trigger_dag_id, run_ids=[run_id]):
            self.log.info("Run %s of %s exists already.", run_id, self.trigger_dag_id)
        elif context["ti"].get_dag(self.trigger_dag_id).is_paused:
            raise RetrainingFailed(
                f"{self.trigger_dag_id} is paused, so nothing would train.", "Unpause it, and clear this task."
            )
        else:
            self._trigger(context)
        if self.wait_for_completion:
            self._wait_for(context, run_id)

    def _trigger(self, context: Context) -> None:
        """Trigger the run; Airflow's own operator would end the task or wait, even if the DAG is paused meanwhile."""
        from airflow.sdk.execution_time import task_runner
        from airflow.sdk.execution_time.comms import TriggerDagRun

        try:
            super().execute(context)
        except DagRunTriggerException as asked:
            run = TriggerDagRun(dag_id=asked.trigger_dag_id, run_id=asked.dag_run_id, conf=asked.conf)
            answer = task_runner.SUPERVISOR_COMMS.send(run)
            self.log.info("Triggered run %s of %s: %s", asked.dag_run_id, asked.trigger_dag_id, answer)
            context["ti"].xcom_push(key="trigger_run_id", value=asked.dag_run_id)

    def _wait_for(self, context: Context, run_id: str) -> None:
        """Wait for the end of the run.

        Raises
        ------
        RetrainingFailed
            If the run has failed, or its DAG is paused.
        """
        while (state := context["ti"].get_dagrun_state(self.trigger_dag_id, run_id)) != "success":
            if state == "failed":
                raise RetrainingFailed(
                    f"Run {run_id} of {self.trigger_dag_id} has failed.",
                    "Fix the cause that its failed task names, clear that task, and then this one.",
                )
            if context["ti"].get_dag(self.trigger_dag_id).is_paused:
                raise RetrainingFailed(
                    f"{self.trigger_dag_id} was paused while its run {run_id} is {state}, so the training does not continue.",
                    "Unpause it, and clear this task: it then waits for that run.",
                )
            time.sleep(self.poke_interval)  # the scheduler does not announce the end of a run
