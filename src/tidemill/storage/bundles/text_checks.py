"""Check the models of LightGBM and CatBoost before their native code reads the text.

As for XGBoost (`tree_checks`), a digest that comes with the file proves nothing. So each text must have the exact form
that Tidemill writes: every line or key is known and occurs once, and every index points to something that exists.
"""

import json
import re
from collections.abc import Callable, Mapping
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.modeling.boosters import CatBoostModel, LightGBMModel
from tidemill.modeling.boosters.catboost_model import MODEL_INFOS
from tidemill.modeling.boosters.lightgbm_model import END_OF_TREES
from tidemill.storage.bundles.tree_checks import refuse_wild, unique_keys, unsound, within

__all__ = ["refuse_unsound_text"]

Numbers = npt.NDArray[Any]


def refuse_unsound_text(data: bytes, file: str) -> None:
    """Check every part of a model's text.

    Parameters
    ----------
    data : bytes
        The text, in UTF-8.
    file : str
        Name of the file in a bundle, which determines the library.

    Raises
    ------
    ArtifactCorrupt
        If it is not a text that Tidemill writes, or an index is out of range.
    """
    try:
        _CHECKS[file](data.decode(), file)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise unsound(file, f"a part is missing or has the wrong type, {error}") from error


# ---------------------------------------------------------------- LightGBM

_PRINTABLE = re.compile(r"[\x20-\x7e\n]*")  # LightGBM also ends a line at a carriage return
_INTEGER = re.compile(r"-?\d{1,10}")
_NUMBER = re.compile(r"-?(\d+(\.\d+)?(e[-+]?\d+)?|inf|nan)")
_OBJECTIVES = re.compile(r"binary sigmoid:1|multiclass num_class:(\d+)|regression")
_MOST_LEAVES = 131_072  # LightGBM's own limit; deeper chains could exhaust the stack
_HEAD = (
    "num_class",
    "num_tree_per_iteration",
    "label_index",
    "max_feature_idx",
    "objective",
    "feature_names",
    "feature_infos",
)
_PER_NODE = ("split_gain", "threshold", "internal_value", "internal_weight")
_PER_LEAF = ("leaf_value", "leaf_weight")
_INTEGERS_PER_NODE = ("split_feature", "decision_type", "left_child", "right_child", "internal_count")
_CATEGORIES = ("cat_boundaries", "cat_threshold")
_CATEGORICAL, _KNOWN_FLAGS = 1, 16  # of decision_type: a bit, and the first number with an unknown bit


def _refuse_lightgbm(text: str, file: str) -> None:
    if not _PRINTABLE.fullmatch(text) or not text.endswith(f"\n{END_OF_TREES}"):
        raise unsound(file, "it is not the text of LightGBM's trees")
    head, *trees = re.split(r"\n\n+", text.removesuffix(END_OF_TREES).rstrip("\n"))
    n_features, n_groups = _lightgbm_head(head, file)
    if not trees or len(trees) % n_groups:
        raise unsound(file, f"it has {len(trees)} trees for {n_groups} outputs")
    for number, tree in enumerate(trees):
        _refuse_lightgbm_tree(tree, number, n_features, f"{file}, tree {number}")


def _lightgbm_head(block: str, file: str) -> tuple[int, int]:
    """Return the numbers of features and of outputs."""
    first, version, *lines = block.split("\n")
    if (first, version) != ("tree", "version=v4"):
        raise unsound(file, f"it starts with {first!r} and {version!r}, expected 'tree' and 'version=v4'")
    head = _fields(lines)
    directions = {"monotone_constraints"} & head.keys()
    if head.keys() - directions != set(_HEAD):
        raise unsound(file, f"its head has the lines {sorted(head)}")
    n_groups, n_features = _one(head["num_class"]), _one(head["max_feature_idx"]) + 1
    objective = _OBJECTIVES.fullmatch(head["objective"])
    if objective is None or int(objective[1] or 1) != n_groups or _one(head["num_tree_per_iteration"]) != n_groups:
        raise unsound(file, f"objective {head['objective']!r} does not fit {n_groups} outputs")
    if n_groups < 1 or any(len(head[name].split(" ")) != n_features for name in ("feature_names", "feature_infos")):
        raise unsound(file, f"{n_features} features, but a list of another length")
    for name in directions:
        _integers(head[name], n_features)
    return n_features, n_groups


def _refuse_lightgbm_tree(block: str, number: int, n_features: int, where: str) -> None:
    tree = _fields(block.split("\n"))
    n_leaves, n_categorical = _one(tree.pop("num_leaves")), _one(tree.pop("num_cat"))
    if tree.pop("Tree") != str(number) or not 1 <= n_leaves <= _MOST_LEAVES or tree.pop("is_linear") != "0":
        raise unsound(where, f"{n_leaves} leaves, another number or linear leaves")
    n_nodes = n_leaves - 1
    _floats(tree.pop("shrinkage"), 1)
    # A tree of one leaf has no weight of a leaf.
    for name, size in [(name, n_nodes) for name in _PER_NODE] + [(name, n_leaves) for name in _PER_LEAF]:
        if not (n_nodes == 0 and name == "leaf_weight" and not tree[name]):
            _floats(tree[name], size)
    _integers(tree["leaf_count"], n_leaves)
    nodes = {name: _integers(tree[name], n_nodes) for name in _INTEGERS_PER_NODE}
    _refuse_lightgbm_links(nodes["left_child"], nodes["right_child"], n_leaves, where)
    if not within(nodes["split_feature"], 0, n_features) or not within(nodes["decision_type"], 0, _KNOWN_FLAGS):
        raise unsound(where, "a node refers to a feature that does not exist, or decides in an unknown way")
    categorical = (nodes["decision_type"] & _CATEGORICAL) != 0
    _refuse_lightgbm_categories(tree, _floats(tree["threshold"], n_nodes)[categorical], n_categorical, where)
    known = {*_PER_NODE, *_PER_LEAF, *_INTEGERS_PER_NODE, "leaf_count", *(_CATEGORIES if n_categorical else ())}
    if tree.keys() != known:
        raise unsound(where, f"unknown or missing lines: {sorted(tree.keys() ^ known)}")


def _refuse_lightgbm_links(left: Numbers, right: Numbers, n_leaves: int, where: str) -> None:
    """Check the children; a negative one is a leaf, counted down from -1."""
    n_nodes = n_leaves - 1
    children = [np.where(side < 0, n_nodes - 1 - side, side) for side in (left, right)]
    leaves = np.full(n_leaves, -1)
    inner = np.arange(n_nodes + n_leaves) < n_nodes
    refuse_wild(np.append(children[0], leaves), np.append(children[1], leaves), inner, where)


def _refuse_lightgbm_categories(tree: Mapping[str, str], asked: Numbers, n_categorical: int, where: str) -> None:
    if n_categorical < 0 or not within(asked, 0, max(n_categorical, 0)) or (asked != np.floor(asked)).any():
        raise unsound(where, "a node refers to categories that do not exist")
    if not n_categorical:
        return
    starts = _integers(tree["cat_boundaries"], n_categorical + 1)
    words = _integers(tree["cat_threshold"], int(starts[-1]))
    if starts[0] != 0 or (np.diff(starts) <= 0).any() or not within(words, 0, 2**32):
        raise unsound(where, "categories beyond the end of their list, or out of range")


def _fields(lines: list[str]) -> dict[str, str]:
    if any("=" not in line for line in lines):
        raise ValueError("a line without a value")
    return unique_keys([(key, value) for key, _, value in (line.partition("=") for line in lines)])


def _one(text: str) -> int:
    return int(_integers(text, 1)[0])


def _integers(text: str, size: int) -> Numbers:
    return np.array([int(item) for item in _items(text, size, _INTEGER)], dtype=np.int64)


def _floats(text: str, size: int) -> Numbers:
    return np.array([float(item) for item in _items(text, size, _NUMBER)], dtype=np.float64)


def _items(text: str, size: int, form: re.Pattern[str]) -> list[str]:
    items = text.split(" ") if text else []
    odd = [item for item in items if not form.fullmatch(item)]
    if odd or len(items) != size:
        raise ValueError(f"{odd[0]!r} is not a number" if odd else f"{len(items)} values instead of {size}")
    return items


# ---------------------------------------------------------------- CatBoost

_FEATURE = {"borders", "feature_id", "feature_index", "flat_feature_index", "has_nans", "nan_value_treatment"}
_TREATMENTS = ("AsIs", "AsFalse", "AsTrue")
_TREE, _SPLIT = (
    {"leaf_values", "leaf_weights", "splits"},
    {"border", "float_feature_index", "split_index", "split_type"},
)
_MOST_SPLITS, _MOST_BORDERS = 16, 65_535  # CatBoost's own limits


def _refuse_catboost(text: str, file: str) -> None:
    found = json.loads(text, object_pairs_hook=unique_keys)
    if found.keys() != {"features_info", "model_info", "oblivious_trees", "scale_and_bias"}:
        raise unsound(file, f"it has the parts {sorted(found)}")
    if found["model_info"] not in MODEL_INFOS.values() or found["features_info"].keys() != {"float_features"}:
        raise unsound(file, "it has features other than numbers, or settings that Tidemill does not write")
    features, (scale, biases) = found["features_info"]["float_features"], found["scale_and_bias"]
    _refuse_odd_numbers([scale, *biases], file)
    for at, feature in enumerate(features):
        _refuse_catboost_feature(feature, at, file)
    starts = [0, *accumulate(len(feature["borders"]) for feature in features)]
    if not found["oblivious_trees"]:
        raise unsound(file, "it has no trees")
    for number, tree in enumerate(found["oblivious_trees"]):
        where = f"{file}, tree {number}"
        if tree.keys() != _TREE or len(tree["splits"]) > _MOST_SPLITS:
            raise unsound(where, "it has other parts, or too many splits")
        n_leaves = 2 ** len(tree["splits"])
        if len(tree["leaf_values"]) != n_leaves * len(biases) or len(tree["leaf_weights"]) != n_leaves:
            raise unsound(where, f"{len(tree['splits'])} splits, but a list of another length")
        _refuse_odd_numbers(tree["leaf_values"] + tree["leaf_weights"], where)
        for split in tree["splits"]:
            _refuse_catboost_split(split, features, starts, where)


def _refuse_catboost_feature(feature: Mapping[str, Any], at: int, file: str) -> None:
    if feature.keys() != _FEATURE or [feature["feature_index"], feature["flat_feature_index"]] != [at, at]:
        raise unsound(file, f"feature {at} has other parts, or another place")
    if feature["feature_id"] != "" or type(feature["has_nans"]) is not bool:
        raise unsound(file, f"feature {at} has a name, or an unknown mark of missing values")
    if feature["nan_value_treatment"] not in _TREATMENTS or len(feature["borders"]) > _MOST_BORDERS:
        raise unsound(file, f"feature {at} has too many borders, or an unknown treatment of missing values")
    _refuse_odd_numbers(feature["borders"], file)
    if any(low >= high for low, high in pairwise(feature["borders"])):
        raise unsound(file, f"the borders of feature {at} do not ascend")


def _refuse_catboost_split(
    split: Mapping[str, Any], features: list[dict[str, Any]], starts: list[int], where: str
) -> None:
    if split.keys() != _SPLIT or split["split_type"] != "FloatFeature":
        raise unsound(where, "a split on something other than a number")
    feature, place = split["float_feature_index"], split["split_index"]
    if type(feature) is not int or type(place) is not int or not 0 <= feature < len(features):
        raise unsound(where, "a split refers to a feature that does not exist")
    if not starts[feature] <= place < starts[feature + 1]:
        raise unsound(where, "a split refers to a border that does not exist")
    if features[feature]["borders"][place - starts[feature]] != split["border"]:
        raise unsound(where, "a split names a border other than the one that it refers to")


def _refuse_odd_numbers(values: list[Any], where: str) -> None:
    if any(type(value) not in (int, float) for value in values) or not np.isfinite(np.array(values, np.float64)).all():
        raise unsound(where, "a value is not a finite number")


_CHECKS: Mapping[str, Callable[[str, str], None]] = {
    LightGBMModel.file: _refuse_lightgbm,
    CatBoostModel.file: _refuse_catboost,
}
"""What checks a file, by its name."""
