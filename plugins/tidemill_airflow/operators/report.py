"""The task of the step ``report``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator

__all__ = ["ReportOperator"]


class ReportOperator(StepOperator):
    """Write the partition's page.

    Parameters
    ----------
    collected : CollectedRef
        Output of ``collect``.
    alerts : AlertsRef
        Output of ``alert``.
    """

    step: ClassVar[str] = "report"
    template_fields = ("collected", "alerts")

    def __init__(self, *, collected: Any, alerts: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.collected = collected
        self.alerts = alerts
