"""Models of optional libraries, LightGBM and CatBoost, each kept as text in the library's own format.

The text is the model: it is what a bundle stores, and what scores in the process that fitted it. So a loaded model has
the same bits, and no pickle is involved. A library is imported when the first of its models is made.
"""

from tidemill.modeling.boosters.catboost_model import CatBoostModel
from tidemill.modeling.boosters.library_model import LibraryModel
from tidemill.modeling.boosters.lightgbm_model import LightGBMModel

__all__ = ["LIBRARY_MODELS", "CatBoostModel", "LibraryModel", "LightGBMModel"]

LIBRARY_MODELS: tuple[type[LibraryModel], ...] = (LightGBMModel, CatBoostModel)
"""Every kind of model of an optional library."""
