"""Passwords of login roles: generated once, kept in libpq password files that only their owner can read."""

import secrets
from pathlib import Path

from tidemill.errors import StackError
from tidemill.machine.files import write_private
from tidemill.machine.ports import LOOPBACK

__all__ = ["create_password", "passfile", "password"]


def passfile(folder: Path, role: str) -> Path:
    """Return the path of a role's password file."""
    return folder / f"{role}.pgpass"


def create_password(folder: Path, role: str, database: str) -> None:
    """Generate a role's password unless it has one.

    The file names no port, so it stays valid when the port changes.

    Parameters
    ----------
    database : str
        The database that it connects to; ``*`` stands for every database.
    """
    path = passfile(folder, role)
    if not path.exists():
        write_private(path, f"{LOOPBACK}:*:{database}:{role}:{secrets.token_urlsafe(32)}\n")


def password(folder: Path, role: str) -> str:
    """Return a role's password.

    Raises
    ------
    StackError
        If the role has no password in this folder.
    """
    path = passfile(folder, role)
    if not path.exists():
        raise StackError(f"There is no password of '{role}' at '{path}'.", "Start the stack first: make up.")
    return path.read_text(encoding="utf-8").strip().rsplit(":", 1)[1]
