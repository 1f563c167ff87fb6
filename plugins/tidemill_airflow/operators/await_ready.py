"""The first task of a DAG whose data may not have arrived yet: it waits for them without a worker."""

from datetime import datetime
from typing import Any, ClassVar

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from tidemill_airflow.operators.step import StepOperator
from tidemill_airflow.params import RunParams
from tidemill_airflow.triggers.ready import Waiting

__all__ = ["AwaitReadyOperator"]


class AwaitReadyOperator(StepOperator):
    """Let the run begin once its data are ready; until then the task is deferred and occupies no worker.

    The task asks the step when the run starts, at the deadline, and when the trigger has seen the data. At the deadline,
    ``predict.then`` decides whether the run keeps waiting, begins, or is skipped.
    """

    step: ClassVar[str] = "await_ready"
    tick: datetime | None = None
    missing: tuple[str, ...] = ()

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask whether the run may begin; return the answer, skip, or defer."""
        return self._ask(context, Waiting.of(context, self.model, self._chain), woken=False, told=False)

    def execute_complete(self, context: Context, event: Any, told: bool) -> dict[str, Any]:
        """Ask again, once the trigger has fired."""
        return self._ask(context, Waiting.of(context, self.model, self._chain), woken=True, told=told)

    def chosen(self, params: RunParams) -> dict[str, Any]:
        """Return what only Airflow knows: the chain, the run's tick, and the assets without an event."""
        return {"chain": self._chain, "tick": self.tick, "missing": self.missing}

    @property
    def _chain(self) -> str:
        return str(self.dag_id).removeprefix(f"{self.model}_")

    def _ask(self, context: Context, waiting: Waiting, *, woken: bool, told: bool) -> dict[str, Any]:
        self.tick, self.missing = waiting.tick, waiting.missing
        if woken and waiting.missing and (told or not waiting.is_over):  # nothing has changed
            self._defer(waiting, told)
        record = super().execute(context)
        if record["outcome"] == "skip":
            raise AirflowSkipException(f"Not ready at the deadline: {record['reason']}.")
        if record["outcome"] == "wait":
            self._defer(waiting, record["late"])
        return record

    def _defer(self, waiting: Waiting, told: bool) -> None:
        self.defer(trigger=waiting.trigger(), method_name="execute_complete", kwargs={"told": told})
