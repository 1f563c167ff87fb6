"""Tampered bundles, with and without the power to change the digests too: they are refused, and nothing runs."""

import io
import json
import operator
import os
import pickle
import random
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
import xgboost
from pyarrow import parquet
from sklearn.preprocessing import FunctionTransformer
from skops import io as skops_io

from tidemill.errors import ArtifactCorrupt, IncompatibleVersions
from tidemill.storage.bundles import load, load_bundle
from tidemill.storage.bundles.pyfunc_loader import _load_pyfunc
from tidemill.storage.bundles.save import _sha256, save_bundle
from tidemill.storage.bundles.tree_checks import refuse_unsound_booster, refuse_unsound_trees

from .test_bundles import GOLDEN, Canary, X, Y, fit_one, rewrite_manifest

FILES = ("manifest.json", "schema.json", "preprocessing.skops", "model.skops", "golden.parquet")


@pytest.fixture(scope="module")
def fitted():
    return {name: fit_one(name) for name in ("shallow_tree", "xgboost", "hist_gradient_boosting", "random_forest")}


@pytest.fixture
def saved(fitted, tmp_path):
    folder = tmp_path / "bundle"
    return folder, save_bundle(fitted["shallow_tree"], folder, GOLDEN)


@pytest.fixture
def boosted(fitted, tmp_path):
    folder = tmp_path / "boosted"
    return folder, save_bundle(fitted["xgboost"], folder, GOLDEN)


def replace_file(folder, name, content):
    """Change a file, and the manifest with it: what anyone who can write to the store could do; return the new digest."""
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"][name] = _sha256(content)
    return rewrite_manifest(folder, manifest)


# ---------------------------------------------------------------- whoever cannot change the ledger's digest


@pytest.mark.parametrize("file", FILES)
def test_a_byte_flipped_anywhere_is_refused_with_file_wanted_and_got(saved, file):
    folder, digest = saved
    whole = (folder / file).read_bytes()
    for offset in random.Random(20).sample(range(len(whole)), min(50, len(whole))):
        (folder / file).write_bytes(whole[:offset] + bytes([whole[offset] ^ 0x40]) + whole[offset + 1 :])
        with pytest.raises(
            ArtifactCorrupt, match=rf"{file} has changed: expected digest [0-9a-f]{{64}}, got [0-9a-f]{{64}}"
        ):
            load_bundle(folder, digest)


@pytest.mark.parametrize("file", FILES)
def test_a_file_cut_off_anywhere_is_refused(saved, file):
    folder, digest = saved
    whole = (folder / file).read_bytes()
    for length in (0, 1, 4, len(whole) // 2, len(whole) - 1):
        (folder / file).write_bytes(whole[:length])
        with pytest.raises(ArtifactCorrupt, match=rf"{file} has changed"):
            load_bundle(folder, digest)


def test_nothing_is_parsed_before_the_digests_fit(boosted, monkeypatch):
    folder, digest = boosted
    (folder / "golden.parquet").write_bytes(b"x")  # the last of the files to be read
    monkeypatch.setattr(load.safe_skops, "load", lambda *a: pytest.fail("skops was parsed"))
    monkeypatch.setattr(load, "refuse_unsound_booster", lambda *a: pytest.fail("the booster was parsed"))
    with pytest.raises(ArtifactCorrupt, match=r"golden\.parquet has changed"):
        load_bundle(folder, digest)


# ---------------------------------------------------------------- whoever can: payloads of Python

PICKLES = {
    "pickle": lambda canary: pickle.dumps(Canary(canary)),
    "pickle of protocol 0": lambda canary: pickle.dumps(Canary(canary), protocol=0),
    "joblib": lambda canary: _joblib(canary),
    "cloudpickle": lambda canary: _cloudpickle(canary),
    "npy": lambda canary: _npy(canary),
    "skops with an npy of objects": lambda canary: _skops_around(
        {"schema.json": b"{}", "0" * 64 + ".npy": _npy(canary)}
    ),
    "skops with a pickle": lambda canary: _skops_around(
        {"schema.json": b"{}", "model.pkl": pickle.dumps(Canary(canary))}
    ),
}


def _joblib(canary):
    import joblib

    stream = io.BytesIO()
    joblib.dump(Canary(canary), stream)
    return stream.getvalue()


def _cloudpickle(canary):
    import cloudpickle

    return cloudpickle.dumps(Canary(canary))


def _npy(canary):
    stream = io.BytesIO()
    np.save(stream, np.array([Canary(canary)], dtype=object), allow_pickle=True)
    return stream.getvalue()


def _skops_around(members, compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize("file", ["model.skops", "preprocessing.skops", "golden.parquet"])
@pytest.mark.parametrize("payload", PICKLES.values(), ids=PICKLES)
def test_a_pickled_payload_is_never_read(saved, tmp_path, file, payload):
    digest = replace_file(saved[0], file, payload(tmp_path / "canary"))
    with pytest.raises(ArtifactCorrupt, match=file):
        load_bundle(saved[0], digest)
    assert not (tmp_path / "canary").exists()


CALLS = {
    "operator.methodcaller": lambda canary: operator.methodcaller("touch"),
    "operator.attrgetter": lambda canary: operator.attrgetter("__class__"),
    "operator.itemgetter": lambda canary: operator.itemgetter(0),
    "partial of os.system": lambda canary: partial(os.system, f"touch {canary}"),
    "os.system": lambda canary: os.system,
    "a method": lambda canary: FunctionTransformer().fit,
    "a transformer of os.system": lambda canary: FunctionTransformer(os.system, kw_args={"command": f"touch {canary}"}),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_skops_node_that_would_call_something_is_refused(saved, tmp_path, call):
    archive = zipfile.ZipFile(io.BytesIO(skops_io.dumps(call(tmp_path / "canary"))))
    payload = _skops_around({name: archive.read(name) for name in archive.namelist()})
    with pytest.raises(ArtifactCorrupt, match=r"model\.skops"):
        load_bundle(saved[0], replace_file(saved[0], "model.skops", payload))
    assert not (tmp_path / "canary").exists()


def test_getattr_by_a_crafted_node_is_refused_even_if_the_module_is_trusted(saved):
    node = {
        "__class__": "getattr", "__module__": "builtins", "__loader__": "OperatorFuncNode", "__id__": 1,
        "attrs": {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "__id__": 2, "content": []},
    }  # fmt: skip
    payload = _skops_around({"schema.json": json.dumps(node | {"protocol": 2, "_skops_version": "0.16.0"}).encode()})
    digest = replace_file(saved[0], "model.skops", payload)
    with pytest.raises(ArtifactCorrupt, match="a OperatorFuncNode would call 'getattr'"):
        load_bundle(saved[0], digest, frozenset({"builtins.getattr", "operator.getattr"}))


def test_a_list_of_types_that_travels_with_mlflow_is_not_asked(saved, tmp_path):
    payload = skops_io.dumps(FunctionTransformer(os.system, kw_args={"command": f"touch {tmp_path}/canary"}))
    archive = zipfile.ZipFile(io.BytesIO(payload))
    replace_file(saved[0], "model.skops", _skops_around({name: archive.read(name) for name in archive.namelist()}))
    (tmp_path / "MLmodel").write_text("flavors: {sklearn: {skops_trusted_types: [posix.system]}}")
    with pytest.raises(ArtifactCorrupt, match=r"posix\.system"):
        _load_pyfunc(str(saved[0]))
    assert not (tmp_path / "canary").exists()


# ---------------------------------------------------------------- whoever can: bombs


def test_a_compressed_skops_file_is_refused_unread(saved):
    bomb = _skops_around({"schema.json": b" " * 50_000_000}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    with pytest.raises(ArtifactCorrupt, match="a member is compressed"):
        load_bundle(saved[0], replace_file(saved[0], "model.skops", bomb))


def test_members_that_share_the_same_bytes_are_refused(saved):
    bomb = bytearray(_skops_around({"schema.json": b"{}", "0" * 64 + ".npy": b"x" * 1000}))
    at = bomb.rindex(b"PK\x01\x02") + 20  # sizes in the central directory
    bomb[at : at + 8] = (10**9).to_bytes(4, "little") * 2
    with pytest.raises(ArtifactCorrupt, match="larger than the file"):
        load_bundle(saved[0], replace_file(saved[0], "model.skops", bytes(bomb)))


def test_an_array_that_announces_more_than_it_holds_is_refused(saved):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    payload = _skops_around({"schema.json": b"{}", "0" * 64 + ".npy": stream.getvalue()})
    with pytest.raises(ArtifactCorrupt, match=r"an array of shape \(1000000000000,\)"):
        load_bundle(saved[0], replace_file(saved[0], "model.skops", payload))


def test_a_schema_that_is_nested_without_end_is_refused(saved):
    payload = _skops_around({"schema.json": b"[" * 100_000 + b"]" * 100_000})
    with pytest.raises(ArtifactCorrupt, match=r"model\.skops is not a skops file"):
        load_bundle(saved[0], replace_file(saved[0], "model.skops", payload))


def test_a_parquet_file_of_millions_of_rows_in_a_few_bytes_is_refused_unread(saved):
    stream = io.BytesIO()
    parquet.write_table(pa.table({"hour": np.zeros(5_000_000)}), stream, compression="zstd")
    assert len(stream.getvalue()) < 100_000
    with pytest.raises(ArtifactCorrupt, match="expected 1 to 10,000 golden rows, got 5,000,000"):
        load_bundle(saved[0], replace_file(saved[0], "golden.parquet", stream.getvalue()))


# ---------------------------------------------------------------- whoever can: trees that lead astray


def with_tree(raw, key, position, value, nth=0):
    """Change one number in a list of the nth tree of a booster."""
    document = json.loads(raw)
    document["learner"]["gradient_booster"]["model"]["trees"][nth][key][position] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("left_children", 10**6, "a node's child is not a node"),
        ("right_children", 2**31 - 1, "a node's child is not a node"),
        ("left_children", -7, "a node's child is not a node"),
        ("left_children", 0, "a node's child is not a node"),
        ("right_children", 1, "two nodes share a child"),
        ("split_indices", 10**6, "a feature that does not exist"),
        ("split_indices", -3, "a feature that does not exist"),
        ("left_children", 1.0, "an index is not a whole number"),
        ("left_children", "1", "an index is not a whole number"),
        ("left_children", None, "an index is not a whole number"),
        ("left_children", 2**64 - 1, "an index is not a whole number"),
        ("left_children", 2**32 + 1, "a node's child is not a node"),
    ],
)
def test_a_booster_whose_nodes_point_elsewhere_is_refused_before_xgboost_reads_it(boosted, key, value, said):
    raw = with_tree((boosted[0] / "model.json").read_bytes(), key, 0, value)
    with pytest.raises(ArtifactCorrupt, match=rf"model\.json, tree 0: .*{said}"):
        load_bundle(boosted[0], replace_file(boosted[0], "model.json", raw))


def test_a_wild_child_kills_a_process_that_trusts_it_and_not_this_one(boosted, tmp_path):
    folder, _ = boosted
    raw = with_tree((folder / "model.json").read_bytes(), "left_children", 0, 2**30)
    (tmp_path / "wild.json").write_bytes(raw)
    trusting = f"""
        import numpy, resource, xgboost
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        booster = xgboost.Booster()
        booster.load_model(bytearray(open({str(tmp_path / "wild.json")!r}, "rb").read()))
        booster.inplace_predict(numpy.zeros((50, 3), dtype=numpy.float32))
        print("survived")
    """
    victim = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(trusting)], capture_output=True, text=True, check=False
    )
    assert "survived" not in victim.stdout
    with pytest.raises(ArtifactCorrupt):
        load_bundle(folder, replace_file(folder, "model.json", raw))


@pytest.mark.parametrize("n_bytes", [1, 100, 1000, -1])
def test_a_booster_cut_off_is_refused(boosted, n_bytes):
    raw = (boosted[0] / "model.json").read_bytes()[:n_bytes]
    with pytest.raises(ArtifactCorrupt, match=r"model\.json: a part is missing or has the wrong type"):
        load_bundle(boosted[0], replace_file(boosted[0], "model.json", raw))


def test_a_booster_with_a_flipped_bit_is_refused_or_harmless(boosted):
    script = f"""
        import numpy, random, resource, xgboost
        from tidemill.errors import ArtifactCorrupt
        from tidemill.storage.bundles.tree_checks import refuse_unsound_booster
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        raw, chosen = open({str(boosted[0] / "model.json")!r}, "rb").read(), random.Random(3)
        for _ in range(400):
            offset, bit = chosen.randrange(len(raw)), chosen.randrange(8)
            flipped = raw[:offset] + bytes([raw[offset] ^ (1 << bit)]) + raw[offset + 1 :]
            try:
                refuse_unsound_booster(flipped, "model.json")
                booster = xgboost.Booster({{"nthread": 1}})
                booster.load_model(bytearray(flipped))
                booster.inplace_predict(numpy.zeros((20, booster.num_features()), dtype=numpy.float32))
            except (ArtifactCorrupt, xgboost.core.XGBoostError, ValueError):
                pass
    """
    victim = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert victim.returncode == 0, victim.stderr


@pytest.mark.parametrize("parameters", [
    {"gamma": 5.0}, {"max_depth": 1}, {"grow_policy": "lossguide", "max_leaves": 7}, {"tree_method": "exact"},
    {"num_parallel_tree": 3}, {"objective": "multi:softprob", "num_class": 3}, {"objective": "reg:squarederror"},
    {"tree_method": "exact", "gamma": 5.0},
], ids=str)  # fmt: skip
def test_every_booster_that_xgboost_writes_is_sound(parameters):
    y = np.arange(len(X)) % 3 if "num_class" in parameters else Y
    data = xgboost.DMatrix(X[["hour", "gust"]], label=y)
    booster = xgboost.train({"objective": "binary:logistic", **parameters, "nthread": 1}, data, 5)
    refuse_unsound_booster(bytes(booster.save_raw("json")), "model.json")


@pytest.mark.parametrize(
    "junk",
    [b"", b"{", b"[]", b"1", b"\xff\xfe", b"[" * 100_000, b'{"learner": []}', '{"learner": {}}'.encode("utf-16")],
)
def test_what_is_not_a_booster_is_refused(junk):
    with pytest.raises(ArtifactCorrupt, match=r"model\.json: a part is missing or has the wrong type"):
        refuse_unsound_booster(junk, "model.json")


def test_a_duplicate_key_is_refused_since_readers_differ_on_which_one_counts(boosted):
    raw = (boosted[0] / "model.json").read_bytes()
    twice = raw.replace(b'"left_children":', b'"left_children":[1000000],"left_children":', 1)
    with pytest.raises(ArtifactCorrupt, match="a duplicate key"):
        load_bundle(boosted[0], replace_file(boosted[0], "model.json", twice))


def test_the_same_key_spelt_with_an_escape_counts_as_the_same(boosted):
    raw = (boosted[0] / "model.json").read_bytes()
    twice = raw.replace(b'"left_children":', b'"\\u006ceft_children":[1000000],"left_children":', 1)
    with pytest.raises(ArtifactCorrupt, match="a duplicate key"):
        load_bundle(boosted[0], replace_file(boosted[0], "model.json", twice))


def crafted_tree(tree, **changes):
    state = tree.__getstate__()
    nodes = state["nodes"].copy()
    for name, value in changes.items():
        nodes[name][0] = value
    state["nodes"] = nodes
    return state


@pytest.mark.parametrize(
    ("name", "value"), [("left_child", 10**6), ("right_child", -5), ("feature", 99), ("left_child", 0)]
)
def test_a_tree_of_scikit_learn_whose_nodes_point_elsewhere_is_refused(fitted, name, value):
    model = fit_one("shallow_tree").model
    tree = model.tree_
    tree.__setstate__(crafted_tree(tree, **{name: value}))
    with pytest.raises(ArtifactCorrupt, match=r"model\.skops: a node"):
        refuse_unsound_trees(model, "model.skops")


@pytest.mark.parametrize(("name", "value"), [("left", 10**6), ("right", 2**32 - 1), ("feature_idx", 99)])
def test_a_tree_of_histogram_boosting_whose_nodes_point_elsewhere_is_refused(name, value):
    model = fit_one("hist_gradient_boosting").model
    model._predictors[0][0].nodes[name][0] = value
    with pytest.raises(ArtifactCorrupt, match=r"model\.skops: a node"):
        refuse_unsound_trees(model, "model.skops")


@pytest.mark.parametrize("name", ["shallow_tree", "random_forest", "hist_gradient_boosting"])
def test_fitted_trees_are_sound(fitted, name):
    refuse_unsound_trees(fitted[name].model, "model.skops")


# ---------------------------------------------------------------- whoever can: descriptions that are none

NO_SCHEMA = {
    "no JSON": b"{",
    "no text": b"\xff\xfe\x00",
    "nested without end": b"[" * 100_000,
    "a list": b"[]",
    "nothing": b"{}",
}
CHANGED = {
    "task": "ranking", "estimator": None, "features": {"numeric": "hour"}, "classes": "ab", "threshold": "high",
    "calibration": {"method": "isotonic"}, "residual_quantiles": [1.0], "block_rows": 0, "remarks": 3, "extra": 1,
}  # fmt: skip


@pytest.mark.parametrize("content", NO_SCHEMA.values(), ids=NO_SCHEMA)
@pytest.mark.parametrize("load", [load_bundle, lambda folder, _: _load_pyfunc(str(folder))], ids=["load", "pyfunc"])
def test_a_malformed_schema_is_refused_with_a_message(saved, content, load):
    digest = replace_file(saved[0], "schema.json", content)
    with pytest.raises(ArtifactCorrupt, match=r"schema\.json"):
        load(saved[0], digest)


@pytest.mark.parametrize(("name", "value"), CHANGED.items(), ids=CHANGED)
def test_a_schema_with_a_value_of_another_kind_is_refused_by_its_name(saved, name, value):
    described = json.loads((saved[0] / "schema.json").read_bytes()) | {name: value}
    digest = replace_file(saved[0], "schema.json", json.dumps(described).encode())
    with pytest.raises(ArtifactCorrupt, match=rf"schema\.json is malformed: {name}"):
        load_bundle(saved[0], digest)


@pytest.mark.parametrize("name", ["task", "estimator", "features", "classes", "threshold", "threshold_criterion"])
def test_a_schema_without_a_value_is_refused_by_its_name(saved, name):
    described = json.loads((saved[0] / "schema.json").read_bytes())
    del described[name]
    digest = replace_file(saved[0], "schema.json", json.dumps(described).encode())
    with pytest.raises(ArtifactCorrupt, match=rf"schema\.json is malformed: {name}"):
        load_bundle(saved[0], digest)


@pytest.mark.parametrize(
    "change",
    [
        {"features": {"numeric": ["hour"], "categorical": []}},
        {"features": {"numeric": ["hour", "wind"], "categorical": ["origin"]}},
        {"features": {"numeric": ["origin", "gust"], "categorical": ["hour"]}},
        {"task": "multiclass", "classes": ["a", "b", "c"], "threshold": None},
        {"calibration": {"method": "sigmoid", "x": [1.0, 2.0, 3.0], "n_rows": 1}},
    ],
    ids=str,
)
def test_a_schema_that_does_not_fit_the_model_is_refused_with_a_message(saved, change):
    described = json.loads((saved[0] / "schema.json").read_bytes()) | change
    digest = replace_file(saved[0], "schema.json", json.dumps(described).encode())
    with pytest.raises(ArtifactCorrupt, match=r"golden\.parquet"):
        load_bundle(saved[0], digest)


@pytest.mark.parametrize("content", NO_SCHEMA.values(), ids=NO_SCHEMA)
@pytest.mark.parametrize("load", [load_bundle, lambda folder, _: _load_pyfunc(str(folder))], ids=["load", "pyfunc"])
def test_a_malformed_manifest_is_refused_with_a_message(saved, content, load):
    (saved[0] / "manifest.json").write_bytes(content)
    with pytest.raises(ArtifactCorrupt, match=r"manifest\.json"):
        load(saved[0], _sha256(content))


@pytest.mark.parametrize(
    ("name", "value"), [("files", []), ("files", {"model.skops": 3}), ("environment", None), ("random_state", "x"),
                        ("n_threads", 0), ("extra", 1)], ids=str
)  # fmt: skip
def test_a_manifest_with_a_value_of_another_kind_is_refused_by_its_name(saved, name, value):
    manifest = json.loads((saved[0] / "manifest.json").read_bytes()) | {name: value}
    with pytest.raises(ArtifactCorrupt, match=rf"manifest\.json is malformed: {name}"):
        load_bundle(saved[0], rewrite_manifest(saved[0], manifest))


# ---------------------------------------------------------------- other versions


@pytest.mark.parametrize("library", ["xgboost", "scikit-learn", "numpy", "pandas", "scipy"])
def test_a_bundle_of_another_major_version_is_refused_with_both(saved, library):
    manifest = json.loads((saved[0] / "manifest.json").read_bytes())
    manifest["environment"][library] = "99.1"
    with pytest.raises(IncompatibleVersions, match=rf"was made with {library} 99\.1, and here is \d"):
        load_bundle(saved[0], rewrite_manifest(saved[0], manifest))


def test_a_bundle_that_does_not_say_its_versions_is_refused(saved):
    manifest = json.loads((saved[0] / "manifest.json").read_bytes()) | {"environment": {}}
    with pytest.raises(IncompatibleVersions, match="xgboost none"):
        load_bundle(saved[0], rewrite_manifest(saved[0], manifest))


def test_a_bundle_of_another_parquet_library_is_read(saved):
    manifest = json.loads((saved[0] / "manifest.json").read_bytes())
    manifest["environment"]["pyarrow"] = "1.0"
    load_bundle(saved[0], rewrite_manifest(saved[0], manifest))


ODD = [
    None,
    True,
    -1,
    1e400,
    float("nan"),
    2**70,
    "",
    "\ud800",
    "\x00",
    [],
    {},
    [None],
    ["a", "a"],
    ["b", "a"],
    [[]],
    "binary",
    0.5,
]
"""Values of every kind, to stand in the place of any other."""


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def put(value: object, path: tuple[str | int, ...], odd: object) -> object:
    if not path:
        return odd
    changed = json.loads(json.dumps(value))
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = odd
    return changed


@pytest.mark.slow
@pytest.mark.parametrize("file", ["schema.json", "manifest.json"])
def test_a_malformed_file_with_matching_digests_is_refused_with_a_message(saved, file):
    folder, _ = saved
    whole = json.loads((folder / file).read_bytes())
    n_refused = 0
    for path in places(whole):
        for odd in ODD:
            content = put(whole, path, odd)
            if file == "manifest.json":
                (folder / file).write_text(json.dumps(content))
                digest = load.bundle_digest(folder)
            else:
                digest = replace_file(folder, file, json.dumps(content).encode())
            for read in (partial(load_bundle, folder, digest), partial(_load_pyfunc, str(folder))):
                try:
                    read()
                except (ArtifactCorrupt, IncompatibleVersions) as error:
                    n_refused += bool(str(error).encode())
    assert n_refused > 100
