"""Save a bundle: pack a fitted model into files, load it back, and move it into place."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import xgboost

from tidemill.errors import ArtifactCorrupt
from tidemill.faults import fault_point
from tidemill.modeling.boosters import LibraryModel
from tidemill.modeling.bundle import Bundle
from tidemill.storage.atomic import aside, flush_files, move_into_place
from tidemill.storage.bundles import safe_skops
from tidemill.storage.bundles.golden import golden_parquet
from tidemill.storage.bundles.load import (
    BOOSTER,
    ESTIMATOR,
    GOLDEN,
    MANIFEST,
    MODEL_CARD,
    PREPROCESSING,
    PROTOCOL,
    SCHEMA,
    Description,
    Manifest,
    bundle_digest,
    file_names,
    load_bundle,
    read_file,
    read_manifest,
)
from tidemill.storage.store import Store
from tidemill.versions import environment

__all__ = ["adopt_bundle", "keep_bundle", "keep_card", "pack_bundle", "save_bundle"]


def save_bundle(bundle: Bundle, folder: Path, golden: pd.DataFrame, trusted: frozenset[str] = frozenset()) -> str:
    """Write a bundle, after loading it and scoring its golden rows; return its digest.

    The files go to a temporary folder, which is renamed last: a kill leaves the whole bundle, or only a
    ``.writing-…`` folder. Writing the same bundle again changes nothing, and repairs a damaged file.

    Parameters
    ----------
    folder : Path
        Target; missing, empty, or with this same bundle in it.
    golden : pandas.DataFrame of shape (n_samples, n_columns)
        Raw rows to keep with their scores, at least one; about fifty different ones suffice.
    trusted : frozenset of str, default empty
        Import paths that the spec allows beyond the built-in list, for a custom estimator.

    Raises
    ------
    ArtifactCorrupt
        If the folder contains something else, or the bundle cannot be loaded again.
    SpecError
        If the estimator holds objects that may not be stored.
    StorageFull
        If the disk has no room; nothing is left of the attempt.
    """
    return _save(pack_bundle(bundle, golden, trusted), folder, trusted)


def keep_bundle(
    bundle: Bundle, parent: Path, golden: pd.DataFrame, trusted: frozenset[str] = frozenset()
) -> tuple[Path, str]:
    """Write a bundle into a folder named by its digest; return the folder and the digest."""
    files = pack_bundle(bundle, golden, trusted)
    folder = parent / _sha256(files[MANIFEST])
    return folder, _save(files, folder, trusted)


def adopt_bundle(source: Path, folder: Path, digest: str, trusted: frozenset[str] = frozenset()) -> None:
    """Move a bundle from elsewhere into its folder, after every check of loading.

    Raises
    ------
    ArtifactCorrupt
        If it does not match the digest.
    IncompatibleVersions
        If it was made with another major version of a library.
    """
    names = (*file_names(source, read_manifest(source, digest)), MANIFEST)
    _save({name: read_file(source, name) for name in names}, folder, trusted)


def keep_card(store: Store, uri: str, text: str) -> None:
    """Write the card next to the bundle's files, atomically: a bundle must not contain a temporary file."""
    path = store.root / uri / MODEL_CARD
    with aside(path.parents[1]) as beside:
        written = beside / path.name
        written.write_text(text, encoding="utf-8")
        fault_point("card-written")
        written.replace(path)
    if store.bucket is not None:
        store.note(f"{uri}/{MODEL_CARD}", text.encode())


def pack_bundle(bundle: Bundle, golden: pd.DataFrame, trusted: frozenset[str] = frozenset()) -> dict[str, bytes]:
    """Return the files of a bundle by name, manifest included, without writing them.

    Raises
    ------
    ValueError
        If there is no golden row.
    SpecError
        If the estimator holds objects that may not be stored.
    """
    if golden.empty:
        raise ValueError("a bundle needs at least one golden row")
    files = {
        SCHEMA: _canonical_json(_describe(bundle).to_dict()),
        PREPROCESSING: safe_skops.dump(bundle.preprocessing),
        GOLDEN: golden_parquet(bundle, golden),
    }
    if isinstance(bundle.model, xgboost.Booster):
        files[BOOSTER] = bytes(bundle.model.save_raw("json"))
    elif isinstance(bundle.model, LibraryModel):
        files[bundle.model.file] = bundle.model.text.encode()
    else:
        files[ESTIMATOR] = safe_skops.dump(bundle.model, trusted)
    manifest = Manifest(
        protocol=PROTOCOL,
        files={name: _sha256(content) for name, content in files.items()},
        environment=environment(*bundle.libraries),
        random_state=bundle.random_state,
        n_threads=bundle.n_threads,
    )
    return files | {MANIFEST: _canonical_json(manifest.to_dict())}


def _describe(bundle: Bundle) -> Description:
    return Description.from_dict(
        {
            "task": bundle.task,
            "estimator": bundle.estimator,
            "features": bundle.schema,
            "classes": bundle.classes,
            "threshold": bundle.threshold,
            "threshold_criterion": bundle.threshold_criterion,
            "calibration": bundle.calibration,
            "residual_quantiles": bundle.residual_quantiles,
            "block_rows": bundle.block_rows,
            "remarks": bundle.remarks,
        }
    )


def _save(files: dict[str, bytes], folder: Path, trusted: frozenset[str]) -> str:
    digest = _sha256(files[MANIFEST])
    _refuse_other_content(folder, digest)
    with aside(folder.parent) as beside:
        written = beside / "bundle"
        written.mkdir()
        for name, content in files.items():
            (written / name).write_bytes(content)
        flush_files(written)
        load_bundle(written, digest, trusted)
        fault_point("bundle-written")
        move_into_place(written, folder, lambda there: _is_sound(there, digest, trusted))
        fault_point("bundle-renamed")
    return digest


def _is_sound(folder: Path, digest: str, trusted: frozenset[str]) -> bool:
    try:
        load_bundle(folder, digest, trusted)
    except ArtifactCorrupt:
        return False
    return True


def _refuse_other_content(folder: Path, digest: str) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    found = bundle_digest(folder)
    if found != digest:
        raise ArtifactCorrupt(
            f"{folder} already holds another bundle: expected digest {digest}, got {found}.",
            "Choose another folder; a stored bundle is never changed.",
        )


def _canonical_json(values: dict[str, Any]) -> bytes:
    return json.dumps(values, sort_keys=True, indent=1, allow_nan=False).encode() + b"\n"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
