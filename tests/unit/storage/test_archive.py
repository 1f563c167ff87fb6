"""Archives whose passport somebody has written by hand."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from tidemill.errors import ArtifactCorrupt
from tidemill.storage.archive import read_archive


@pytest.mark.parametrize("odd", ["\ud800", "\x00"])
def test_a_text_that_no_database_holds_is_refused_with_a_message(tmp_path: Path, odd: str) -> None:
    content = json.dumps({"protocol": 1, "model": f"a{odd}"}).encode()
    with tarfile.open(tmp_path / "release.tar", "w") as archive:
        entry = tarfile.TarInfo("passport.json")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    with pytest.raises(ArtifactCorrupt, match=r"surrogates not allowed|holds NUL characters") as refused:
        read_archive(tmp_path / "release.tar", tmp_path / "unpacked")
    assert str(refused.value).encode()
