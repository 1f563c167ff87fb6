"""The operator behind all others: one step of the chain as one task."""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator, Context

from tidemill.errors import TidemillError
from tidemill.runtime.declarations import declaration
from tidemill.runtime.limits import execution_timeout
from tidemill_airflow.asset_events import Changes, announce, changes_of
from tidemill_airflow.console.links import PartitionLink
from tidemill_airflow.params import RunParams
from tidemill_airflow.quiet import without_chatter
from tidemill_airflow.schedules import partition_of_run
from tidemill_airflow.scheduling.drafts import skip_draft
from tidemill_airflow.telemetry import lines_of, name_partition, tell

if TYPE_CHECKING:
    from tidemill.workspace import Workspace

__all__ = ["StepOperator"]


class StepOperator(BaseOperator):
    """Run one step of one model for the partition of the DAG run.

    A subclass names its step, and lists the inputs that come from other tasks in ``template_fields``: Airflow resolves
    them before the task runs. The step's record is the task's XCom.
    """

    step: ClassVar[str]
    ui_color = "#d8e8e4"
    operator_extra_links = (PartitionLink(),)

    def __init__(self, *, model: str, **kwargs: Any) -> None:
        super().__init__(**self.limited(kwargs))
        self.model = model

    @classmethod
    def limited(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of Airflow's operator, with the step's own limit unless there is another."""
        if arguments.get("execution_timeout") is not None:
            return arguments
        return arguments | {"execution_timeout": execution_timeout(cls.step)}

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the step, report its figures, and return its record."""
        began = time.perf_counter()
        with lines_of(self.model, self.step):
            try:
                with without_chatter():
                    record = self._run(context)
            except TidemillError as error:
                self.log.error("%s: %s", type(error).__name__, error)  # once, clearly; Airflow adds the traceback
                raise
            for name, value in _lines(record):
                self.log.info("%s: %s", name, value)
        tell(self.model, self.step, record, time.perf_counter() - began)
        return record

    def chosen(self, params: RunParams) -> dict[str, Any]:
        """Return the inputs of the step that the person who triggers the run may choose."""
        inputs = declaration(self.step).inputs
        return {name: getattr(params, name) for name in inputs if inputs[name].chosen and hasattr(params, name)}

    def asked(self, context: Context) -> Mapping[str, Any]:
        """Return the run's parameters, unchecked."""
        parameters: Mapping[str, Any] = context["params"]
        return parameters

    def _run(self, context: Context) -> dict[str, Any]:
        # Heavy rooms are imported here, so that parsing a DAG file stays cheap.
        from tidemill.runtime.run import run_step
        from tidemill_airflow.workspaces import origin_of, workspace_of

        workspace = workspace_of(context)
        params = RunParams.check(self.asked(context), context["dag"].params)
        spec = workspace.spec(self.model)
        skip_draft(context, spec, workspace)
        partition = partition_of_run(context, spec)
        name_partition(partition)
        inputs = {name: getattr(self, name) for name in self.template_fields}
        self.log.info("%s of model %s, partition %s", self.step, self.model, partition)
        record = run_step(
            self.dag_id.removeprefix(f"{self.model}_"),
            self.step,
            self.model,
            partition,
            inputs | self.chosen(params),
            workspace=workspace,
            origin=origin_of(context),
            cutoff=params.cutoff,
        )
        announce(self, context, self.changes(workspace, record, partition, inputs))
        return record

    def changes(
        self, workspace: "Workspace", record: Mapping[str, Any], partition: str, inputs: Mapping[str, Any]
    ) -> Changes:
        """Return what the step has published or promoted, for the events of the model's assets."""
        return changes_of(record, partition, inputs)


def _lines(record: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of a record as short lines: plain values, sentences one by one, and the number of nested records."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _lines(value, f"{within}{name}.")
        elif not isinstance(value, list | tuple) or not value:
            yield within + name, value
        elif isinstance(value[0], str):
            yield from ((within + name, item) for item in value)
        else:
            yield within + name, f"{len(value)}, in the task's XCom"
