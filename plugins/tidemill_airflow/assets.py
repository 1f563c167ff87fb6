"""The assets that the DAGs of a model hand to each other, for the UI's asset graph and for DAGs of others."""

from functools import cache

from airflow.sdk import Asset

from tidemill.spec import ModelSpec

__all__ = ["MODELS", "PREDICTIONS", "predictions_asset", "release_asset"]

MODELS, PREDICTIONS = "models", "predictions"
"""Groups of assets."""


def release_asset(spec: ModelSpec) -> Asset:
    """Return the asset of the model's champion; renewed by training, read by prediction."""
    return _asset(f"{spec.model}_champion", f"tidemill://models/{spec.model}", MODELS)


def predictions_asset(spec: ModelSpec) -> Asset:
    """Return the asset of the model's published predictions; renewed by prediction, read by monitoring."""
    return _asset(f"{spec.model}_predictions", f"tidemill://predictions/{spec.model}", PREDICTIONS)


@cache  # a model's DAGs share its assets, and Airflow parses each address
def _asset(name: str, uri: str, group: str) -> Asset:
    return Asset(name=name, uri=uri, group=group)
