"""The tasks that read scored partitions again, and have those scored again whose rows have changed."""

from typing import Any, ClassVar

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Context

from tidemill_airflow.operators.step import StepOperator

__all__ = ["LookBackOperator", "ScoreAgainOperator"]


class LookBackOperator(StepOperator):
    """Read the newest partitions before the run's again; return those whose rows have changed, for `ScoreAgainOperator`.

    Parameters
    ----------
    model : str
        Name of the model.
    """

    step: ClassVar[str] = "look_back"

    def execute(self, context: Context) -> Any:
        """Return the changed partitions; none in a dry run, or for a release or a cutoff that a person chose."""
        chosen = [name for name in ("cutoff", "release", "dry_run", "simulate") if context["params"].get(name)]
        if chosen:
            self.log.info("Nothing is read again, because the run was started with %s.", ", ".join(chosen))
            return []
        return super().execute(context)["changed"]


class ScoreAgainOperator(TriggerDagRunOperator):
    """Trigger a prediction of one changed partition, by the release that scored it; the run is inspected like any other.

    It does not wait for the run. A second attempt finds the run of the first by its name.

    Parameters
    ----------
    model : str
        Name of the model.
    changed : ChangedPartition
        One of those that ``look_back`` returns.
    """

    template_fields = (*TriggerDagRunOperator.template_fields, "changed")

    def __init__(self, *, model: str, changed: Any, **kwargs: Any) -> None:
        super().__init__(trigger_dag_id=f"{model}_predict", logical_date=None, **kwargs)
        self.changed = changed

    def execute(self, context: Context) -> None:
        """Trigger the run, unless it exists."""
        changed, now = self.changed, context["dag_run"].run_id
        self.trigger_run_id = run_id = f"look_back__{changed['partition']}__{changed['snapshot_digest'][:12]}__{now}"
        if context["ti"].get_dr_count(self.trigger_dag_id, run_ids=[run_id]):
            self.log.info("Run %s exists already.", run_id)
            return
        self.log.info("Partition %s: %s", changed["partition"], changed["found"])
        self.conf = {name: changed[key] for name, key in _CONF.items()}
        super().execute(context)


_CONF = {"partition": "partition", "release": "release_id", "simulate": "simulated"}
"""Parameters of the triggered run, by the field of the changed partition."""
