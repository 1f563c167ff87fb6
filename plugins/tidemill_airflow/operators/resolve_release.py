"""The task of the step ``resolve_release``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator
from tidemill_airflow.params import RunParams

__all__ = ["ResolveReleaseOperator"]


class ResolveReleaseOperator(StepOperator):
    """Say once which release scores the partition."""

    step: ClassVar[str] = "resolve_release"

    def chosen(self, params: RunParams) -> dict[str, Any]:
        """Pass on what the person who triggered the run chose."""
        return {
            "release": params.release,
            "policy": params.policy,
            "simulate": params.simulate,
            "dry_run": params.dry_run,
        }
