"""Golden rows: rows in a bundle, with the scores that the loaded model must reproduce."""

import io
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from tidemill.errors import ArtifactCorrupt, FatalError, IncompatibleVersions, first_line
from tidemill.modeling.alignment import align
from tidemill.modeling.bundle import Bundle
from tidemill.versions import LIBRARIES, OPTIONAL_LIBRARIES

__all__ = ["check_golden", "golden_parquet", "golden_rows", "refuse_incompatible"]

_MAX_ROWS = 10_000  # 50 are kept; a file with many more could exhaust memory
_OWN_FORMAT = ("pyarrow",)  # golden rows are Parquet, which every version reads
_SCORE = "_score"  # column of expected scores; a feature's name never starts with an underscore
_RESTORE = "Restore the bundle from a backup, or train again."
_UNFIT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, FatalError)
"""What a model raises whose parts do not belong together."""
_TOLERANCE = 1e-6  # largest difference across library versions, of 1 or of the score; float32 resolves 6e-8 near 1


def golden_parquet(bundle: Bundle, golden: pd.DataFrame) -> bytes:
    """Return rows with their scores as Parquet, with one column per class (``_score_0``, ``_score_1``, …)."""
    score = bundle.score(golden)
    columns = {_SCORE: score} if score.ndim == 1 else {f"{_SCORE}_{at}": part for at, part in enumerate(score.T)}
    rows = align(golden, bundle.schema).assign(**columns)
    table = pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(None)
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, compression="none")  # a codec's bytes differ by its version
    return buffer.getvalue()


def refuse_incompatible(bundle: str, there: Mapping[str, str], here: Mapping[str, str]) -> None:
    """Refuse a bundle of another major version of a library; the golden rows decide about other differences.

    Parameters
    ----------
    bundle : str
        Name for the error.
    there, here : mapping of str to str
        Versions where the bundle was made, and here.

    Raises
    ------
    IncompatibleVersions
        If a major version differs or is missing.
    """
    for name in OPTIONAL_LIBRARIES:
        if name in there and name not in here:
            raise IncompatibleVersions(
                f"Bundle {bundle} needs {name} {there[name]}, which is not installed.",
                f"Install it wherever Tidemill trains and scores: pip install 'tidemill[{name}]'.",
            )
    apart = [
        f"{name} {there.get(name, 'none')}, and here is {here[name]}"
        for name in (*LIBRARIES, *OPTIONAL_LIBRARIES)
        if name in here and name not in _OWN_FORMAT and _major(there.get(name)) != _major(here[name])
    ]
    if apart:
        raise IncompatibleVersions(
            f"Bundle {bundle} was made with {'; '.join(apart)}.",
            "Load it with those versions, or train again with these.",
        )


def _major(version: str | None) -> str:
    return "none" if version is None else version.partition(".")[0]


def check_golden(bundle: Bundle, content: bytes, file: str, there: Mapping[str, str], here: Mapping[str, str]) -> None:
    """Score the golden rows again.

    Parameters
    ----------
    bundle : Bundle
        The loaded bundle.
    content : bytes
        Result of `golden_parquet`.
    file : str
        Name for the error.
    there, here : mapping of str to str
        Versions where the bundle was made, and here: if all are equal, the scores must be bit-identical.

    Raises
    ------
    ArtifactCorrupt
        If a score differs.
    """
    rows = golden_rows(content, file)
    names = [name for name in rows.columns if name.startswith(_SCORE)]
    expected = rows[names].to_numpy(dtype=np.float64)
    try:
        found = bundle.score(rows).reshape(len(rows), -1)
    except _UNFIT as error:
        said = first_line(error)
        raise ArtifactCorrupt(f"{file}: the model cannot score its own golden rows: {said}", _RESTORE) from error
    changed = [
        f"{name} {there.get(name, 'none')} there, {here.get(name, 'none')} here"
        for name in sorted(here.keys() | there.keys())
        if here.get(name) != there.get(name)
    ]
    allowed = _TOLERANCE if changed else 0.0
    if found.shape != expected.shape:
        raise ArtifactCorrupt(f"{file}: expected {expected.shape[1]} score(s) per row, got {found.shape[1]}.", _RESTORE)
    apart = ~(np.abs(found - expected) <= allowed * np.maximum(1.0, np.abs(expected)))  # in this form, NaN fails
    if apart.any():
        raise ArtifactCorrupt(f"{file}: {_difference(expected, found, apart)} ({_reason(allowed, changed)}).", _RESTORE)


def golden_rows(content: bytes, file: str) -> pd.DataFrame:
    """Return golden rows with their scores, after checking their number.

    Raises
    ------
    ArtifactCorrupt
        If there are too many or none, or it is no Parquet file.
    """
    try:
        golden = parquet.ParquetFile(io.BytesIO(content))
        if not 0 < golden.metadata.num_rows <= _MAX_ROWS:
            raise ArtifactCorrupt(
                f"{file}: expected 1 to {_MAX_ROWS:,} golden rows, got {golden.metadata.num_rows:,}.",
                "Do not load it; find out who wrote it, and train again.",
            )
        rows: pd.DataFrame = golden.read().to_pandas()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise ArtifactCorrupt(f"{file} is no Parquet file: {first_line(error)}.", _RESTORE) from error
    return rows


def _difference(expected: npt.NDArray[np.float64], found: npt.NDArray[np.float64], apart: npt.NDArray[np.bool_]) -> str:
    distance = np.where(np.isnan(found - expected), np.inf, np.abs(found - expected))
    row, column = np.unravel_index(int(distance.argmax()), distance.shape)
    return (
        f"{int(apart.any(axis=1).sum())} of {len(expected)} rows score differently, the worst in row {row}: "
        f"expected {expected[row, column]!r}, got {found[row, column]!r}"
    )


def _reason(allowed: float, changed: list[str]) -> str:
    if changed:
        return f"a difference of {allowed:g} is allowed, since {'; '.join(changed)}"
    return "the bits must be equal, because all versions are the same"
