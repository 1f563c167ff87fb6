"""Writes the files of a draft; existing files stay unless the caller forces it."""

from collections.abc import Mapping
from pathlib import Path

from tidemill.errors import SettingsError, SpecError
from tidemill.onboarding.draft import Draft
from tidemill.onboarding.rendering import render
from tidemill.workspace import Workspace

__all__ = ["write_files", "write_texts"]


def write_files(draft: Draft, workspace: Workspace, *, force: bool) -> list[Path]:
    """Write a draft's spec and queries; return their paths.

    Raises
    ------
    SettingsError
        If one of the files exists and ``force`` is False; nothing is written then.
    """
    folders = {"models": workspace.models, "sql": workspace.sql}
    files = {}
    for name, text in render(draft).items():
        folder, _, rest = name.partition("/")
        files[folders[folder] / rest] = text
    existing = [str(path) for path in files if path.exists()]
    if existing and not force:
        raise SettingsError(
            f"{', '.join(existing)} exists already; nothing was written.", "Choose another --model, or pass --force."
        )
    write_texts(dict(reversed(files.items())))  # the spec last: without its queries, it would be broken
    return list(files)


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write the files of a model, in this order.

    Raises
    ------
    SpecError
        If one of them cannot be written.
    """
    for path, text in texts.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise SpecError(f"{path} cannot be written: {error.strerror}.", "Let this user write there.") from error
