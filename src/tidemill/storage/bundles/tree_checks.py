"""Check the node indices of trees, because native code follows them into memory unchecked.

A digest proves that a file is the one that was saved. If the digest comes with the file, as in MLflow's store, only these
checks protect the process from a crafted tree.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.errors import ArtifactCorrupt

__all__ = ["refuse_unsound_booster", "refuse_unsound_trees", "refuse_wild", "unique_keys", "unsound", "within"]

MAX_DEPTH = 12  # nested objects: a pipeline of ensembles of trees needs 6
_PER_NODE = (
    "left_children", "right_children", "parents", "split_indices", "split_type", "split_conditions", "default_left",
    "sum_hessian", "loss_changes",
)  # fmt: skip
_INDICES = ("left_children", "right_children", "parents", "split_indices", "split_type", "default_left")
_NO_PARENT = 2**31 - 1  # how XGBoost writes it
_NEXT_STEP = "Do not load it; find out who wrote it, and train again."
Integers = npt.NDArray[np.int64]


def refuse_unsound_booster(data: bytes, file: str) -> None:
    """Check every index of a booster before XGBoost reads the file.

    Parameters
    ----------
    data : bytes
        ``Booster.save_raw("json")``.
    file : str
        Name for the error.

    Raises
    ------
    ArtifactCorrupt
        If it is not a booster of trees, or an index is out of range.
    """
    try:
        learner = json.loads(data.decode(), object_pairs_hook=unique_keys)["learner"]
        booster, parameters = learner["gradient_booster"], learner["learner_model_param"]
        model, n_features = booster["model"], int(parameters["num_feature"])
        n_groups = max(int(parameters["num_class"]), int(parameters.get("num_target", 1)), 1)
        trees, groups = model["trees"], np.array(model["tree_info"], dtype=np.int64)
        rounds = np.array(model["iteration_indptr"], dtype=np.int64)
        if booster["name"] != "gbtree" or int(model["gbtree_model_param"]["num_trees"]) != len(trees):
            raise unsound(file, f"it is a {booster['name']!r} of {len(trees)} trees, and declares otherwise")
        if len(groups) != len(trees) or not within(groups, 0, n_groups):
            raise unsound(file, "a tree belongs to no class")
        if len(rounds) < 1 or rounds[0] != 0 or rounds[-1] != len(trees) or (np.diff(rounds) < 0).any():
            raise unsound(file, "its rounds do not match its trees")
        for number, tree in enumerate(trees):
            if tree["id"] != number:
                raise unsound(f"{file}, tree {number}", f"it claims to be number {tree['id']}")
            _refuse_tree(tree, n_features, f"{file}, tree {number}")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise unsound(file, f"a part is missing or has the wrong type, {error}") from error


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a duplicate key: readers differ in which of the two they use, and only one is checked."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a duplicate key")
    return found


def _refuse_tree(tree: Mapping[str, Any], n_features: int, where: str) -> None:
    n_nodes = int(tree["tree_param"]["num_nodes"])
    arrays = {name: np.asarray(tree[name]) for name in _PER_NODE}
    if n_nodes < 1 or any(len(array) != n_nodes for array in arrays.values()):
        raise unsound(where, f"{n_nodes} nodes, but a list of another length")
    if int(tree["tree_param"].get("size_leaf_vector", 1)) > 1:
        raise unsound(where, "leaves with more than one number")
    if any(arrays[name].dtype.kind != "i" for name in _INDICES):
        raise unsound(where, "an index is not a whole number")
    left, right, parents = (arrays[name].astype(np.int64) for name in _INDICES[:3])
    inner = left != -1
    refuse_wild(left, right, inner, where)
    (parent_of,) = np.nonzero(inner)
    if parents[0] != _NO_PARENT or not within(parents[1:], 0, n_nodes):
        raise unsound(where, "a node's parent is not a node")
    if (parents[left[inner]] != parent_of).any() or (parents[right[inner]] != parent_of).any():
        raise unsound(where, "a node's child has another parent")
    if not within(arrays["split_indices"][inner].astype(np.int64), 0, n_features):
        raise unsound(where, "a node refers to a feature that does not exist")
    if int(tree["tree_param"]["num_feature"]) != n_features:
        raise unsound(where, "its number of features differs from the booster's")
    _refuse_categories(tree, n_nodes, where)


def _refuse_categories(tree: Mapping[str, Any], n_nodes: int, where: str) -> None:
    parts = ("categories_nodes", "categories_segments", "categories_sizes", "categories")
    nodes, starts, sizes, values = (np.asarray(tree[name], dtype=np.int64) for name in parts)
    if not len(nodes) == len(starts) == len(sizes) or not within(nodes, 0, n_nodes):
        raise unsound(where, "categories of a node that does not exist")
    if (np.diff(nodes) <= 0).any() or not within(values, 0, 2**24):  # XGBoost keeps a bit for each below the largest
        raise unsound(where, "categories out of order or range")
    if (starts < 0).any() or (sizes <= 0).any() or (starts + sizes > len(values)).any():
        raise unsound(where, "categories beyond the end of their list")


def refuse_unsound_trees(model: Any, file: str) -> None:
    """Check every index of scikit-learn's trees before the first row is scored.

    Parameters
    ----------
    model : object
        Estimator as skops constructed it; its trees are found through its attributes.
    file : str
        Name for the error.

    Raises
    ------
    ArtifactCorrupt
        If an index is out of range.
    """
    for tree, n_features in _trees(model, None, MAX_DEPTH):
        nodes = tree.nodes if hasattr(tree, "nodes") else tree.__getstate__()["nodes"]
        if "left_child" in nodes.dtype.names:  # sklearn.tree._tree.Tree
            left, right = (nodes[name].astype(np.int64) for name in ("left_child", "right_child"))
            inner, features = left != -1, nodes["feature"].astype(np.int64)
            n_features = int(tree.n_features)
        else:  # the predictor of histogram gradient boosting
            left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
            inner, features = nodes["is_leaf"] == 0, nodes["feature_idx"].astype(np.int64)
            _refuse_bitsets(tree, nodes, file)
        refuse_wild(left, right, inner, file)
        if n_features is not None and not within(features[inner], 0, n_features):
            raise unsound(file, "a node refers to a feature that does not exist")


def _refuse_bitsets(predictor: Any, nodes: Any, file: str) -> None:
    asked = nodes["bitset_idx"][(nodes["is_categorical"] == 1) & (nodes["is_leaf"] == 0)].astype(np.int64)
    n_bitsets = min(len(predictor.binned_left_cat_bitsets), len(predictor.raw_left_cat_bitsets))
    if not within(asked, 0, n_bitsets):
        raise unsound(file, "a node refers to categories that do not exist")


def refuse_wild(left: Integers, right: Integers, inner: npt.NDArray[np.bool_], where: str) -> None:
    """Refuse nodes that form no tree: two children per inner node and one parent per node make each walk end at a leaf."""
    n_nodes = len(left)
    children = np.concatenate([left[inner], right[inner]])
    if not within(children, 1, n_nodes):
        raise unsound(where, "a node's child is not a node")
    if len(np.unique(children)) != len(children):
        raise unsound(where, "two nodes share a child")


def _trees(item: Any, n_features: int | None, depth: int) -> Iterator[tuple[Any, int | None]]:
    """Yield the trees of an estimator, each with the number of features of the estimator that contains it."""
    if depth < 0 or isinstance(item, str | bytes | int | float | None):
        return
    if type(item).__name__ in ("Tree", "TreePredictor"):
        yield item, n_features
        return
    if isinstance(item, np.ndarray):
        parts = item.ravel().tolist() if item.dtype == object else []
    elif isinstance(item, dict):
        parts = list(item.values())
    elif isinstance(item, list | tuple | set | frozenset):
        parts = list(item)
    else:
        parts = list(getattr(item, "__dict__", {}).values())
        n_features = getattr(item, "n_features_in_", n_features)
    for part in parts:
        yield from _trees(part, n_features, depth - 1)


def within(values: Integers, low: int, high: int) -> bool:
    """Return whether all values are at least ``low`` and less than ``high``."""
    return bool(((values >= low) & (values < high)).all())


def unsound(where: str, why: str) -> ArtifactCorrupt:
    """Return the error about a file that must not be loaded."""
    return ArtifactCorrupt(f"{where}: {why}.", _NEXT_STEP)
