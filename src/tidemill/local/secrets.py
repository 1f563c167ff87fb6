"""Airflow's keys, and the logins of Airflow and MLflow: generated once, kept in files that only their owner can read.

A secret leaves this module in a file, in the environment of the program that needs it, or as the return value for a
connection. It never appears in an argument, a log or an error.
"""

import base64
import json
import secrets
from dataclasses import dataclass

from tidemill.errors import StackError
from tidemill.local.home import Home
from tidemill.machine.files import read_json, write_private
from tidemill.records import Record

__all__ = ["ADMIN_USER", "AirflowKeys", "airflow_keys", "create_login", "login", "mlflow_login", "users"]

ADMIN_USER = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class AirflowKeys(Record):
    """The keys that Airflow's components share; components with different keys refuse each other."""

    fernet_key: str
    """Encrypts connections and variables at rest: 32 bytes in URL-safe base 64."""
    jwt_secret: str
    """Signs the tokens of tasks and users: 64 random bytes, as HS512 requires."""
    secret_key: str
    """Signs the UI's sessions: 32 random bytes."""


def airflow_keys(home: Home) -> AirflowKeys:
    """Return Airflow's keys; generate them the first time.

    They must not change afterwards: what the old Fernet key encrypted would be lost.
    """
    path = home.secrets / "airflow-keys.json"
    stored = read_json(path)
    if stored is not None:
        return AirflowKeys.from_dict(stored)
    keys = AirflowKeys(
        fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        jwt_secret=secrets.token_urlsafe(64),
        secret_key=secrets.token_urlsafe(32),
    )
    write_private(path, json.dumps(keys.to_dict()))
    return keys


def create_login(home: Home) -> None:
    """Generate the password of the UI's first user unless there is one."""
    if not home.login.exists():
        write_private(home.login, json.dumps({ADMIN_USER: secrets.token_urlsafe(16)}))


def users(home: Home) -> tuple[str, ...]:
    """Return the users of Airflow's UI, who are the names in the file with its passwords."""
    return tuple(read_json(home.login) or (ADMIN_USER,))


def login(home: Home) -> tuple[str, str]:
    """Return the first user and the password of Airflow's UI.

    Raises
    ------
    StackError
        If the stack has never been started in this home.
    """
    passwords = read_json(home.login)
    if not passwords:
        raise StackError(f"There is no login at '{home.login}'.", "Start the stack first: make up.")
    return ADMIN_USER, str(passwords[ADMIN_USER])


def mlflow_login(home: Home) -> tuple[str, str]:
    """Return the user and the password of the MLflow server; generate the password the first time."""
    if not home.mlflow_login.exists():
        write_private(home.mlflow_login, json.dumps({ADMIN_USER: secrets.token_urlsafe(24)}))
    return ADMIN_USER, str(read_json(home.mlflow_login)[ADMIN_USER])
