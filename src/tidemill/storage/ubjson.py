"""XGBoost's binary JSON, read with every length checked, so that a booster can be looked at before XGBoost parses it.

Only what a booster's file holds is known: objects, arrays of one type or of any, strings, numbers, words.
"""

from typing import Any

import numpy as np

from tidemill.errors import ArtifactCorrupt

__all__ = ["read_ubjson"]

MAX_DEPTH = 32  # a booster's trees lie 6 deep
_NUMBERS: dict[bytes, np.dtype[Any]] = {
    b"i": np.dtype(">i1"), b"U": np.dtype(">u1"), b"I": np.dtype(">i2"), b"l": np.dtype(">i4"), b"L": np.dtype(">i8"),
    b"d": np.dtype(">f4"), b"D": np.dtype(">f8"),
}  # fmt: skip
_WORDS = {b"T": True, b"F": False, b"Z": None}


def read_ubjson(data: bytes, file: str) -> Any:
    """Read a document; arrays of one type become numpy arrays.

    Parameters
    ----------
    data : bytes
        The document, whole.
    file : str
        Name for the error.

    Raises
    ------
    ArtifactCorrupt
        If it is cut off, longer than the document, nested too deep, or holds something else.

    Examples
    --------
    >>> read_ubjson(b"{L" + (1).to_bytes(8, "big") + b"ai" + bytes([7]) + b"}", "model.ubj")
    {'a': 7}
    """
    reader = _Reader(data, file)
    value = reader.value(0)
    if reader.position != len(data):
        raise reader.broken("there is more behind its end")
    return value


class _Reader:
    """A position in a document."""

    def __init__(self, data: bytes, file: str) -> None:
        self._data, self._file, self.position = data, file, 0

    def broken(self, why: str) -> ArtifactCorrupt:
        return ArtifactCorrupt(
            f"{self._file} is no booster that XGBoost wrote: {why} (byte {self.position}).",
            "Do not load it; find out who wrote it, and train again.",
        )

    def value(self, depth: int) -> Any:
        marker = self._take(1)
        if marker in _NUMBERS:
            return self._numbers(marker, 1)[0].item()
        if marker in _WORDS:
            return _WORDS[marker]
        if depth > MAX_DEPTH:
            raise self.broken("it is nested too deep")
        match marker:
            case b"S":
                return self._text()
            case b"{":
                return self._object(depth)
            case b"[":
                return self._array(depth)
        raise self.broken(f"{marker!r} begins nothing")

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._peek() != b"}":
            key = self._text()
            if key in found:
                raise self.broken(f"the key {key!r} stands twice")
            found[key] = self.value(depth + 1)
        self._take(1)
        return found

    def _array(self, depth: int) -> Any:
        kind = self._take(2)[1:] if self._peek() == b"$" else None
        if self._peek() != b"#":
            raise self.broken("an array without a length")
        self._take(1)
        length = self._length()
        if kind is None:
            return [self.value(depth + 1) for _ in range(length)]
        if kind not in _NUMBERS:
            raise self.broken(f"an array of {kind!r}")
        return self._numbers(kind, length)

    def _numbers(self, kind: bytes, length: int) -> Any:
        dtype = _NUMBERS[kind]
        return np.frombuffer(self._take(length * dtype.itemsize), dtype=dtype)

    def _text(self) -> str:
        try:
            return self._take(self._length()).decode()
        except UnicodeDecodeError:
            raise self.broken("a text is no UTF-8") from None

    def _length(self) -> int:
        marker = self._take(1)
        if marker not in _NUMBERS or marker in b"dD":
            raise self.broken("a length is no whole number")
        length = int(self._numbers(marker, 1)[0])
        if not 0 <= length <= len(self._data):  # each thing takes a byte at least
            raise self.broken(f"it announces {length} things")
        return length

    def _peek(self) -> bytes:
        return self._data[self.position : self.position + 1]

    def _take(self, n_bytes: int) -> bytes:
        taken = self._data[self.position : self.position + n_bytes]
        if len(taken) < n_bytes:
            raise self.broken("it is cut off")
        self.position += n_bytes
        return taken
