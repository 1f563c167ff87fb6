"""Tidemill: scheduled training, prediction, monitoring and retraining of tabular models."""

from pathlib import Path
from typing import TYPE_CHECKING

from tidemill._version import __version__

if TYPE_CHECKING:
    from tidemill.model import Model

__all__ = ["__version__", "open"]


def open(model: str, project: str | Path = ".") -> "Model":
    """Open a model of a project.

    Parameters
    ----------
    model : str
        Name of the model, e.g. ``flight_delays``.
    project : str or Path, default ``.``
        Folder with ``dags``, ``sql`` and, if the local stack runs, ``.tidemill``. Environment variables come first.

    Raises
    ------
    SettingsError
        If no storage is configured.
    SpecError
        If the model has no spec, or its spec has problems.
    """
    from tidemill.model import open_model  # only notebooks and programs need pandas and the steps

    return open_model(model, Path(project))
