"""Tidemill: scheduled training, prediction, monitoring and retraining of tabular models."""

from importlib.metadata import version

__version__ = version("tidemill")
