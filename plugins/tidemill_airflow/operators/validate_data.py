"""The task of the step ``validate_data``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator

__all__ = ["ValidateDataOperator"]


class ValidateDataOperator(StepOperator):
    """Hold the model's contract against a snapshot.

    Parameters
    ----------
    snapshot : SnapshotRef
        Output of ``extract``.
    """

    step: ClassVar[str] = "validate_data"
    template_fields = ("snapshot",)

    def __init__(self, *, snapshot: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.snapshot = snapshot
