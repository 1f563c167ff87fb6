"""The assets that the DAGs of a model hand to each other, for the UI's asset graph and for DAGs of others."""

from airflow.sdk import Asset

from tidemill.spec import ModelSpec

__all__ = ["MODELS", "PREDICTIONS", "predictions_asset", "release_asset"]

MODELS, PREDICTIONS = "models", "predictions"
"""Groups of assets."""


def release_asset(spec: ModelSpec) -> Asset:
    """Return the asset of the model's champion; renewed by training, read by prediction."""
    return Asset(name=f"{spec.model}_champion", uri=f"tidemill://models/{spec.model}", group=MODELS)


def predictions_asset(spec: ModelSpec) -> Asset:
    """Return the asset of the model's published predictions; renewed by prediction, read by monitoring."""
    return Asset(name=f"{spec.model}_predictions", uri=f"tidemill://predictions/{spec.model}", group=PREDICTIONS)
