"""An archive: a release with its evidence in one plain tar, its passport first. No compression, no pickle, no links.

::

    passport.json        facts about the release, and the digest of every other file; its own digest names the archive
    bundle/…             the fitted model, as on the storage
    evaluation/…         the evidence: pages, pictures, the profile that monitoring compares with
    MODEL_CARD.md        if the release has one

The same release produces the same bytes. Reading trusts nothing: an unlisted name, a link, an extra, missing or oversized
file, or a single changed byte refuses the whole archive before anything is imported.
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from tidemill.errors import ArtifactCorrupt
from tidemill.records import Passport
from tidemill.storage.atomic import aside
from tidemill.storage.store import digest_file

__all__ = ["BUNDLE", "CARD", "EVALUATION", "PROTOCOL", "read_archive", "write_archive"]

PROTOCOL = 1
"""Version of the layout above; raised when older code can no longer read it."""
LIMIT_BYTES = 4 * 2**30
"""An archive that is larger is refused; the largest bundles have some hundred megabytes."""
BUNDLE, EVALUATION, CARD = "bundle", "evaluation", "MODEL_CARD.md"

_PASSPORT = "passport.json"
_PASSPORT_BYTES = 64 * 2**20
_NAME = re.compile(rf"{CARD}|({BUNDLE}|{EVALUATION})(/[A-Za-z0-9_][A-Za-z0-9_.-]*|/\.digests){{1,4}}")
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)
_BLOCK_BYTES = 2**20
_AGAIN = "Do not use it; export the release again, and compare the digest that the export has printed."


def write_archive(target: Path, passport: Passport, files: Mapping[str, Path]) -> str:
    """Write an archive; return its digest, which is the passport's.

    Parameters
    ----------
    target : Path
        File to write, atomically.
    passport : Passport
        Facts about the release; this function fills in the digests of its files.
    files : mapping of str to Path
        Path of each file, by its name in the archive.
    """
    digests = {name: digest_file(files[name]) for name in sorted(files)}
    values = passport.to_dict() | {"files": digests}
    content = json.dumps(values, sort_keys=True, indent=1, allow_nan=False).encode() + b"\n"
    with aside(target.absolute().parent) as beside:
        written = beside / target.name
        with tarfile.open(written, "w", format=tarfile.USTAR_FORMAT) as archive:
            _add(archive, _PASSPORT, io.BytesIO(content), len(content))
            for name in digests:
                with files[name].open("rb") as stream:
                    _add(archive, name, stream, files[name].stat().st_size)
        written.replace(target)
    return hashlib.sha256(content).hexdigest()


def read_archive(source: Path, folder: Path) -> tuple[Passport, str]:
    """Unpack an archive into an empty folder, if every check passes; return its passport and digest.

    Raises
    ------
    ArtifactCorrupt
        If anything differs from the passport. Do not use the content of the folder then.
    """
    if not source.is_file():
        raise ArtifactCorrupt(f"There is no file {source}.", "Name an archive that 'tidemill export' has written.")
    if source.stat().st_size > LIMIT_BYTES:
        raise _refused(source, f"it has {source.stat().st_size:,} bytes, {LIMIT_BYTES:,} are allowed")
    try:
        with tarfile.open(source, "r:") as archive:
            passport, digest = _read_passport(source, archive)
            _unpack(source, archive, passport.files, folder)
    except (tarfile.TarError, EOFError, UnicodeDecodeError) as error:
        raise _refused(source, f"it is not a complete tar file: {error}") from error
    return passport, digest


def _add(archive: tarfile.TarFile, name: str, stream: IO[bytes], size: int) -> None:
    entry = tarfile.TarInfo(name)  # no owner, no time: the same content gives the same bytes
    entry.size, entry.mode = size, 0o644
    archive.addfile(entry, stream)


def _read_passport(source: Path, archive: tarfile.TarFile) -> tuple[Passport, str]:
    first = archive.next()
    stream = (
        None if first is None or first.name != _PASSPORT or first.type not in _PLAIN else archive.extractfile(first)
    )
    if first is None or stream is None:
        raise _refused(source, f"its first file is not {_PASSPORT}")
    if first.size > _PASSPORT_BYTES:
        raise _refused(source, f"its passport has {first.size:,} bytes, {_PASSPORT_BYTES:,} are allowed")
    content = stream.read()
    try:
        values = json.loads(content)
        if not isinstance(values, dict) or values.get("protocol") != PROTOCOL:
            raise _refused(source, f"its passport has a protocol that this version does not read; it reads {PROTOCOL}")
        json.dumps(values, ensure_ascii=False).encode()  # no database holds half of a surrogate pair
        kept = {name: value for name, value in values.items() if name != "documents"}  # which separate queries by NUL
        if "\\u0000" in json.dumps(kept).replace("\\\\", ""):
            raise _refused(source, "its passport holds NUL characters, which no text of a database does")
        passport = Passport.from_dict(values)
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(map(str, wrong["loc"]))
        raise _refused(source, f"its passport is invalid: {place}: {wrong['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise _refused(source, f"its passport is not JSON: {ascii(str(error))[1:-1]}") from error
    odd = [name for name in passport.files if not _NAME.fullmatch(name)]
    if odd:
        raise _refused(source, f"its passport names {odd[0]!r}, which is not a valid file name")
    return passport, hashlib.sha256(content).hexdigest()


def _unpack(source: Path, archive: tarfile.TarFile, wanted: Mapping[str, str], folder: Path) -> None:
    left, seen = LIMIT_BYTES, set()
    for entry in iter(archive.next, None):
        if entry.name not in wanted or entry.name in seen:
            raise _refused(source, f"it contains {entry.name!r}, which its passport does not list, or only once")
        stream = archive.extractfile(entry) if entry.type in _PLAIN else None
        if stream is None:
            raise _refused(source, f"{entry.name} is a link or something else that is not a plain file")
        left -= entry.size
        if left < 0:
            raise _refused(source, f"its files have more than the {LIMIT_BYTES:,} bytes that are allowed")
        found = _copy(stream, folder / entry.name)
        if found != wanted[entry.name]:
            raise _refused(source, f"{entry.name} was {wanted[entry.name]}, is {found}")
        seen.add(entry.name)
    missing = sorted(wanted.keys() - seen)
    if missing:
        raise _refused(source, f"it lacks {missing[0]}")


def _copy(stream: IO[bytes], path: Path) -> str:
    """Write a file, and return its digest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("xb") as target:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
            target.write(block)
    return digest.hexdigest()


def _refused(source: Path, why: str) -> ArtifactCorrupt:
    return ArtifactCorrupt(f"Archive {source} is refused: {why}.", _AGAIN)
