"""scikit-learn objects as skops bytes: the same bytes for the same object, and a constant list of types.

skops names everything by its memory address and stamps its zip with the time, and trees have garbage between their
fields, so equal objects differ on disk; this module removes all three. `TRUSTED` below decides what a file may construct,
and nothing in the file itself (mlflow/mlflow#25686 shows what happens otherwise).
"""

import hashlib
import io
import json
import math
import re
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

import numpy as np

from tidemill.errors import ArtifactCorrupt, SpecError


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Hide a package from a block's imports, unless it is already imported."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # hides the package
    try:
        yield
    finally:
        del sys.modules[package]


# skops imports all of scikit-learn, which imports Dask if it is installed, and Dask pickles at once.
with _without("dask"):
    from skops import io as skops_io
    from skops.io.exceptions import UnsupportedTypeException, UntrustedTypesFoundException

__all__ = ["TRUSTED", "dump", "load"]

_PACKAGE = __name__.partition(".")[0]  # not tidemill if this code is part of an MLflow model

TRUSTED = frozenset(
    {
        f"{_PACKAGE}.modeling.preprocessing.LevelEncoder",  # category codes for trees
        "numpy.dtype",  # dtypes that encoders and imputers keep
        "sklearn.model_selection._split.StratifiedKFold",  # folds of the target encoder
        "sklearn.model_selection._split.KFold",  # the same, for tasks other than binary
        "sklearn.tree._tree.Tree",  # random_forest, shallow_tree
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",  # hist_gradient_boosting
    }
)
"""Types beyond skops' own defaults that a bundle may construct. The last two index memory without bounds checks, so
their bytes are only touched after the bundle's digest has been compared with the ledger's."""

_CALLS = frozenset({"OperatorFuncNode", "MethodNode", "PartialNode", "ConstructorFromReduceNode"})
_ARRAY = re.compile(r"[0-9a-f]{64}\.npy")
_MEMBER = re.compile(r"[0-9a-f]{64}\.(npy|bin)")
_MALFORMED = (
    zipfile.BadZipFile, LookupError, TypeError, ValueError, AttributeError, ImportError, RecursionError, AssertionError,
    NotImplementedError, UntrustedTypesFoundException,
)  # fmt: skip

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest date that a zip can hold


def dump(estimator: Any, trusted: frozenset[str] = frozenset()) -> bytes:
    """Return a scikit-learn object as skops bytes that depend only on its content.

    Parameters
    ----------
    trusted : frozenset of str, default empty
        Import paths that the spec allows beyond `TRUSTED`.

    Raises
    ------
    SpecError
        If it contains an object that skops cannot store, or that could not be loaded again.
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
    members = {
        name: _without_padding(content) if name.endswith(".npy") else content for name, content in members.items()
    }
    names = {name: hashlib.sha256(content).hexdigest() + PurePath(name).suffix for name, content in members.items()}
    canonical = {names[name]: content for name, content in members.items()}
    canonical["schema.json"] = json.dumps(_without_addresses(schema, names)).encode()
    packed = _zip(canonical)
    odd = _oddity(packed, with_bytes=bool(trusted))
    if odd:  # which could not be loaded again
        raise SpecError(
            f"A model of {kind} cannot be stored without pickle or calls: {odd}.",
            "Choose another class under 'train.own', or parameters that leave this out.",
        )
    return packed


def load(data: bytes, file: str, trusted: frozenset[str] = frozenset()) -> Any:
    """Construct a scikit-learn object, if all its types are trusted.

    Parameters
    ----------
    data : bytes
        Result of `dump`.
    file : str
        Name for the error.
    trusted : frozenset of str, default empty
        Import paths that the spec allows beyond `TRUSTED`; never taken from the bytes' own source.

    Raises
    ------
    ArtifactCorrupt
        If the bytes are not a skops file, or contain a type that is neither in `TRUSTED` nor in ``trusted``.
    """
    allowed = TRUSTED | trusted
    try:
        odd = _oddity(data, with_bytes=bool(trusted))
        data = data if odd else _localised(data)
        untrusted = set() if odd else set(skops_io.get_untrusted_types(data=data)) - allowed
    except _MALFORMED as error:
        raise ArtifactCorrupt(
            f"{file} is not a skops file: {error}.", "Restore the bundle from a backup, or train again."
        ) from error
    if odd:
        raise ArtifactCorrupt(f"{file} was not written by Tidemill: {odd}.", "Do not load it; find out who wrote it.")
    if untrusted:
        raise ArtifactCorrupt(
            f"{file} wants to construct type(s) {', '.join(sorted(untrusted))}, which neither Tidemill's list nor "
            "the spec's 'train.own' allows.",
            "If an earlier spec allowed it, let this one do so too; else find out who wrote the file, and train again.",
        )
    try:
        return skops_io.loads(data, trusted=sorted(allowed))
    except _MALFORMED as error:
        raise ArtifactCorrupt(
            f"{file} cannot be constructed: {error}.", "Restore the bundle from a backup, or train again."
        ) from error


def _localised(data: bytes) -> bytes:
    """Return the same file, with Tidemill's own types resolved in the package of this code."""
    if _PACKAGE == "tidemill":
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    own = f'"__module__": "{_PACKAGE}.'.encode()
    members["schema.json"] = members["schema.json"].replace(b'"__module__": "tidemill.', own)
    return _zip(members)


def _oddity(data: bytes, *, with_bytes: bool) -> str | None:
    """Check the container before skops reads it: `dump` compresses nothing, names arrays by digest, stores no calls.

    Return what is wrong with it, or None. Only models of classes that a spec trusts contain plain bytes.
    """
    named = _MEMBER if with_bytes else _ARRAY
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if any(item.compress_type != zipfile.ZIP_STORED or item.flag_bits & 1 for item in members):
            return "a member is compressed or encrypted"
        if sum(item.file_size for item in members) > len(data):
            return "its members are larger than the file"
        for item in members:
            if item.filename == "schema.json":
                found = _call(json.loads(archive.read(item)))
            elif not named.fullmatch(item.filename):
                found = f"it holds {item.filename!r}"
            else:
                found = _odd_array(archive.read(item)) if item.filename.endswith(".npy") else None
                found = found and f"{item.filename[:12]} is {found}"
            if found:
                return found
    return None


def _call(state: Any) -> str | None:
    """Return a node that calls something with arguments from the file, which no trust allows."""
    waiting = [state]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if item.get("__loader__") in _CALLS:
                return f"a {item['__loader__']} would call {item.get('__class__')!r}"
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return None


def _odd_array(content: bytes) -> str | None:
    """Return an array of Python objects, which are pickled, or one that declares more than it contains."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        return f"an array of format {version}"
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.hasobject:
        return "an array of Python objects, which are pickled"
    if math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        return f"an array of shape {shape} and type {dtype} in {len(content)} bytes"
    return None


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

    Nothing initialises them: the buffers of `numpy.save` contain their own garbage there.
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
            info.create_system = 3  # Unix, on every platform
            target.writestr(info, members[name])
    return buffer.getvalue()
