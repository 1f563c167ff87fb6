"""The door through which MLflow loads a bundle: ``loader_module="tidemill.storage.bundles.pyfunc_loader"``.

MLflow's store is where people look, not the truth: the digest that counts is in the ledger, and publishing never
loads through here. What this loader can check, it does: the folder's content against its own manifest, the list of
allowed types, the golden rows, and the folder's name, if that is a digest.
"""

import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.errors import ArtifactCorrupt
from tidemill.modeling.bundle import Bundle
from tidemill.storage.bundles import bundle_digest, load_bundle

__all__ = ["ScoringModel", "requirements", "signature_of"]

_LIBRARIES = ("tidemill", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops", "xgboost")


@dataclass(frozen=True, slots=True)
class ScoringModel:
    """What ``mlflow.pyfunc.load_model`` wraps."""

    bundle: Bundle
    """The fitted model."""

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return scores, equal bit for bit to `Bundle.score`, on the input's index; there are no params.

        Always the column ``score``: the probability of the positive class or of the likeliest class, or the predicted
        value. Multiclass has ``predicted`` and ``p_<class>`` beside it, a regression ``low`` and ``high``.
        """
        score = self.bundle.score(model_input)
        return pd.DataFrame(_columns(self.bundle, score), index=model_input.index)


def _columns(bundle: Bundle, score: npt.NDArray[np.float64]) -> dict[str, Any]:
    of_classes = {f"p_{name}": score[:, at] for at, name in enumerate(bundle.class_names or ())}
    return {**bundle.columns(score), **of_classes}


def _load_pyfunc(data_path: str) -> ScoringModel:
    """Load the bundle in a folder; the name is MLflow's.

    Raises
    ------
    ArtifactCorrupt
        If the bundle is damaged, or the folder is named by another digest.
    """
    folder = Path(data_path)
    digest = bundle_digest(folder)
    if re.fullmatch(r"[0-9a-f]{64}", folder.name) and folder.name != digest:
        raise ArtifactCorrupt(
            f"{folder} holds another bundle: expected digest {folder.name}, got {digest}.",
            "Log the release to MLflow again.",
        )
    return ScoringModel(load_bundle(folder, digest))


def signature_of(bundle: Bundle) -> Any:
    """Return the ``mlflow.models.ModelSignature``: numbers are double, categories string, all of them may be missing."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    inputs = [ColSpec("double", name, required=False) for name in bundle.schema.numeric]
    inputs += [ColSpec("string", name, required=False) for name in bundle.schema.categorical]
    nothing = bundle.task_type.no_scores(len(bundle.classes))
    outputs = [ColSpec("string" if name == "predicted" else "double", name) for name in _columns(bundle, nothing)]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def requirements() -> list[str]:
    """Return ``pip_requirements`` for MLflow: what loading a bundle imports, as installed here."""
    return [f"{library}=={metadata.version(library)}" for library in _LIBRARIES]
