"""The task of the step ``alert``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator

__all__ = ["AlertOperator"]


class AlertOperator(StepOperator):
    """Open, update and resolve alerts.

    Parameters
    ----------
    collected : CollectedRef
        Output of ``collect``.
    parts : list of MonitorRef
        Outputs of ``drift``, ``performance`` and ``compute``.
    """

    step: ClassVar[str] = "alert"
    template_fields = ("collected", "parts")

    def __init__(self, *, collected: Any, parts: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.collected = collected
        self.parts = parts
