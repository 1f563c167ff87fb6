"""The task of the step ``extract``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator

__all__ = ["ExtractOperator"]


class ExtractOperator(StepOperator):
    """Take a snapshot of the source.

    Parameters
    ----------
    purpose : str
        ``score`` for the partition's rows, ``train`` for the training window before it.
    """

    step: ClassVar[str] = "extract"
    template_fields = ("purpose",)

    def __init__(self, *, purpose: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.purpose = purpose
