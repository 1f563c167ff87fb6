"""The context that Airflow gives a task, as far as the operators read it."""

from types import SimpleNamespace
from typing import Any

from tidemill_airflow.params import RunParams, trigger_form


def context(*, key: str | None = None, **conf: object) -> Any:
    """A manual run whose configuration is ``conf``, of a DAG with the whole form."""
    form = trigger_form(*RunParams.model_fields)
    names = {"dag_id": "flight_delays_predict", "run_id": "manual__1", "task_id": "task", "map_index": -1}
    return {
        "dag": SimpleNamespace(params=form),
        "dag_run": SimpleNamespace(
            run_id="manual__1", run_type="manual", partition_key=key, data_interval_start=None, data_interval_end=None
        ),
        "params": {name: param.resolve() for name, param in form.items()} | conf,
        "ti": SimpleNamespace(**names, try_number=1),
    }
