"""scikit-learn objects as skops bytes: the same bytes for the same object, and a constant list of types.

skops names everything by its memory address and stamps its zip with the time, and trees have garbage between their
fields, so equal objects differ on disk; here all three are taken out. What a file may construct is decided by
`TRUSTED` below and by nothing that travels with the file (mlflow/mlflow#25686 shows what happens otherwise).
"""

import hashlib
import io
import json
import zipfile
from typing import Any

import numpy as np
from skops import io as skops_io
from skops.io.exceptions import UnsupportedTypeException

from tidemill.errors import ArtifactCorrupt, SpecError

__all__ = ["TRUSTED", "dump", "load"]

TRUSTED = frozenset(
    {
        "numpy.dtype",  # dtypes that encoders and imputers keep
        "sklearn.model_selection._split.StratifiedKFold",  # folds of the target encoder
        "sklearn.model_selection._split.KFold",  # the same, of other tasks than binary
        "sklearn.tree._tree.Tree",  # random_forest, shallow_tree
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",  # hist_gradient_boosting
    }
)
"""Types beyond skops' own defaults that a bundle may construct. The last two index memory without bounds checks, so
their bytes are only touched after the bundle's digest has been compared with the ledger's."""

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest date that a zip can hold


def dump(estimator: Any, trusted: frozenset[str] = frozenset()) -> bytes:
    """Give a scikit-learn object as skops bytes that depend on its content alone.

    Parameters
    ----------
    estimator : object
        Fitted.
    trusted : frozenset of str, default empty
        Import paths that the spec allows beyond `TRUSTED`.

    Raises
    ------
    SpecError
        If it holds an object that skops cannot store, or that could not be read back.
    """
    kind = f"{type(estimator).__module__}.{type(estimator).__qualname__}"
    try:
        dumped = skops_io.dumps(estimator)
    except (UnsupportedTypeException, TypeError, AttributeError, ValueError) as error:
        raise SpecError(
            f"A model of {kind} cannot be stored without pickle: {error}.", "Choose another class under 'train.own'."
        ) from error
    untrusted = set(skops_io.get_untrusted_types(data=dumped)) - TRUSTED - trusted
    if untrusted:
        raise SpecError(
            f"A model of {kind} holds {', '.join(sorted(untrusted))}, which no bundle may construct.",
            "If you trust it, name it under 'train.own.<name>.trust'; else choose another class.",
        )
    with zipfile.ZipFile(io.BytesIO(dumped)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    schema = json.loads(members.pop("schema.json"))
    members = {name: _without_padding(content) for name, content in members.items()}
    names = {name: hashlib.sha256(content).hexdigest() + ".npy" for name, content in members.items()}
    canonical = {names[name]: content for name, content in members.items()}
    canonical["schema.json"] = json.dumps(_without_addresses(schema, names)).encode()
    return _zip(canonical)


def load(data: bytes, file: str, trusted: frozenset[str] = frozenset()) -> Any:
    """Construct a scikit-learn object, if all its types are trusted.

    Parameters
    ----------
    data : bytes
        What `dump` gave.
    file : str
        Name for the error.
    trusted : frozenset of str, default empty
        Import paths that the spec allows beyond `TRUSTED`; never anything that travelled with the bytes.

    Raises
    ------
    ArtifactCorrupt
        If the bytes are no skops file, or name a type that is neither in `TRUSTED` nor in ``trusted``.
    """
    allowed = TRUSTED | trusted
    try:
        untrusted = set(skops_io.get_untrusted_types(data=data)) - allowed
    except (zipfile.BadZipFile, LookupError, TypeError, ValueError) as error:
        raise ArtifactCorrupt(
            f"{file} is not a skops file: {error}.", "Restore the bundle from a backup, or train again."
        ) from error
    if untrusted:
        raise ArtifactCorrupt(
            f"{file} wants to construct type(s) {', '.join(sorted(untrusted))}, which no bundle of ours needs.",
            "Do not load it; find out who wrote it, and train again.",
        )
    return skops_io.loads(data, trusted=sorted(allowed))


def _without_addresses(state: Any, names: dict[str, str]) -> Any:
    """Drop memory addresses and name arrays by their content; skops itself never refers back to an address."""
    if isinstance(state, list):
        return [_without_addresses(item, names) for item in state]
    if not isinstance(state, dict):
        return state
    clean = {key: _without_addresses(value, names) for key, value in state.items() if key != "__id__"}
    if isinstance(clean.get("file"), str):
        clean["file"] = names[clean["file"]]
    if clean.get("__loader__") == "SetNode":  # Python's order of a set changes from process to process
        clean["content"].sort(key=json.dumps)
    return clean


def _without_padding(content: bytes) -> bytes:
    """Zero the bytes between the fields of a structured array, such as a tree's nodes.

    Nobody initialises them, `numpy.save` least of all: its buffers have their own garbage there.
    """
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if not array.dtype.fields:
        return content
    padding = np.ones(array.dtype.itemsize, dtype=np.bool_)
    for dtype, offset, *_ in array.dtype.fields.values():
        padding[offset : offset + dtype.itemsize] = False
    header = len(content) - array.nbytes
    rows = np.frombuffer(content, dtype=np.uint8, offset=header).reshape(-1, array.dtype.itemsize).copy()
    rows[:, padding] = 0
    return content[:header] + rows.tobytes()


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression=zipfile.ZIP_STORED) as target:  # zlib's bytes differ by version
        for name in sorted(members):
            info = zipfile.ZipInfo(name, date_time=_EPOCH)
            info.create_system = 3  # Unix, wherever it is written
            target.writestr(info, members[name])
    return buffer.getvalue()
