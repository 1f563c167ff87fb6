"""What all models of optional libraries have in common."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tidemill.versions import load_library

__all__ = ["Floats", "LibraryModel"]

Floats = npt.NDArray[np.float64]


class LibraryModel(ABC):
    """A fitted model of an optional library."""

    library: ClassVar[str]
    """Name of the package, which is also that of the estimator and of Tidemill's extra."""
    file: ClassVar[str]
    """Name of the text's file in a bundle."""
    method: ClassVar[str]
    """How `contributions` are computed, for people."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.native = self._read(load_library(self.library))

    @abstractmethod
    def _read(self, library: Any) -> Any:
        """Return the library's own object for the text; `ValueError` if the library refuses it."""

    @abstractmethod
    def answer(self, matrix: Floats, task: str, n_threads: int) -> Floats:
        """Return the predictions for a matrix of at least one row, as ``answers.answer`` does."""

    @abstractmethod
    def contributions(self, matrix: Floats, n_threads: int) -> Floats:
        """Return exact TreeSHAP values on the scale of the sum of trees.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs, n_columns + 1)
            The base of each row is last.
        """
