"""A model of LightGBM."""

from typing import Any, Self

import numpy as np

from tidemill.modeling.boosters.library_model import Floats, LibraryModel

__all__ = ["END_OF_TREES", "LightGBMModel"]

END_OF_TREES = "end of trees\n"
"""Last line that a bundle keeps; after it LightGBM writes settings of the fit, which scoring does not read."""
_SIZES = "tree_sizes="  # byte offsets of the trees, which only speed up reading; without them nothing can point astray


class LightGBMModel(LibraryModel):
    """A booster of LightGBM, as the text of `Booster.model_to_string`."""

    library = "lightgbm"
    file = "lightgbm.txt"
    method = "LightGBM's own (exact TreeSHAP)"

    @classmethod
    def of(cls, booster: Any, n_rounds: int | None = None) -> Self:
        """Keep the first rounds of a fitted ``lightgbm.Booster``; None keeps all."""
        text = booster.model_to_string(num_iteration=n_rounds or -1)
        lines = text[: text.index(END_OF_TREES)].splitlines(keepends=True)
        return cls("".join(line for line in lines if not line.startswith(_SIZES)) + END_OF_TREES)

    def _read(self, library: Any) -> Any:
        try:
            return library.Booster(model_str=self.text)
        except library.basic.LightGBMError as error:
            raise ValueError(str(error)) from error

    def answer(self, matrix: Floats, task: str, n_threads: int) -> Floats:
        """Return the predictions; the link is LightGBM's."""
        return np.asarray(self.native.predict(matrix, num_threads=n_threads), dtype=np.float64)

    def contributions(self, matrix: Floats, n_threads: int) -> Floats:
        """Return exact TreeSHAP values."""
        found = np.asarray(self.native.predict(matrix, num_threads=n_threads, pred_contrib=True), dtype=np.float64)
        return found.reshape(len(matrix), -1, matrix.shape[1] + 1)
