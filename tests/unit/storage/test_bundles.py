import io
import json
import os
import platform
import shutil
import subprocess
import sys
import textwrap
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import FunctionTransformer
from skops import io as skops_io

from tidemill.errors import ArtifactCorrupt
from tidemill.modeling.estimators import fit
from tidemill.modeling.schema import FeatureSchema
from tidemill.spec import BASELINES, candidates
from tidemill.storage import bundles
from tidemill.storage.bundles import bundle_digest, load_bundle, safe_skops
from tidemill.storage.bundles.pyfunc_loader import _load_pyfunc
from tidemill.storage.bundles.save import _canonical_json, _sha256, keep_bundle, pack_bundle, save_bundle
from tidemill.versions import OPTIONAL_LIBRARIES

EVERY = candidates("binary") + BASELINES
SCHEMA = FeatureSchema(numeric=("hour", "gust"), categorical=("origin",))


def make_rows(n_samples=400, random_state=0):
    rng = np.random.default_rng(random_state)
    X = pd.DataFrame(
        {
            "hour": rng.integers(5, 23, n_samples).astype(float),
            "gust": np.where(rng.random(n_samples) < 0.5, np.nan, rng.gamma(3.0, 8.0, n_samples)),
            "origin": rng.choice(np.array(["EWR", "JFK", "LGA", None], dtype=object), n_samples),
        }
    )
    return X, rng.random(n_samples) < 1 / (1 + np.exp(-0.3 * (X["hour"].to_numpy() - 14)))


X, Y = make_rows()
GOLDEN = X.head(20)


def fit_one(name):
    validation = make_rows(200, 1)
    return fit(name, "binary", SCHEMA, X, Y, *validation, random_state=7, n_threads=1)


@pytest.fixture(scope="module")
def fitted():
    kept = {}

    def of(name="xgboost"):
        if name not in kept:
            kept[name] = fit_one(name)
        return kept[name]

    return of


@pytest.fixture
def saved(fitted, tmp_path):
    """Return the folder and the digest of a small bundle of scikit-learn objects."""
    folder = tmp_path / "bundle"
    return folder, save_bundle(fitted("shallow_tree"), folder, GOLDEN)


def rewrite(folder, **files):
    """Change files and make manifest and digest fit, as somebody would who can write to the store."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for name, content in files.items():
        file = {"model": "model.skops", "booster": "model.json", "golden": "golden.parquet"}[name]
        (folder / file).write_bytes(content)
        manifest["files"][file] = _sha256(content)
    return rewrite_manifest(folder, manifest)


def rewrite_manifest(folder, manifest):
    (folder / "manifest.json").write_bytes(_canonical_json(manifest))
    return bundle_digest(folder)


@pytest.mark.parametrize("name", EVERY)
def test_a_loaded_bundle_scores_the_same_bits(fitted, tmp_path, name):
    bundle = fitted(name)
    loaded = load_bundle(tmp_path / "b", save_bundle(bundle, tmp_path / "b", GOLDEN))
    assert loaded.score(X).tobytes() == bundle.score(X).tobytes()


def test_everything_but_the_fitted_objects_comes_back_equal(fitted, tmp_path):
    bundle = fitted()
    loaded = load_bundle(tmp_path / "b", save_bundle(bundle, tmp_path / "b", GOLDEN))
    fields = [name for name in bundle.__slots__ if name not in ("preprocessing", "model")]
    assert [getattr(loaded, name) for name in fields] == [getattr(bundle, name) for name in fields]


@pytest.mark.parametrize("name", EVERY)
def test_the_same_fit_twice_gives_the_same_files(fitted, name):
    assert pack_bundle(fit_one(name), GOLDEN) == pack_bundle(fitted(name), GOLDEN)


@pytest.mark.parametrize("name", EVERY)
def test_a_loaded_bundle_is_saved_as_the_same_files(fitted, tmp_path, name):
    loaded = load_bundle(tmp_path / "b", save_bundle(fitted(name), tmp_path / "b", GOLDEN))
    assert pack_bundle(loaded, GOLDEN) == pack_bundle(fitted(name), GOLDEN)


def test_another_process_gives_the_same_digest(fitted, tmp_path):
    script = f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        import test_bundles as here
        for name in ("xgboost", "hist_gradient_boosting", "shallow_tree"):
            print(here.keep_bundle(here.fit_one(name), Path({str(tmp_path)!r}), here.GOLDEN)[1])
    """
    other = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "5"},
    )
    names = ("xgboost", "hist_gradient_boosting", "shallow_tree")
    assert other.stdout.split() == [keep_bundle(fitted(name), tmp_path, GOLDEN)[1] for name in names]


def test_no_time_path_or_memory_address_is_in_the_files(fitted):
    files = pack_bundle(fitted("random_forest"), GOLDEN)
    archive = zipfile.ZipFile(io.BytesIO(files["model.skops"]))
    assert {info.date_time[0] for info in archive.infolist()} == {1980}
    assert b"__id__" not in archive.read("schema.json")


def test_a_bundle_is_kept_in_a_folder_named_by_its_digest(fitted, tmp_path):
    folder, digest = keep_bundle(fitted(), tmp_path / "bundles", GOLDEN)
    assert folder == tmp_path / "bundles" / digest
    assert load_bundle(folder, digest).estimator == "xgboost"


def test_saving_twice_changes_nothing(fitted, saved):
    folder, digest = saved
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert save_bundle(fitted("shallow_tree"), folder, GOLDEN) == digest
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_saving_again_repairs_a_damaged_bundle(fitted, saved):
    folder, digest = saved
    (folder / "model.skops").write_bytes(b"damaged")
    save_bundle(fitted("shallow_tree"), folder, GOLDEN)
    load_bundle(folder, digest)


def test_an_empty_folder_is_filled(fitted, tmp_path):
    (tmp_path / "b").mkdir()
    load_bundle(tmp_path / "b", save_bundle(fitted(), tmp_path / "b", GOLDEN))


def test_another_bundle_is_never_overwritten(fitted, saved):
    with pytest.raises(ArtifactCorrupt, match="already holds another bundle"):
        save_bundle(fitted("prior"), saved[0], GOLDEN)
    load_bundle(*saved)


def test_nothing_is_left_beside_a_bundle(saved):
    assert [path.name for path in saved[0].parent.iterdir()] == ["bundle"]


def test_a_kill_while_writing_leaves_no_bundle(tmp_path):
    script = f"""
        import os, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        import test_bundles as here
        here.save_bundle(here.fit_one("prior"), Path({str(tmp_path / "b")!r}), here.GOLDEN)
    """
    armed = os.environ | {"TIDEMILL_FAULT": "bundle-written:kill"}
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, env=armed)
    assert killed.returncode == -9
    assert not (tmp_path / "b").exists()


def test_a_bundle_without_golden_rows_is_refused(fitted):
    with pytest.raises(ValueError, match="at least one golden row"):
        pack_bundle(fitted(), GOLDEN.head(0))


@pytest.mark.parametrize(
    "file", ["manifest.json", "schema.json", "preprocessing.skops", "model.skops", "golden.parquet"]
)
def test_a_flipped_byte_is_refused_with_the_file_and_both_digests(saved, file):
    folder, digest = saved
    content = bytearray((folder / file).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / file).write_bytes(content)
    with pytest.raises(
        ArtifactCorrupt, match=rf"{file} has changed: expected digest [0-9a-f]{{64}}, got [0-9a-f]{{64}}"
    ):
        load_bundle(folder, digest)


@pytest.mark.parametrize("file", ["schema.json", "preprocessing.skops", "model.skops", "golden.parquet"])
def test_a_missing_file_is_refused_by_name(saved, file):
    (saved[0] / file).unlink()
    with pytest.raises(ArtifactCorrupt, match=rf"lacks file\(s\) \['{file}'\]"):
        load_bundle(*saved)


def test_a_missing_manifest_is_refused(saved):
    (saved[0] / "manifest.json").unlink()
    with pytest.raises(ArtifactCorrupt, match="expected a plain file, got nothing"):
        load_bundle(*saved)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ArtifactCorrupt, match="is not a folder"):
        load_bundle(tmp_path / "none", "00")


@pytest.mark.parametrize("extra", ["model.pkl", "__init__.py", ".hidden"])
def test_an_extra_file_is_refused_by_name(saved, extra):
    (saved[0] / extra).touch()
    with pytest.raises(ArtifactCorrupt, match=extra):
        load_bundle(*saved)


def test_a_model_card_may_lie_beside_it(saved):
    (saved[0] / "MODEL_CARD.md").write_text("# A card")
    load_bundle(*saved)


@pytest.mark.parametrize("file", ["manifest.json", "model.skops", "MODEL_CARD.md"])
def test_a_symbolic_link_is_refused(saved, tmp_path, file):
    folder, digest = saved
    (folder / "MODEL_CARD.md").write_text("# A card")
    (folder / file).rename(tmp_path / "elsewhere")
    (folder / file).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtifactCorrupt, match="symbolic link"):
        load_bundle(folder, digest)


def test_a_linked_folder_is_refused(saved, tmp_path):
    (tmp_path / "link").symlink_to(saved[0])
    with pytest.raises(ArtifactCorrupt, match="is not a folder"):
        load_bundle(tmp_path / "link", saved[1])


def test_another_valid_bundle_in_its_place_is_refused(fitted, saved):
    folder, digest = saved
    shutil.rmtree(folder)
    save_bundle(fitted("prior"), folder, GOLDEN)
    with pytest.raises(ArtifactCorrupt, match=r"manifest\.json has changed"):
        load_bundle(folder, digest)


def test_another_protocol_is_refused_with_both_numbers(saved):
    folder, _ = saved
    manifest = json.loads((folder / "manifest.json").read_bytes()) | {"protocol": 4}
    with pytest.raises(ArtifactCorrupt, match="expected protocol 1, 2 or 3, got 4"):
        load_bundle(folder, rewrite_manifest(folder, manifest))


def test_a_manifest_that_names_a_file_outside_is_refused(saved):
    folder, _ = saved
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"]["../evil"] = "00"
    with pytest.raises(ArtifactCorrupt, match="expected the files"):
        load_bundle(folder, rewrite_manifest(folder, manifest))


def test_a_type_off_the_list_is_refused_by_name_even_with_a_fitting_digest(saved, tmp_path):
    payload = skops_io.dumps(FunctionTransformer(func=os.system, kw_args={"command": f"touch {tmp_path}/canary"}))
    with pytest.raises(ArtifactCorrupt, match="system"):
        load_bundle(saved[0], rewrite(saved[0], model=payload))
    assert not (tmp_path / "canary").exists()


class Canary:
    """Runs when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_in_place_of_a_model_is_never_read(saved, tmp_path):
    import pickle

    payload = pickle.dumps(Canary(tmp_path / "canary"))
    with pytest.raises(ArtifactCorrupt, match=r"model\.skops is not a skops file"):
        load_bundle(saved[0], rewrite(saved[0], model=payload))
    assert not (tmp_path / "canary").exists()


def test_a_broken_booster_is_refused(fitted, tmp_path):
    folder = tmp_path / "b"
    save_bundle(fitted("xgboost"), folder, GOLDEN)
    with pytest.raises(ArtifactCorrupt, match=r"model\.json: a part is missing"):
        load_bundle(folder, rewrite(folder, booster=b"{}"))


def test_the_list_of_types_holds_nothing_that_is_not_needed(fitted):
    needed = set()
    numbers = X["hour"].to_numpy()
    regression = fit(
        "hist_gradient_boosting",
        "regression",
        SCHEMA,
        X,
        numbers,
        X.tail(200),
        numbers[-200:],
        random_state=7,
        n_threads=1,
    )
    installed = [name for name in EVERY if name not in OPTIONAL_LIBRARIES or find_spec(name) is not None]
    for bundle in (*map(fitted, installed), regression):
        files = pack_bundle(bundle, GOLDEN)
        for file in files.keys() & {"preprocessing.skops", "model.skops"}:
            needed |= set(skops_io.get_untrusted_types(data=files[file]))
    assert needed == safe_skops.TRUSTED


def golden_with(folder, change):
    frame = pd.read_parquet(folder / "golden.parquet")
    buffer = io.BytesIO()
    frame.assign(_score=change(frame["_score"])).to_parquet(buffer, index=False)
    return buffer.getvalue()


def test_a_golden_score_off_by_one_bit_is_refused_when_versions_are_equal(saved):
    golden = golden_with(saved[0], lambda score: np.nextafter(score, 1))
    with pytest.raises(ArtifactCorrupt, match=r"20 of 20 rows score differently.*bits must be equal"):
        load_bundle(saved[0], rewrite(saved[0], golden=golden))


def test_a_golden_score_that_is_not_a_number_is_refused(saved):
    golden = golden_with(saved[0], lambda score: score * np.nan)
    with pytest.raises(ArtifactCorrupt, match="20 of 20 rows score differently"):
        load_bundle(saved[0], rewrite(saved[0], golden=golden))


def with_other_version(folder):
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["environment"]["xgboost"] = "3.0.99"
    return rewrite_manifest(folder, manifest)


def test_a_small_difference_is_allowed_across_versions(saved):
    rewrite(saved[0], golden=golden_with(saved[0], lambda score: score + 9e-7))
    load_bundle(saved[0], with_other_version(saved[0]))


def test_a_large_difference_across_versions_is_refused_with_both_versions(saved):
    rewrite(saved[0], golden=golden_with(saved[0], lambda score: score + 2e-6))
    with pytest.raises(ArtifactCorrupt, match=r"difference of 1e-06 is allowed, since xgboost 3.0.99 there, \d.* here"):
        load_bundle(saved[0], with_other_version(saved[0]))


def test_the_manifest_names_versions_platform_seed_and_threads(saved):
    manifest = json.loads((saved[0] / "manifest.json").read_bytes())
    assert manifest["environment"]["python"] == platform.python_version()
    assert manifest["environment"].keys() >= {"numpy", "pandas", "scikit-learn", "skops", "xgboost", "platform"}
    assert (manifest["protocol"], manifest["random_state"], manifest["n_threads"]) == (bundles.PROTOCOL, 7, 1)


def test_the_loader_of_mlflow_scores_the_same_bits_on_the_same_index(fitted, saved):
    frame = _load_pyfunc(str(saved[0])).predict(X.tail(5))
    assert frame["score"].to_numpy().tobytes() == fitted("shallow_tree").score(X.tail(5)).tobytes()
    assert frame.index.equals(X.tail(5).index)


def test_the_loader_of_mlflow_refuses_a_folder_named_by_another_digest(fitted, tmp_path):
    folder, _ = keep_bundle(fitted("prior"), tmp_path, GOLDEN)
    other = folder.rename(tmp_path / ("0" * 64))
    with pytest.raises(ArtifactCorrupt, match="holds another bundle"):
        _load_pyfunc(str(other))
