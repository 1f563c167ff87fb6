"""Load a bundle, if every check passes."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import xgboost
from pydantic import Field, ValidationError

from tidemill.errors import ArtifactCorrupt
from tidemill.modeling.boosters import LIBRARY_MODELS, LibraryModel
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.calibration import Calibration
from tidemill.modeling.schema import FeatureSchema
from tidemill.record import Record
from tidemill.storage.bundles import safe_skops
from tidemill.storage.bundles.golden import check_golden, refuse_incompatible
from tidemill.storage.bundles.text_checks import refuse_unsound_text
from tidemill.storage.bundles.tree_checks import refuse_unsound_booster, refuse_unsound_trees
from tidemill.versions import OPTIONAL_LIBRARIES, environment

__all__ = [
    "BOOSTER",
    "ESTIMATOR",
    "GOLDEN",
    "MANIFEST",
    "MODEL_CARD",
    "PREPROCESSING",
    "PROTOCOL",
    "SCHEMA",
    "Description",
    "Manifest",
    "bundle_digest",
    "file_names",
    "load_bundle",
    "read_file",
    "read_manifest",
]

# Raise it by one when new code can no longer read an older bundle: another file name, another meaning of a field,
# another encoding. Then, in the same commit: keep a reader for the old number as long as releases of that number may
# serve (`SELECT DISTINCT bundle_digest FROM tidemill.deployment`), note the change for the changelog, and keep one
# bundle of the old number as a test. A reader of an old number must never check less than the newest.
# A field that old code may ignore is no reason to raise it.
PROTOCOL = 3
"""Version of the layout. 2 added tasks other than binary; 3 keeps boosters as JSON, which were UBJSON before."""

_READABLE = (1, 2, PROTOCOL)  # older ones hold the same files, unless their model is a booster

MODEL_CARD = "MODEL_CARD.md"
"""The one file that may lie beside the bundle's own."""

MANIFEST, SCHEMA, PREPROCESSING, GOLDEN = "manifest.json", "schema.json", "preprocessing.skops", "golden.parquet"
BOOSTER, ESTIMATOR = "model.json", "model.skops"
_UBJSON_BOOSTER = "model.ubj"  # of protocols 1 and 2
_MODELS = (BOOSTER, *(kind.file for kind in LIBRARY_MODELS))  # a bundle without any of them holds an ESTIMATOR
_RESTORE = "Restore the bundle from a backup, or train again."

Count = Annotated[int, Field(ge=1)]
Parsed = TypeVar("Parsed", bound=Record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(Record):
    """Files of a bundle, and the environment that made it."""

    protocol: int
    """`PROTOCOL` of the writer."""
    files: dict[str, str]
    """File name to SHA-256."""
    environment: dict[str, str]
    """Versions of Python and libraries, and the platform, e.g. ``{"xgboost": "3.2.0"}``."""
    random_state: int
    """Seed of the fit."""
    n_threads: Count
    """Threads of the fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description(Record):
    """Content of ``schema.json``: the plain fields of `Bundle`."""

    task: Literal["binary", "multiclass", "regression"]
    estimator: str
    features: FeatureSchema
    classes: tuple[bool, ...] | tuple[str, ...]
    threshold: float | None
    threshold_criterion: str
    calibration: Calibration | None = None
    residual_quantiles: tuple[float, float] | None = None
    block_rows: Count | None = None
    remarks: tuple[str, ...] = ()


def load_bundle(folder: Path, expected_digest: str, trusted: frozenset[str] = frozenset()) -> Bundle:
    """Load a bundle, if every check passes.

    Parameters
    ----------
    expected_digest : str
        Digest from the ledger, 64 hexadecimal digits; never a digest that came with the bundle.
    trusted : frozenset of str, default empty
        Import paths that the spec allows beyond the built-in list, for a custom estimator; they come from reviewed
        code, never from the bundle or its folder.

    Raises
    ------
    ArtifactCorrupt
        If anything differs from what was saved: file, digest, type, score. The message names it.
    IncompatibleVersions
        If it was made with another major version of a library; the golden rows decide about other differences.
    """
    manifest = read_manifest(folder, expected_digest)
    file_names(folder, manifest)
    here = environment(*(name for name in OPTIONAL_LIBRARIES if name in manifest.environment))
    refuse_incompatible(str(folder), manifest.environment, here)
    contents = {name: _read_checked(folder, name, digest) for name, digest in manifest.files.items()}
    bundle = _construct(contents, manifest, trusted)
    check_golden(bundle, contents[GOLDEN], GOLDEN, manifest.environment, here)
    return bundle


def bundle_digest(folder: Path) -> str:
    """Return the digest of a folder's manifest, unchecked."""
    return hashlib.sha256(read_file(folder, MANIFEST)).hexdigest()


def read_manifest(folder: Path, expected_digest: str) -> Manifest:
    """Return a bundle's manifest, after comparing it with the digest; no other file is read.

    Raises
    ------
    ArtifactCorrupt
        If it is missing, different, malformed, or of a protocol that this version does not read.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise ArtifactCorrupt(f"Bundle {folder} is not a folder.", _RESTORE)
    content = _read_checked(folder, MANIFEST, expected_digest)
    values = _parse_json(content, MANIFEST)
    if values.get("protocol") not in _READABLE:
        raise ArtifactCorrupt(
            f"{folder / MANIFEST}: expected protocol {_listed(_READABLE)}, got {values.get('protocol')}.",
            "Load it with the version of Tidemill that wrote it, or train again.",
        )
    return _parse(Manifest, values, MANIFEST)


def file_names(folder: Path, manifest: Manifest) -> tuple[str, ...]:
    """Return the names of a bundle's files without the manifest, if exactly these exist.

    Raises
    ------
    ArtifactCorrupt
        If a file is missing, extra or a link, or the manifest lists names that no bundle has.
    """
    if _UBJSON_BOOSTER in manifest.files:
        raise ArtifactCorrupt(
            f"{folder / _UBJSON_BOOSTER} is a booster of protocol {manifest.protocol}; protocol {PROTOCOL} keeps boosters "
            f"as {BOOSTER}.",
            "Load it with the version of Tidemill that wrote it, or train again.",
        )
    model = next((name for name in _MODELS if name in manifest.files), ESTIMATOR)
    required = {SCHEMA, PREPROCESSING, GOLDEN, model}
    if set(manifest.files) != required:
        raise ArtifactCorrupt(
            f"{folder / MANIFEST}: expected the files {sorted(required)}, got {sorted(manifest.files)}.", _RESTORE
        )
    present = {path.name for path in folder.iterdir()}
    missing, extra = required - present, present - required - {MANIFEST, MODEL_CARD}
    if missing or extra:
        raise ArtifactCorrupt(
            f"Bundle {folder} lacks file(s) {sorted(missing)} and has {sorted(extra)} too many.", _RESTORE
        )
    if (folder / MODEL_CARD).is_symlink():
        raise ArtifactCorrupt(f"{folder / MODEL_CARD} is a symbolic link.", "Replace it by a plain file.")
    return tuple(sorted(required))


def read_file(folder: Path, name: str) -> bytes:
    """Return a file's content.

    Raises
    ------
    ArtifactCorrupt
        If it is not a plain file.
    """
    path = folder / name
    if path.is_symlink() or not path.is_file():
        found = "a symbolic link" if path.is_symlink() else "a folder" if path.is_dir() else "nothing"
        raise ArtifactCorrupt(f"{path}: expected a plain file, got {found}.", _RESTORE)
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as stream:
        return stream.read()


def _read_checked(folder: Path, name: str, expected: str) -> bytes:
    """Read a file once, so that the hashed bytes are those that are parsed, even if the file changes meanwhile."""
    content = read_file(folder, name)
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ArtifactCorrupt(f"{folder / name} has changed: expected digest {expected}, got {found}.", _RESTORE)
    return content


def _parse_json(content: bytes, file: str) -> dict[str, Any]:
    try:
        values = json.loads(content)
        json.dumps(values, ensure_ascii=False).encode()  # half of a surrogate pair is not text, and cannot be printed
    except (ValueError, RecursionError) as error:
        raise ArtifactCorrupt(f"{file} is not JSON: {ascii(str(error))[1:-1]}.", _RESTORE) from error
    if not isinstance(values, dict):
        raise ArtifactCorrupt(f"{file}: expected an object, got {type(values).__name__}.", _RESTORE)
    return values


def _parse(kind: type[Parsed], values: dict[str, Any], file: str) -> Parsed:
    try:
        return kind.from_dict(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ArtifactCorrupt(f"{file} is malformed: {place}: {first['msg']}.", _RESTORE) from error


def _construct(contents: Mapping[str, bytes], manifest: Manifest, trusted: frozenset[str]) -> Bundle:
    described = _parse(Description, _parse_json(contents[SCHEMA], SCHEMA), SCHEMA)
    return Bundle(
        task=described.task,
        estimator=described.estimator,
        schema=described.features,
        preprocessing=safe_skops.load(contents[PREPROCESSING], PREPROCESSING),
        model=_load_model(contents, manifest, trusted),
        classes=described.classes,
        threshold=described.threshold,
        threshold_criterion=described.threshold_criterion,
        calibration=described.calibration,
        residual_quantiles=described.residual_quantiles,
        block_rows=described.block_rows,
        remarks=described.remarks,
        random_state=manifest.random_state,
        n_threads=manifest.n_threads,
    )


def _load_model(contents: Mapping[str, bytes], manifest: Manifest, trusted: frozenset[str]) -> Any:
    if ESTIMATOR in contents:
        model = safe_skops.load(contents[ESTIMATOR], ESTIMATOR, trusted)
        refuse_unsound_trees(model, ESTIMATOR)
        return model
    for kind in LIBRARY_MODELS:
        if kind.file in contents:
            return _load_library_model(kind, contents[kind.file])
    refuse_unsound_booster(contents[BOOSTER], BOOSTER)
    booster = xgboost.Booster(params={"nthread": manifest.n_threads, "verbosity": 0})
    try:
        booster.load_model(bytearray(contents[BOOSTER]))
    except xgboost.core.XGBoostError as error:
        raise ArtifactCorrupt(f"{BOOSTER} cannot be read by XGBoost {xgboost.__version__}.", _RESTORE) from error
    return booster


def _load_library_model(kind: type[LibraryModel], content: bytes) -> LibraryModel:
    refuse_unsound_text(content, kind.file)
    try:
        return kind(content.decode())
    except ValueError as error:
        raise ArtifactCorrupt(f"{kind.file} cannot be read by {kind.library}: {error}.", _RESTORE) from error


def _listed(numbers: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, numbers[:-1]))} or {numbers[-1]}"
