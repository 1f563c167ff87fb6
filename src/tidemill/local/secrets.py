"""Passwords and keys of the local stack: made once, kept in files that only their owner reads.

A secret leaves this module in a file, in the environment of the one program that needs it, or as the
return value for a connection; never in an argument, a log or an error.
"""

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from tidemill.errors import StackError
from tidemill.local.home import Home, read_json, write_private
from tidemill.local.ports import LOOPBACK
from tidemill.records import Record

__all__ = ["AirflowKeys", "airflow_keys", "create_login", "create_password", "login", "passfile", "password"]

ADMIN_USER = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class AirflowKeys(Record):
    """What Airflow's components share: all must agree on these, or they refuse each other."""

    fernet_key: str
    """Encrypts connections and variables at rest: 32 bytes in URL-safe base 64."""
    jwt_secret: str
    """Signs the tokens of tasks and users: 64 random bytes, which HS512 asks for."""
    secret_key: str
    """Signs the UI's sessions: 32 random bytes."""


def passfile(home: Home, role: str) -> Path:
    """Name the libpq password file of a role."""
    return home.secrets / f"{role}.pgpass"


def create_password(home: Home, role: str, database: str) -> None:
    """Generate a role's password unless it has one.

    The file has no port in it, so it stays right when the port changes.

    Parameters
    ----------
    home : Home
        The stack's home.
    role, database : str
        Who connects, and to what; ``*`` stands for every database.
    """
    path = passfile(home, role)
    if not path.exists():
        write_private(path, f"{LOOPBACK}:*:{database}:{role}:{secrets.token_urlsafe(32)}\n")


def password(home: Home, role: str) -> str:
    """Read a role's password back.

    Raises
    ------
    StackError
        If the stack has never been started in this home.
    """
    path = passfile(home, role)
    if not path.exists():
        raise StackError(f"There is no password of '{role}' at '{path}'.", "Start the stack first: make up.")
    return path.read_text(encoding="utf-8").strip().rsplit(":", 1)[1]


def airflow_keys(home: Home) -> AirflowKeys:
    """Give Airflow's keys, and make them the first time.

    They must not change afterwards: what the old Fernet key encrypted would be lost.
    """
    path = home.secrets / "airflow-keys.json"
    kept = read_json(path)
    if kept is not None:
        return AirflowKeys.from_dict(kept)
    keys = AirflowKeys(
        fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        jwt_secret=secrets.token_urlsafe(64),
        secret_key=secrets.token_urlsafe(32),
    )
    write_private(path, json.dumps(keys.to_dict()))
    return keys


def create_login(home: Home) -> None:
    """Generate the password of the UI's one user unless there is one."""
    if not home.login.exists():
        write_private(home.login, json.dumps({ADMIN_USER: secrets.token_urlsafe(16)}))


def login(home: Home) -> tuple[str, str]:
    """Return the user and the password of Airflow's UI.

    Raises
    ------
    StackError
        If the stack has never been started in this home.
    """
    users = read_json(home.login)
    if not users:
        raise StackError(f"There is no login at '{home.login}'.", "Start the stack first: make up.")
    return ADMIN_USER, str(users[ADMIN_USER])
