"""Trees of XGBoost and scikit-learn in one form, and the function that turns their sum into a prediction.

Only models that sum leaves in a fixed order are supported, since the bits of a sum depend on its order. All other models
predict themselves.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from tidemill.modeling.tasks.links import probabilities

__all__ = ["Sum", "Tree", "sum_of"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tree:
    """One tree, with its root as node 0; each array has one item per node."""

    left: Ints
    """Child for values below the threshold, or for categories not listed; -1 at a leaf."""
    right: Ints
    """Child for all other values."""
    feature: Ints
    """Matrix column of the split."""
    threshold: Floats
    """Threshold of a split, or the value of a leaf."""
    missing_left: npt.NDArray[np.bool_]
    """Whether a missing value goes left."""
    categories: Mapping[int, Sequence[int]]
    """Codes that go right, per node that splits on a category."""
    output: int
    """Output that it adds to; several classes have one each."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sum:
    """A sum of leaves, tree by tree."""

    trees: Sequence[Tree]
    """Trees in the order of summation."""
    start: Floats
    """Start value of each sum, shape (n_outputs,); its dtype is the dtype of the sums."""
    finish: Callable[[Floats, Floats], Floats]
    """Maps the matrix and the sums, shape (n_samples, n_outputs), to predictions."""


def sum_of(model: Any) -> Sum | None:
    """Return a fitted model as a sum of trees; None if it is of another kind."""
    if isinstance(model, xgboost.Booster):
        return _of_xgboost(json.loads(model.save_raw("json")), int(model.num_features()))
    if isinstance(model, HistGradientBoostingClassifier | HistGradientBoostingRegressor):
        return _of_histograms(model)
    return None


def _of_xgboost(found: dict[str, Any], n_columns: int) -> Sum | None:
    booster = found["learner"]["gradient_booster"]
    if booster["name"] != "gbtree" or any(
        int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in booster["model"]["trees"]
    ):
        return None
    trees = [
        _xgboosts(tree, output)
        for tree, output in zip(booster["model"]["trees"], booster["model"]["tree_info"], strict=True)
    ]
    last = _without_trees(found)

    def finish(matrix: Floats, sums: Floats) -> Floats:
        return np.asarray(last.inplace_predict(matrix, base_margin=sums), dtype=np.float64)

    start = last.inplace_predict(np.zeros((1, n_columns), np.float32), predict_type="margin")
    return Sum(trees=trees, start=np.ravel(start), finish=finish)


def _without_trees(found: dict[str, Any]) -> xgboost.Booster:
    """Return a booster whose trees add nothing, so that XGBoost itself provides the start value and the link function.

    XGBoost treats a booster without trees as untrained; therefore the trees of the first round stay, reduced to their
    roots.
    """
    model = found["learner"]["gradient_booster"]["model"]
    n_trees = model["iteration_indptr"][1]
    model["trees"] = [_root(tree) for tree in model["trees"][:n_trees]]
    model |= {"tree_info": model["tree_info"][:n_trees], "iteration_indptr": [0, n_trees]}
    model["gbtree_model_param"]["num_trees"] = str(n_trees)
    booster = xgboost.Booster()
    booster.load_model(bytearray(json.dumps(found).encode()))
    booster.set_param({"nthread": 1})
    return booster


def _root(tree: dict[str, Any]) -> dict[str, Any]:
    lists = {
        name: [] if name.startswith("categories") else value[:1]
        for name, value in tree.items()
        if name != "tree_param" and isinstance(value, list)
    }
    leaf = {"left_children": [-1], "right_children": [-1], "split_conditions": [-0.0], "split_type": [0]}
    return {**tree, **lists, **leaf, "tree_param": {**tree["tree_param"], "num_nodes": "1"}}


def _xgboosts(tree: dict[str, Any], output: int) -> Tree:
    at = zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True)
    return Tree(
        left=np.asarray(tree["left_children"]),
        right=np.asarray(tree["right_children"]),
        feature=np.asarray(tree["split_indices"]),
        threshold=np.asarray(tree["split_conditions"], np.float32),
        missing_left=np.asarray(tree["default_left"], bool),
        output=output,
        categories={node: tree["categories"][first : first + n] for node, first, n in at},
    )


def _of_histograms(model: Any) -> Sum | None:
    trees = list(_histogram_trees(model))
    if any(tree is None for tree in trees):
        return None

    def finish(_matrix: Floats, sums: Floats) -> Floats:
        if not isinstance(model, HistGradientBoostingClassifier):
            return np.asarray(model._loss.link.inverse(sums[:, 0]))
        if sums.shape[1] > 1:
            return probabilities(sums)
        return np.asarray(model._loss.predict_proba(sums))

    return Sum(
        trees=[tree for tree in trees if tree is not None],
        start=np.ravel(np.asarray(model._baseline_prediction, np.float64)),
        finish=finish,
    )


def _histogram_trees(model: Any) -> Iterator[Tree | None]:
    for iteration in model._predictors:
        for output, predictor in enumerate(iteration):
            nodes = predictor.nodes
            if nodes["is_categorical"].any():
                yield None
                continue
            leaf = nodes["is_leaf"].astype(bool)
            yield Tree(
                left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
                right=nodes["right"].astype(np.int64),
                feature=nodes["feature_idx"].astype(np.int64),
                # scikit-learn also sends values equal to the threshold left: those below the next number.
                threshold=np.where(leaf, nodes["value"], np.nextafter(nodes["num_threshold"], np.inf)),
                missing_left=nodes["missing_go_to_left"].astype(bool),
                categories={},
                output=output,
            )
