"""What the DAGs of a model hand to each other, for the UI's asset graph."""

from airflow.sdk import Asset

from tidemill.spec import ModelSpec

__all__ = ["predictions_asset", "release_asset"]


def release_asset(spec: ModelSpec) -> Asset:
    """Return the asset of the model's champion; renewed by training, read by prediction."""
    return Asset(name=f"{spec.model}_champion", uri=f"tidemill://models/{spec.model}", group="models")


def predictions_asset(spec: ModelSpec) -> Asset:
    """Return the asset of the model's published predictions; renewed by prediction, read by monitoring."""
    return Asset(name=f"{spec.model}_predictions", uri=f"tidemill://predictions/{spec.model}", group="predictions")
