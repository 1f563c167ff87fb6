"""A model of CatBoost on numbers."""

import json
import tempfile
from pathlib import Path
from typing import Any, Self

import numpy as np

from tidemill.modeling.boosters.library_model import Floats, LibraryModel
from tidemill.modeling.tasks import task_type
from tidemill.modeling.tasks.links import probabilities

__all__ = ["MODEL_INFOS", "CatBoostModel"]

_PARTS = ("features_info", "oblivious_trees", "scale_and_bias")  # the rest has a random identifier and times
_LOSSES = {"binary": "Logloss", "multiclass": "MultiClass", "regression": "RMSE"}
MODEL_INFOS: dict[str, dict[str, Any]] = {
    task: {"params": {"flat_params": {"loss_function": loss}, "loss_function": {"params": {}, "type": loss}}}
    for task, loss in _LOSSES.items()
}
"""Part ``model_info`` by task: without the name of a loss, twice, CatBoost guesses one and says so."""


class CatBoostModel(LibraryModel):
    """Oblivious trees of CatBoost, as the parts of its JSON that scoring reads."""

    library = "catboost"
    file = "catboost.json"
    method = "CatBoost's own (exact TreeSHAP)"

    @classmethod
    def of(cls, model: Any, task: str) -> Self:
        """Keep a fitted ``catboost.CatBoost``; CatBoost rounds in its JSON, so the scores may change in the last bits."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.json"
            model.save_model(str(path), format="json")
            found = json.loads(path.read_text(encoding="utf-8"))
        kept = {name: found[name] for name in _PARTS} | {"model_info": MODEL_INFOS[task]}
        return cls(json.dumps(kept, sort_keys=True, separators=(",", ":")))

    def _read(self, library: Any) -> Any:
        booster = library.CatBoost()
        with tempfile.TemporaryDirectory() as folder:  # CatBoost reads JSON from files only
            path = Path(folder) / "model.json"
            path.write_text(self.text, encoding="utf-8")
            try:
                booster.load_model(str(path), format="json")
            except library.CatBoostError as error:
                raise ValueError(str(error)) from error
        return booster

    def answer(self, matrix: Floats, task: str, n_threads: int) -> Floats:
        """Return the predictions; CatBoost's own link computes several rows at once."""
        found = self.native.predict(matrix, prediction_type="RawFormulaVal", thread_count=n_threads)
        raw = np.asarray(found, dtype=np.float64)
        return probabilities(raw) if task_type(task).has_classes else raw

    def contributions(self, matrix: Floats, n_threads: int) -> Floats:
        """Return exact TreeSHAP values."""
        from catboost import Pool  # installed, since the model has been read

        found = self.native.get_feature_importance(Pool(matrix), type="ShapValues", thread_count=n_threads)
        return np.asarray(found, dtype=np.float64).reshape(len(matrix), -1, matrix.shape[1] + 1)
