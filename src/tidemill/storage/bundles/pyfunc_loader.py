"""Load a bundle as an MLflow model.

This module and its imports are part of the model (`mlflow_model`), so loading it needs no Tidemill. MLflow's store is for
people, not a source of truth: the ledger has the digest that counts, and publishing never loads through this module. It
checks what it can: the folder's content against its own manifest, the allowed types, the golden rows, and the folder's
name, if that is a digest.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types

from tidemill.errors import ArtifactCorrupt, SchemaChanged
from tidemill.modeling.bundle import Bundle
from tidemill.storage.bundles.golden import golden_rows
from tidemill.storage.bundles.load import GOLDEN, bundle_digest, load_bundle, read_file

__all__ = ["ScoringModel", "predicted_columns"]

_WHOLE_NUMBER = re.compile(r"-?[1-9][0-9]*|0")


@dataclass(frozen=True, slots=True)
class ScoringModel:
    """The model that ``mlflow.pyfunc.load_model`` wraps."""

    bundle: Bundle
    """The fitted model."""
    golden: pd.DataFrame
    """Aligned rows that show how the values of categories are spelt."""

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return scores, equal bit for bit to `Bundle.score`, on the input's index; there are no params.

        The column ``score`` holds the probability of the positive class or of the likeliest class, or the predicted
        value. Multiclass adds ``predicted`` and ``p_<class>``, a regression ``low`` and ``high``.

        Raises
        ------
        SchemaChanged, ContractBroken
            If the frame cannot be aligned, has numbers for a category that was text in training, booleans for numbers, or
            numbers other than 0 and 1 for booleans.
        """
        self._refuse_respelt(model_input)
        self._refuse_booleans(model_input)
        return pd.DataFrame(predicted_columns(self.bundle, self.bundle.score(model_input)), index=model_input.index)

    def _refuse_booleans(self, X: pd.DataFrame) -> None:
        """Refuse booleans for numbers, which would be scored as 0 and 1, and numbers for booleans."""
        schema = self.bundle.schema
        odd = [name for name in schema.numeric if name in X.columns and _is_swapped(X[name], schema.kinds.get(name))]
        if odd:
            raise SchemaChanged(
                f"Feature(s) {', '.join(map(repr, odd))} hold booleans for the model's numbers, or numbers for its booleans.",
                "Pass each feature with the type that it had in training.",
            )

    def _refuse_respelt(self, X: pd.DataFrame) -> None:
        """Refuse categories that a CSV reader has turned into numbers: '007' would be scored as '7'."""
        respelt = [
            name
            for name in self.bundle.schema.categorical
            if name in X.columns
            and types.is_numeric_dtype(X[name].dtype)
            and X[name].notna().any()
            and not _is_spelt_so(self.golden[name].dropna(), boolean=types.is_bool_dtype(X[name].dtype))
        ]
        if respelt:
            raise SchemaChanged(
                f"Feature(s) {', '.join(map(repr, respelt))} hold texts in the model, and numbers or booleans in the data.",
                "Pass them as texts; with CSV, read these columns as 'str', or use JSON.",
            )


def _is_swapped(values: pd.Series, kind: str | None) -> bool:
    """Whether booleans stand for numbers, or numbers other than 0 and 1 for booleans."""
    if types.is_bool_dtype(values.dtype):
        return kind == "number"
    return kind == "boolean" and types.is_numeric_dtype(values.dtype) and not values.dropna().isin([0, 1]).all()


def predicted_columns(bundle: Bundle, score: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return the columns that `ScoringModel.predict` derives from a score, by name."""
    of_classes = {f"p_{name}": score[:, at] for at, name in enumerate(bundle.class_names or ())}
    return {**bundle.columns(score), **of_classes}


def _is_spelt_so(levels: pd.Series, *, boolean: bool) -> bool:
    if boolean:
        return bool(levels.isin(["true", "false"]).all())
    return all(_WHOLE_NUMBER.fullmatch(level) for level in levels)


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
    bundle = load_bundle(folder, digest)
    return ScoringModel(bundle, golden_rows(read_file(folder, GOLDEN), GOLDEN)[list(bundle.schema.names)])
