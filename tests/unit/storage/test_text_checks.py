"""Bundles of LightGBM and CatBoost: loaded in a clean process without pickle, and refused if somebody changed the text."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from tidemill.errors import ArtifactCorrupt, IncompatibleVersions
from tidemill.modeling.boosters import LIBRARY_MODELS
from tidemill.storage.bundles import load_bundle
from tidemill.storage.bundles.mlflow_model import requirements
from tidemill.storage.bundles.pyfunc_loader import _load_pyfunc
from tidemill.storage.bundles.save import keep_bundle
from tidemill.storage.bundles.text_checks import refuse_unsound_text

from .test_bundle_tasks import GOLDEN, SCHEMA, X, fit_one
from .test_tampering import replace_file

TASKS = ("multiclass", "regression")
FILES = {kind.library: kind.file for kind in LIBRARY_MODELS}


@pytest.fixture(scope="module")
def fitted():
    kept = {}

    def of(name, task="regression"):
        if (task, name) not in kept:
            kept[task, name] = fit_one(task, name)
        return kept[task, name]

    return of


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("task", TASKS)
def test_a_clean_process_that_cannot_unpickle_gives_the_same_bits(fitted, tmp_path, task, name):
    bundle = fitted(name, task)
    folder, digest = keep_bundle(bundle, tmp_path, GOLDEN)
    X.to_parquet(tmp_path / "rows.parquet")
    script = f"""
        import sys
        from pathlib import Path

        def refuse(event, arguments):
            if event == "pickle.find_class":
                raise RuntimeError("something is unpickled")

        import pandas as pd
        from tidemill.storage.bundles import load_bundle
        assert {name!r} not in sys.modules
        sys.addaudithook(refuse)
        bundle = load_bundle(Path({str(folder)!r}), {digest!r})
        assert {name!r} in sys.modules
        sys.stdout.write(bundle.score(pd.read_parquet({str(tmp_path / "rows.parquet")!r})).tobytes().hex())
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script)]
    other = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (other.returncode, other.stderr) == (0, "")
    assert other.stdout == bundle.score(X).tobytes().hex()


@pytest.mark.parametrize("name", FILES)
def test_the_bundle_names_its_library_and_so_does_the_model_in_mlflow(fitted, tmp_path, name):
    folder, _ = keep_bundle(fitted(name), tmp_path, GOLDEN)
    recorded = json.loads((folder / "manifest.json").read_text())["environment"]
    assert f"{name}=={recorded[name]}" in requirements(fitted(name))
    assert _load_pyfunc(str(folder)).predict(X)["score"].to_numpy().tobytes() == fitted(name).score(X).tobytes()
    plain, _ = keep_bundle(fitted("ridge"), tmp_path, GOLDEN)
    assert name not in json.loads((plain / "manifest.json").read_text())["environment"]
    assert not [item for item in requirements(fitted("ridge")) if item.startswith(name)]


@pytest.mark.parametrize("name", FILES)
def test_without_the_library_the_error_names_the_extra(fitted, tmp_path, monkeypatch, name):
    folder, digest = keep_bundle(fitted(name), tmp_path, GOLDEN)
    monkeypatch.setattr("tidemill.versions._installed", dict)
    with pytest.raises(
        IncompatibleVersions, match=rf"needs {name} [\d.]+, which is .*pip install 'tidemill\[{name}\]'"
    ):
        load_bundle(folder, digest)


@pytest.mark.parametrize("name", FILES)
def test_another_major_version_is_refused(fitted, tmp_path, name):
    folder, _ = keep_bundle(fitted(name), tmp_path, GOLDEN)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["environment"][name] = "999.0.0"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(IncompatibleVersions, match=rf"{name} 999\.0\.0, and here is"):
        _load_pyfunc(str(folder.rename(tmp_path / "renamed")))


# ---------------------------------------------------------------- texts that lead astray


def changed_line(text, key, change, nth=0):
    """Change the values of a line of LightGBM's text, in the nth tree or in the head."""
    lines = text.split("\n")
    at = [place for place, line in enumerate(lines) if line.startswith(f"{key}=")][nth]
    lines[at] = f"{key}=" + " ".join(change(lines[at].partition("=")[2].split(" ")))
    return "\n".join(lines)


def first(value):
    return lambda items: [value, *items[1:]]


LIGHTGBM = {
    "a child that is not a node": ("left_child", first("1000000"), "a node's child is not a node"),
    "a leaf that does not exist": ("right_child", first("-1000000"), "a node's child is not a node"),
    "the root as a child": ("left_child", first("0"), "a node's child is not a node"),
    "a shared child": ("left_child", lambda items: [items[0], items[0], *items[2:]], "two nodes share a child"),
    "a feature that does not exist": ("split_feature", first("99"), "a feature that does not exist"),
    "a negative feature": ("split_feature", first("-1"), "a feature that does not exist"),
    "a feature too large for an integer": ("split_feature", first("99999999999"), "is not a number"),
    "an unknown decision": ("decision_type", first("64"), "decides in an unknown way"),
    "too many leaves": ("num_leaves", first("9999"), "values instead of 9998"),
    "no leaves": ("num_leaves", first("0"), "0 leaves"),
    "negative leaves": ("num_leaves", first("-5"), "-5 leaves"),
    "linear leaves": ("is_linear", first("1"), "linear leaves"),
    "another number": ("Tree", first("7"), "another number"),
    "a threshold that is not a number": ("threshold", first("0x10"), "is not a number"),
    "a list that is too short": ("leaf_value", lambda items: items[1:], "values instead of"),
    "categories that do not exist": ("num_cat", first("0"), "categories that do not exist"),
    "boundaries beyond the list": ("cat_boundaries", lambda items: [*items[:-1], "999"], "values instead of 999"),
    "a first boundary that is negative": ("cat_boundaries", first("-4"), "beyond the end of their list"),
    "a word of more than 32 bits": ("cat_threshold", first("9999999999"), "out of range"),
    "more features than names": ("max_feature_idx", first("9999"), "a list of another length"),
    "more outputs than trees": ("num_class", first("7"), "does not fit 7 outputs"),
    "an unknown objective": ("objective", lambda items: ["lambdarank"], "does not fit 1 outputs"),
    "another version": ("version", first("v9"), "expected 'tree' and 'version=v4'"),
}


@pytest.mark.parametrize(("key", "change", "said"), LIGHTGBM.values(), ids=LIGHTGBM)
@pytest.mark.parametrize("name", ["lightgbm"])
def test_a_text_of_lightgbm_that_points_elsewhere_is_refused_before_it_is_read(
    fitted, tmp_path, monkeypatch, name, key, change, said
):
    folder, _ = keep_bundle(fitted(name), tmp_path, GOLDEN)
    text = (folder / FILES[name]).read_text()
    # the first tree that splits on a category, for the lines that only such a tree has
    with_categories = next(tree for tree in text.split("Tree=") if "cat_boundaries" in tree)
    nth = int(with_categories.split("\n")[0]) if key == "num_cat" else 0
    content = changed_line(text, key, change, nth)
    assert content != text
    digest = replace_file(folder, FILES[name], content.encode())
    monkeypatch.setattr(f"tidemill.modeling.boosters.{name}_model.LightGBMModel._read", None)  # nothing may be read
    with pytest.raises(ArtifactCorrupt, match=said):
        load_bundle(folder, digest)


@pytest.mark.parametrize("name", ["lightgbm"])
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\nnum_cat=", "\nnum_leaves=9\nnum_cat=", 1),  # readers differ in which counts
        lambda text: text.replace("\nshrinkage=", "\nleaf_const=1\nshrinkage=", 1),
        lambda text: text.replace("\nobjective=", "\ntree_sizes=99999999\nobjective=", 1),
        lambda text: text.replace("\nleaf_value=", "\rleaf_value=", 1),
        lambda text: text.replace("end of trees\n", ""),
        lambda text: text + "parameters:\n",
        lambda text: text.replace("\nTree=0", "\naverage_output\n\nTree=0"),
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "\xff",
    ],
)
def test_a_text_of_lightgbm_of_another_form_is_refused(fitted, name, change):
    text = change(fitted(name).model.text)
    with pytest.raises(ArtifactCorrupt, match=r"lightgbm\.txt"):
        refuse_unsound_text(text.encode(), FILES[name])


def changed(document, path, value):
    """Return a copy of a document in which the item at a path is another."""
    copy = json.loads(json.dumps(document))
    *above, last = path
    inner = copy
    for key in above:
        inner = inner[key]
    inner[last] = value
    return copy


SPLIT, FEATURE = ("oblivious_trees", 0, "splits", 0), ("features_info", "float_features", 0)
CATBOOST = {
    "a feature that does not exist": ((*SPLIT, "float_feature_index"), 99, "a feature that does not exist"),
    "a negative feature": ((*SPLIT, "float_feature_index"), -1, "a feature that does not exist"),
    "a feature that is not an integer": ((*SPLIT, "float_feature_index"), True, "a feature that does not exist"),
    "a border that does not exist": ((*SPLIT, "split_index"), 10**6, "a border that does not exist"),
    "another border": ((*SPLIT, "border"), 0.123, "names a border other"),
    "another kind of split": ((*SPLIT, "split_type"), "OnlineCtr", "something other than a number"),
    "one more part": ((*SPLIT, "ctr"), 1, "something other than a number"),
    "too few leaves": (("oblivious_trees", 0, "leaf_values"), [0.0], "a list of another length"),
    "too few weights": (("oblivious_trees", 0, "leaf_weights"), [0.0], "a list of another length"),
    "a leaf that is not a number": (("oblivious_trees", 0, "leaf_values", 0), "1", "not a finite number"),
    "a leaf that is not finite": (("oblivious_trees", 0, "leaf_values", 0), float("inf"), "not a finite number"),
    "no trees": (("oblivious_trees",), [], "it has no trees"),
    "more outputs than leaves": (("scale_and_bias", 1), [0.0] * 5, "a list of another length"),
    "borders that do not ascend": ((*FEATURE, "borders"), [2.0, 1.0], "do not ascend"),
    "a feature in another place": ((*FEATURE, "flat_feature_index"), 2**31, "another place"),
    "an unknown treatment": ((*FEATURE, "nan_value_treatment"), "Other", "unknown treatment"),
    "categorical features": (("features_info", "categorical_features"), [], "other than numbers"),
    "statistics of categories": (("ctr_data",), {}, "it has the parts"),
    "other settings": (("model_info", "params"), {}, "settings that Tidemill does not write"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "value", "said"), CATBOOST.values(), ids=CATBOOST)
@pytest.mark.parametrize("name", ["catboost"])
def test_a_text_of_catboost_that_points_elsewhere_is_refused_before_it_is_read(
    fitted, tmp_path, monkeypatch, name, path, value, said
):
    folder, _ = keep_bundle(fitted(name), tmp_path, GOLDEN)
    content = json.dumps(changed(json.loads((folder / FILES[name]).read_text()), path, value)).encode()
    digest = replace_file(folder, FILES[name], content)
    monkeypatch.setattr(f"tidemill.modeling.boosters.{name}_model.CatBoostModel._read", None)  # nothing may be read
    with pytest.raises(ArtifactCorrupt, match=said):
        load_bundle(folder, digest)


@pytest.mark.parametrize("name", ["catboost"])
@pytest.mark.parametrize("junk", [b"", b"[]", b"1", b"\xff\xfe", b"[" * 100_000, b'{"a":1,"a":2}'])
def test_what_is_not_a_catboost_text_is_refused(name, junk):
    with pytest.raises(ArtifactCorrupt, match=r"catboost\.json: a part is missing or has the wrong type"):
        refuse_unsound_text(junk, FILES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_a_text_with_a_flipped_bit_is_refused_or_harmless(fitted, tmp_path, name):
    """In a process of its own, since a text that leads astray ends it."""
    (tmp_path / "model").write_text(fitted(name).model.text)
    script = f"""
        import numpy, random, resource
        from tidemill.errors import ArtifactCorrupt
        from tidemill.modeling.boosters import LIBRARY_MODELS
        from tidemill.storage.bundles.text_checks import refuse_unsound_text
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        kind = next(kind for kind in LIBRARY_MODELS if kind.library == {name!r})
        raw, chosen = open({str(tmp_path / "model")!r}, "rb").read(), random.Random(3)
        refused = 0
        for _ in range(300):
            offset, bit = chosen.randrange(len(raw)), chosen.randrange(8)
            flipped = raw[:offset] + bytes([raw[offset] ^ (1 << bit)]) + raw[offset + 1 :]
            try:
                refuse_unsound_text(flipped, kind.file)
                model = kind(flipped.decode())
                model.answer(numpy.zeros((20, {len(SCHEMA.names)})), "regression", 1)
                model.contributions(numpy.zeros((2, {len(SCHEMA.names)})), 1)
            except (ArtifactCorrupt, ValueError):
                refused += 1
        print(refused)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    victim = subprocess.run(command, capture_output=True, text=True, check=False)
    assert victim.returncode == 0, victim.stderr
    assert 0 < int(victim.stdout) < 300


@pytest.mark.parametrize("name", FILES)
def test_every_text_that_a_library_writes_is_sound(name):
    """Trees of one leaf, features without a value, several outputs."""
    rng = np.random.default_rng(0)
    matrix = np.column_stack([rng.normal(size=(300, 2)), np.ones(300), np.full(300, np.nan)])
    for task, y in (("regression", matrix[:, 0]), ("multiclass", np.arange(300) % 3), ("binary", matrix[:, 1] > 0)):
        text = WRITERS[name](matrix, y, task).text
        refuse_unsound_text(text.encode(), FILES[name])


def _lightgbm(matrix, y, task):
    import lightgbm

    from tidemill.modeling.boosters import LightGBMModel

    settings = {"objective": task, "num_class": 3 if task == "multiclass" else 1, "verbosity": -1}
    return LightGBMModel.of(lightgbm.train({**settings, "min_data_in_leaf": 120}, lightgbm.Dataset(matrix, y), 5))


def _catboost(matrix, y, task):
    import catboost

    from tidemill.modeling.boosters import CatBoostModel

    loss = {"regression": "RMSE", "multiclass": "MultiClass", "binary": "Logloss"}[task]
    settings = {"iterations": 5, "depth": 2, "allow_writing_files": False, "logging_level": "Silent"}
    model = catboost.CatBoost({**settings, "loss_function": loss})
    return CatBoostModel.of(model.fit(matrix, y.astype(float)), task)


WRITERS = {"lightgbm": _lightgbm, "catboost": _catboost}
