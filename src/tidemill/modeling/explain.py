"""Explain scores: the contribution of each feature, where the contributions sum to the score.

Contributions are on the scale on which the model is additive: log odds for boosted trees and logistic regression, the
value for a regression, the probability for a forest. XGBoost, LightGBM, CatBoost and linear models provide them
directly. ``shap`` computes them for other trees, and for any other estimator by permutation against background rows; it is
imported only then. The encoded columns of a feature are summed.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost
from scipy.special import expit, softmax
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import OneHotEncoder, TargetEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tidemill.errors import ExplanationFailed
from tidemill.modeling.alignment import align
from tidemill.modeling.answers import answer
from tidemill.modeling.boosters import LibraryModel
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.tasks import TaskType

__all__ = ["Explanation", "encoded_columns", "explain"]

Floats = npt.NDArray[np.float64]

TOLERANCE = 1e-4
"""Maximum difference between a score and the sum of its parts, relative for scores above 1: XGBoost's parts are float32."""

_N_PERMUTATIONS = 10  # permutations of the features, each forwards and backwards
_MOST_BACKGROUND = 50  # background rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation:
    """Contributions of the features to the scores of some rows."""

    features: tuple[str, ...]
    """Feature names in the model's order."""
    contributions: Floats
    """Contribution of each feature, shape (n_samples, n_features), in units of ``scale``."""
    base: Floats
    """Baseline before any feature is used, shape (n_samples,); ``total`` is its sum with the contributions."""
    total: Floats
    """Base plus contributions, shape (n_samples,)."""
    score: Floats
    """Score as returned by `Bundle.score`; for several classes, that of the predicted class."""
    scale: str
    """``log odds``, ``log odds against the average class``, ``probability`` or ``value``."""
    method: str
    """Description of the method, for people."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Parts:
    """Contributions per matrix column, shape (n_samples, n_columns, n_outputs), and the base, (n_samples, n_outputs)."""

    columns: Floats
    base: Floats
    link: str
    """``logit``, ``identity`` or ``probability``."""
    method: str


def explain(bundle: Bundle, X: pd.DataFrame, background: pd.DataFrame | None = None) -> Explanation:
    """Return the contribution of each feature to the scores of rows.

    Parameters
    ----------
    X : pandas.DataFrame of shape (n_samples, n_columns)
        Raw features, at least one row.
    background : pandas.DataFrame, default None
        Background rows; required for estimators that are neither linear nor made of trees.

    Raises
    ------
    ExplanationFailed
        If the parts do not sum to the scores, or required background rows are missing.
    SchemaChanged, ContractBroken
        If the frame cannot be aligned.
    """
    aligned = align(X, bundle.schema)
    matrix = np.asarray(bundle.preprocessing.transform(aligned), dtype=np.float64)
    parts = _parts(bundle, matrix, background)
    owners = [feature for feature, _ in encoded_columns(bundle)]
    names = bundle.schema.names
    by_feature = np.zeros((len(matrix), len(names), parts.base.shape[1]))
    for column, owner in enumerate(owners):
        by_feature[:, names.index(owner)] += parts.columns[:, column]
    raw = answer(bundle.model, matrix, task=bundle.task, n_threads=bundle.n_threads, block_rows=bundle.block_rows)
    _refuse_another_sum(raw, _linked(parts.base + by_feature.sum(axis=1), parts.link, bundle.task_type))
    contributions, base = _of_the_answer(bundle, raw, by_feature, parts)
    final = raw if bundle.calibration is None else bundle.calibration.apply(raw)
    scale = {"logit": "log odds", "identity": "value", "probability": "probability"}[parts.link]
    several = bundle.task_type.score_per_class
    return Explanation(
        features=names,
        contributions=contributions,
        base=base,
        total=base + contributions.sum(axis=1),
        score=final.max(axis=1) if several else final,
        scale=f"{scale} against the average class" if several and parts.link == "logit" else scale,
        method=parts.method,
    )


def encoded_columns(bundle: Bundle) -> list[tuple[str, str]]:
    """Return the feature and the name of each column that a bundle's preprocessing produces.

    A feature that the estimator does not read has no column.
    """
    transformer = bundle.preprocessing
    owners: list[str] = []
    for name, part, columns in transformer.transformers_:
        if name != "remainder" and len(columns):
            owners += _owners(part, [str(column) for column in columns])
    return list(zip(owners, map(str, transformer.get_feature_names_out()), strict=True))


def _owners(part: Any, columns: list[str]) -> list[str]:
    """Return the source feature of each column that a transformer produces."""
    if isinstance(part, TargetEncoder) and part.target_type_ == "multiclass":
        return [name for name in columns for _ in part.classes_]
    if isinstance(part, OneHotEncoder):
        rare = getattr(part, "infrequent_categories_", None) or [None] * len(columns)
        counts = [
            len(levels) - (0 if few is None else len(few) - 1)
            for levels, few in zip(part.categories_, rare, strict=True)
        ]
        return [name for name, count in zip(columns, counts, strict=True) for _ in range(count)]
    imputer = part[0] if hasattr(part, "steps") else part
    indicator = getattr(imputer, "indicator_", None)
    return [*columns, *(columns[position] for position in ([] if indicator is None else indicator.features_))]


def _parts(bundle: Bundle, matrix: Floats, background: pd.DataFrame | None) -> _Parts:
    model = bundle.model
    kinds: list[tuple[tuple[type, ...], Callable[[], _Parts]]] = [
        ((xgboost.Booster,), lambda: _of_booster(model, matrix, bundle)),
        ((LibraryModel,), lambda: _of_library_model(model, matrix, bundle)),
        ((LogisticRegression, Ridge), lambda: _of_linear(model, matrix, bundle)),
        ((DummyClassifier, DummyRegressor), lambda: _of_constant(bundle, matrix)),
        ((TargetEncoder,), lambda: _of_group(bundle, matrix)),
        (
            (
                HistGradientBoostingClassifier,
                HistGradientBoostingRegressor,
                RandomForestClassifier,
                RandomForestRegressor,
                DecisionTreeClassifier,
                DecisionTreeRegressor,
            ),
            lambda: _of_trees(bundle, matrix),
        ),
    ]
    for types, explained in kinds:
        if isinstance(model, types):
            return explained()
    return _by_permutation(bundle, matrix, background)


def _of_booster(model: xgboost.Booster, matrix: Floats, bundle: Bundle) -> _Parts:
    rows = xgboost.DMatrix(
        matrix.astype(np.float32), feature_types=model.feature_types, enable_categorical=True, nthread=bundle.n_threads
    )
    found = np.asarray(model.predict(rows, pred_contribs=True, strict_shape=True), dtype=np.float64)
    link = _link(bundle, "logit")
    return _Parts(
        columns=found[:, :, :-1].transpose(0, 2, 1),
        base=found[:, :, -1],
        link=link,
        method="XGBoost's own (exact TreeSHAP)",
    )


def _of_library_model(model: LibraryModel, matrix: Floats, bundle: Bundle) -> _Parts:
    found = model.contributions(matrix, bundle.n_threads)
    columns, base = found[:, :, :-1].transpose(0, 2, 1), found[:, :, -1]
    return _Parts(columns=columns, base=base, link=_link(bundle, "logit"), method=model.method)


def _of_linear(model: Any, matrix: Floats, bundle: Bundle) -> _Parts:
    weights, intercept = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    base = np.broadcast_to(intercept, (len(matrix), len(intercept)))
    link = _link(bundle, "logit")
    return _Parts(columns=matrix[:, :, None] * weights.T[None], base=base, link=link, method="weight times value")


def _of_constant(bundle: Bundle, matrix: Floats) -> _Parts:
    base = _outputs(bundle, matrix)
    columns = np.zeros((*matrix.shape, base.shape[1]))
    return _Parts(columns=columns, base=base, link=_link(bundle, "probability"), method="the same for every row")


def _of_group(bundle: Bundle, matrix: Floats) -> _Parts:
    found = _outputs(bundle, matrix)
    base = np.broadcast_to(np.atleast_1d(bundle.model.target_mean_)[-found.shape[1] :], found.shape)
    base = base / base.sum(axis=1, keepdims=True) if bundle.task_type.score_per_class else base
    return _Parts(
        columns=(found - base)[:, None, :], base=base, link=_link(bundle, "probability"), method="rate of the group"
    )


def _of_trees(bundle: Bundle, matrix: Floats) -> _Parts:
    explainer = _shap().TreeExplainer(bundle.model, feature_perturbation="tree_path_dependent")
    found = np.asarray(explainer.shap_values(matrix, check_additivity=False), dtype=np.float64)
    columns = found[:, :, None] if found.ndim == 2 else found
    base = np.broadcast_to(np.atleast_1d(explainer.expected_value), (len(matrix), columns.shape[2]))
    boosted = isinstance(bundle.model, HistGradientBoostingClassifier | HistGradientBoostingRegressor)
    if not bundle.task_type.score_per_class and columns.shape[2] == 2:  # for two classes, the second
        columns, base = columns[:, :, 1:], base[:, 1:]
    link = _link(bundle, "logit" if boosted else "probability")
    return _Parts(columns=columns, base=base, link=link, method="shap's TreeExplainer")


def _by_permutation(bundle: Bundle, matrix: Floats, background: pd.DataFrame | None) -> _Parts:
    if background is None or background.empty:
        raise ExplanationFailed(
            f"Estimator {bundle.estimator!r} does not provide contributions, and there are no other rows to compare with.",
            "Explain a row whose partition still has its snapshot.",
        )
    shap = _shap()
    others = bundle.preprocessing.transform(align(background.head(_MOST_BACKGROUND), bundle.schema))
    explainer = shap.PermutationExplainer(
        lambda rows: _outputs(bundle, np.asarray(rows, dtype=np.float64)),
        shap.maskers.Independent(np.asarray(others, dtype=np.float64), max_samples=_MOST_BACKGROUND),
        seed=bundle.random_state % 2**31,
    )
    found = explainer(matrix, max_evals=_N_PERMUTATIONS * (2 * matrix.shape[1] + 1), silent=True)
    n_outputs = _outputs(bundle, matrix[:1]).shape[1]
    columns = np.asarray(found.values, dtype=np.float64).reshape(*matrix.shape, n_outputs)
    base = np.broadcast_to(
        np.asarray(found.base_values, dtype=np.float64).reshape(len(matrix), -1), (len(matrix), n_outputs)
    )
    return _Parts(
        columns=columns,
        base=base,
        link=_link(bundle, "probability"),
        method=f"shap's permutations, against {len(others)} rows of the partition",
    )


def _shap() -> Any:
    with warnings.catch_warnings():  # its plots, which are not used, trigger matplotlib's deprecation warnings
        warnings.simplefilter("ignore")
        import shap  # takes seconds: it imports numba
    return shap


def _link(bundle: Bundle, of_classes: str) -> str:
    """Return the link on which the parts are additive: the given one for classes, the identity for a regression."""
    return of_classes if bundle.task_type.has_classes else "identity"


def _outputs(bundle: Bundle, matrix: Floats) -> Floats:
    found = answer(bundle.model, matrix, task=bundle.task, n_threads=bundle.n_threads, block_rows=bundle.block_rows)
    return found if found.ndim == 2 else found[:, None]


def _linked(total: Floats, link: str, task: TaskType) -> Floats:
    """Return the scores for sums of parts, in the shape of `Bundle.score`."""
    if task.score_per_class:
        if link != "logit":
            return total
        return np.asarray(
            softmax(total, axis=1) if total.shape[1] > 1 else np.column_stack([1 - expit(total), expit(total)])
        )
    return np.asarray(expit(total[:, 0]) if link == "logit" else total[:, 0])


def _refuse_another_sum(score: Floats, summed: Floats) -> None:
    difference = np.abs(summed - score) / np.maximum(1.0, np.abs(score))
    worst = float(np.max(difference, initial=0.0))
    if not worst <= TOLERANCE:  # fails for NaN too
        raise ExplanationFailed(
            f"The contributions do not sum to the model's score; the difference is up to {worst:.2g}.",
            "This estimator cannot be explained feature by feature; use another one if you need explanations.",
        )


def _of_the_answer(bundle: Bundle, raw: Floats, by_feature: Floats, parts: _Parts) -> tuple[Floats, Floats]:
    """Return contributions and base of each row's score; for several classes, those of the predicted class.

    A shift of the log odds of all classes changes no probability, so their mean is subtracted.
    """
    if not bundle.task_type.score_per_class:
        return by_feature[:, :, 0], np.asarray(parts.base[:, 0])
    base = parts.base
    if parts.link == "logit" and base.shape[1] == 1:  # two classes, one margin
        by_feature, base = (
            np.concatenate([-by_feature, by_feature], axis=2) / 2,
            np.concatenate([-base, base], axis=1) / 2,
        )
    elif parts.link == "logit":
        by_feature, base = by_feature - by_feature.mean(axis=2, keepdims=True), base - base.mean(axis=1, keepdims=True)
    rows, chosen = np.arange(len(raw)), raw.argmax(axis=1)
    return by_feature[rows, :, chosen], np.asarray(base[rows, chosen])
