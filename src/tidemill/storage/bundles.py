"""Bundles on disk: a fitted model as plain files that are checked before anything in them is constructed.

::

    manifest.json          protocol, digest of every file, environment, seed, threads; its own digest names the bundle
    schema.json            task, estimator, features, classes, threshold, what belongs to the task
    preprocessing.skops    fitted encoders and imputers
    model.ubj              the booster, or model.skops for a scikit-learn estimator
    golden.parquet         rows with the scores that they have to get
    MODEL_CARD.md          optional, outside the digest: for people, written later, never read here

Loading reads each file once and goes: manifest's digest, every file's digest, nothing missing, nothing more, no link;
then the versions that it was made with; then the list of allowed types; then where the nodes of trees point;
then construction; then the golden rows. No pickle, in either direction. The same
fitted model gives the same bytes: no time, no path and no memory address gets in.
"""

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import xgboost

from tidemill.errors import ArtifactCorrupt
from tidemill.faults import fault_point
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.calibration import Calibration
from tidemill.modeling.schema import FeatureSchema
from tidemill.records import Record
from tidemill.storage import safe_skops
from tidemill.storage.golden import check_golden, golden_parquet, refuse_incompatible
from tidemill.storage.sound_trees import refuse_unsound_booster, refuse_unsound_trees
from tidemill.storage.store import Store, room
from tidemill.versions import environment

__all__ = [
    "MODEL_CARD",
    "PROTOCOL",
    "Manifest",
    "adopt_bundle",
    "bundle_digest",
    "keep_bundle",
    "keep_card",
    "load_bundle",
    "pack_bundle",
    "read_manifest",
    "save_bundle",
]

# Raise it by one when a bundle of before can no longer be read by the code of after: another file name, another
# meaning of a field, another encoding. Then, in the same commit: keep a reader for the old number as long as releases
# of that number may serve (`SELECT DISTINCT bundle_digest FROM tidemill.deployment`), say in CHANGELOG.md what changed,
# and keep one bundle of the old number as a test. A reader of an old number must never check less than the newest.
# A field that old code may ignore is no reason to raise it.
PROTOCOL = 2
"""Version of the layout above. Since 2: tasks beside binary, golden scores of several classes, and what belongs to them."""

_READABLE = (1, PROTOCOL)  # 1 has the same files; what its schema.json lacks is what a binary model does not have

MODEL_CARD = "MODEL_CARD.md"
"""The one file that may lie beside the bundle's own."""

_MANIFEST, _SCHEMA, _PREPROCESSING, _GOLDEN = "manifest.json", "schema.json", "preprocessing.skops", "golden.parquet"
_BOOSTER, _ESTIMATOR = "model.ubj", "model.skops"
_RESTORE = "Restore the bundle from a backup, or train again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(Record):
    """What a bundle consists of, and where it was made."""

    protocol: int
    """`PROTOCOL` of the writer."""
    files: dict[str, str]
    """File name to SHA-256."""
    environment: dict[str, str]
    """Versions of Python and libraries, and the platform, e.g. ``{"xgboost": "3.2.0"}``."""
    random_state: int
    """Seed of the fit."""
    n_threads: int
    """Threads of the fit."""


def save_bundle(bundle: Bundle, folder: Path, golden: pd.DataFrame, trusted: frozenset[str] = frozenset()) -> str:
    """Write a bundle, after it has been read back and has scored its golden rows.

    The files are written aside and the folder is renamed last: a kill leaves the whole bundle or nothing but a
    ``.writing-…`` folder. Writing the same bundle again changes nothing, and mends it if a file was damaged.

    Parameters
    ----------
    bundle : Bundle
        Fitted model.
    folder : Path
        Where to put it; missing, empty, or already holding this very bundle.
    golden : pandas.DataFrame of shape (n_samples, n_columns)
        Raw rows to keep with their scores, at least one; some fifty that differ are plenty.
    trusted : frozenset of str, default empty
        Import paths that the spec allows beyond our own list, for an estimator of the user's own.

    Returns
    -------
    str
        Digest: SHA-256 of the manifest.

    Raises
    ------
    ArtifactCorrupt
        If the folder holds something else, or the bundle cannot be read back.
    SpecError
        If the estimator holds objects that may not be stored.
    StorageFull
        If the disk has no room; nothing is left of the attempt.
    """
    return _save(pack_bundle(bundle, golden, trusted), folder, trusted)


def keep_bundle(
    bundle: Bundle, parent: Path, golden: pd.DataFrame, trusted: frozenset[str] = frozenset()
) -> tuple[Path, str]:
    """Write a bundle into a folder named by its digest; give the folder and the digest."""
    files = pack_bundle(bundle, golden, trusted)
    folder = parent / _sha256(files[_MANIFEST])
    return folder, _save(files, folder, trusted)


def adopt_bundle(source: Path, folder: Path, digest: str, trusted: frozenset[str] = frozenset()) -> None:
    """Put a bundle that comes from elsewhere into its folder, after it has passed every check of loading.

    Raises
    ------
    ArtifactCorrupt
        If it is not what the digest says.
    IncompatibleVersions
        If it was made with another major version of a library.
    """
    manifest = read_manifest(source, digest)
    _refuse_missing_or_extra(source, manifest)
    _save({name: _read(source, name) for name in (*manifest.files, _MANIFEST)}, folder, trusted)


def keep_card(store: Store, uri: str, text: str) -> None:
    """Put the card beside the bundle's own files; half of one would be a file that no bundle may have."""
    path = store.root / uri / MODEL_CARD
    with room(path.parents[1]), tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parents[1]) as aside:
        written = Path(aside) / path.name
        written.write_text(text, encoding="utf-8")
        fault_point("card-written")
        written.replace(path)
    if store.bucket is not None:
        store.note(f"{uri}/{MODEL_CARD}", text.encode())


def _save(files: dict[str, bytes], folder: Path, trusted: frozenset[str]) -> str:
    digest = _sha256(files[_MANIFEST])
    _refuse_other_content(folder, digest)
    with room(folder.parent), tempfile.TemporaryDirectory(prefix=".writing-", dir=folder.parent) as aside:
        written = Path(aside) / "bundle"
        written.mkdir()
        for name, content in files.items():
            _write(written / name, content)
        load_bundle(written, digest, trusted)
        fault_point("bundle-written")
        _settle(written, folder, digest, trusted)
        fault_point("bundle-renamed")
    _flush(folder.parent)
    return digest


def load_bundle(folder: Path, expected_digest: str, trusted: frozenset[str] = frozenset()) -> Bundle:
    """Read a bundle, if every check passes.

    Parameters
    ----------
    folder : Path
        Where it lies.
    expected_digest : str
        Digest as the ledger knows it, 64 hexadecimal digits; never one that travelled with the bundle.
    trusted : frozenset of str, default empty
        Import paths that the spec allows beyond our own list, for an estimator of the user's own; they come from
        reviewed code, never from the bundle or from where it lies.

    Raises
    ------
    ArtifactCorrupt
        If anything differs from what was saved: file, digest, type, score. The message names it.
    IncompatibleVersions
        If it was made with another major version of a library; the golden rows decide about all others.
    """
    manifest = read_manifest(folder, expected_digest)
    _refuse_missing_or_extra(folder, manifest)
    refuse_incompatible(str(folder), manifest.environment, environment())
    contents = {name: _read_checked(folder, name, digest) for name, digest in manifest.files.items()}
    bundle = _construct(contents, manifest, trusted)
    check_golden(bundle, contents[_GOLDEN], _GOLDEN, manifest.environment, environment())
    return bundle


def bundle_digest(folder: Path) -> str:
    """Return the digest of the manifest that lies in a folder, unchecked."""
    return _sha256(_read(folder, _MANIFEST))


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
        _SCHEMA: _canonical_json(_describe(bundle)),
        _PREPROCESSING: safe_skops.dump(bundle.preprocessing),
        _GOLDEN: golden_parquet(bundle, golden),
    }
    if isinstance(bundle.model, xgboost.Booster):
        files[_BOOSTER] = bytes(bundle.model.save_raw("ubj"))
    else:
        files[_ESTIMATOR] = safe_skops.dump(bundle.model, trusted)
    manifest = Manifest(
        protocol=PROTOCOL,
        files={name: _sha256(content) for name, content in files.items()},
        environment=environment(),
        random_state=bundle.random_state,
        n_threads=bundle.n_threads,
    )
    return files | {_MANIFEST: _canonical_json(manifest.to_dict())}


def _describe(bundle: Bundle) -> dict[str, Any]:
    return {
        "task": bundle.task,
        "estimator": bundle.estimator,
        "features": bundle.schema.to_dict(),
        "classes": list(bundle.classes),
        "threshold": bundle.threshold,
        "threshold_criterion": bundle.threshold_criterion,
        "calibration": None if bundle.calibration is None else bundle.calibration.to_dict(),
        "residual_quantiles": bundle.residual_quantiles,
        "block_rows": bundle.block_rows,
        "remarks": list(bundle.remarks),
    }


def read_manifest(folder: Path, expected_digest: str) -> Manifest:
    """Return a bundle's manifest, after it has been compared with the digest; nothing else is read.

    Raises
    ------
    ArtifactCorrupt
        If it is missing, another one, or of a protocol that this version does not read.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise ArtifactCorrupt(f"Bundle {folder} is not a folder.", _RESTORE)
    content = _read_checked(folder, _MANIFEST, expected_digest)
    values = json.loads(content)
    if values.get("protocol") not in _READABLE:
        raise ArtifactCorrupt(
            f"{folder / _MANIFEST}: expected protocol {' or '.join(map(str, _READABLE))}, got {values.get('protocol')}.",
            "Load it with the version of Tidemill that wrote it, or train again.",
        )
    return Manifest.from_dict(values)


def _refuse_missing_or_extra(folder: Path, manifest: Manifest) -> None:
    required = {_SCHEMA, _PREPROCESSING, _GOLDEN, _BOOSTER if _BOOSTER in manifest.files else _ESTIMATOR}
    if set(manifest.files) != required:
        raise ArtifactCorrupt(
            f"{folder / _MANIFEST}: expected the files {sorted(required)}, got {sorted(manifest.files)}.", _RESTORE
        )
    present = {path.name for path in folder.iterdir()}
    missing, extra = required - present, present - required - {_MANIFEST, MODEL_CARD}
    if missing or extra:
        raise ArtifactCorrupt(
            f"Bundle {folder} lacks file(s) {sorted(missing)} and has {sorted(extra)} too many.", _RESTORE
        )
    if (folder / MODEL_CARD).is_symlink():
        raise ArtifactCorrupt(f"{folder / MODEL_CARD} is a symbolic link.", "Replace it by a plain file.")


def _read_checked(folder: Path, name: str, expected: str) -> bytes:
    """Read a file once; what is hashed here is what is parsed later, whatever happens to the file meanwhile."""
    content = _read(folder, name)
    found = _sha256(content)
    if found != expected:
        raise ArtifactCorrupt(f"{folder / name} has changed: expected digest {expected}, got {found}.", _RESTORE)
    return content


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    if path.is_symlink() or not path.is_file():
        found = "a symbolic link" if path.is_symlink() else "a folder" if path.is_dir() else "nothing"
        raise ArtifactCorrupt(f"{path}: expected a plain file, got {found}.", _RESTORE)
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as stream:
        return stream.read()


def _construct(contents: dict[str, bytes], manifest: Manifest, trusted: frozenset[str]) -> Bundle:
    described = json.loads(contents[_SCHEMA])
    curve, quantiles = described.get("calibration"), described.get("residual_quantiles")
    return Bundle(
        task=described["task"],
        estimator=described["estimator"],
        schema=FeatureSchema.from_dict(described["features"]),
        preprocessing=safe_skops.load(contents[_PREPROCESSING], _PREPROCESSING),
        model=_load_model(contents, manifest, trusted),
        classes=tuple(described["classes"]),
        threshold=described["threshold"],
        threshold_criterion=described["threshold_criterion"],
        calibration=None if curve is None else Calibration.from_dict(curve),
        residual_quantiles=None if quantiles is None else (float(quantiles[0]), float(quantiles[1])),
        block_rows=described.get("block_rows"),
        remarks=tuple(described.get("remarks", ())),
        random_state=manifest.random_state,
        n_threads=manifest.n_threads,
    )


def _load_model(contents: dict[str, bytes], manifest: Manifest, trusted: frozenset[str]) -> Any:
    if _ESTIMATOR in contents:
        model = safe_skops.load(contents[_ESTIMATOR], _ESTIMATOR, trusted)
        refuse_unsound_trees(model, _ESTIMATOR)
        return model
    refuse_unsound_booster(contents[_BOOSTER], _BOOSTER)
    booster = xgboost.Booster(params={"nthread": manifest.n_threads, "verbosity": 0})
    try:
        booster.load_model(bytearray(contents[_BOOSTER]))
    except xgboost.core.XGBoostError as error:
        raise ArtifactCorrupt(f"{_BOOSTER} cannot be read by XGBoost {xgboost.__version__}.", _RESTORE) from error
    return booster


def _refuse_other_content(folder: Path, digest: str) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    found = bundle_digest(folder)
    if found != digest:
        raise ArtifactCorrupt(
            f"{folder} already holds another bundle: expected digest {digest}, got {found}.",
            "Choose another folder; a stored bundle is never changed.",
        )


def _settle(written: Path, folder: Path, digest: str, trusted: frozenset[str]) -> None:
    if folder.is_dir() and any(folder.iterdir()):
        try:
            load_bundle(folder, digest, trusted)
        except ArtifactCorrupt:
            folder.rename(written.with_name("damaged"))  # goes with the temporary folder
        else:
            return
    try:
        written.rename(folder)
    except OSError:
        if not (folder / _MANIFEST).is_file():  # else another process has just put the same bundle there
            raise
        load_bundle(folder, digest, trusted)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _flush(folder: Path) -> None:
    """Make a rename survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _canonical_json(values: dict[str, Any]) -> bytes:
    return json.dumps(values, sort_keys=True, indent=1, allow_nan=False).encode() + b"\n"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
