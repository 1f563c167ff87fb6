"""Tables on the storage: Parquet read back with the checksum of every page compared.

A snapshot's digest is compared when its folder is opened; this covers what happens to the bytes after that, and says
in our words what a damaged file is. Arrow by itself reads a flipped byte within a page without a word.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tidemill.errors import ArtifactCorrupt

__all__ = ["read_table"]


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a stored table.

    Parameters
    ----------
    path : Path
        Parquet file that was written with checksums.
    columns : sequence of str, optional
        Names to read; those that the table does not have are left out. All by default.

    Raises
    ------
    ArtifactCorrupt
        If it is missing, cut off, or a page is not what its checksum says.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            names = None if columns is None else [name for name in columns if name in file.schema_arrow.names]
            return file.read(names)
    except (pa.ArrowInvalid, OSError) as error:
        raise _corrupt(path, error) from error


def _corrupt(path: Path, error: Exception) -> ArtifactCorrupt:
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ArtifactCorrupt(
        f"{path} cannot be read as it was written: {said}",
        "Restore it from a backup, or run the step that wrote it again.",
    )
