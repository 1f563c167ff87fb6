import base64
import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from tidemill.errors import StackError
from tidemill.local import secrets
from tidemill.local.home import Home
from tidemill.machine.accounts import run_as


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(folder=tmp_path / "home")
    made.create()
    return made


def test_every_secret_is_readable_only_by_its_owner(home: Home) -> None:
    secrets.create_login(home)
    secrets.airflow_keys(home)
    secrets.mlflow_login(home)

    assert {path.stat().st_mode & 0o777 for path in home.secrets.iterdir()} == {0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
@pytest.mark.parametrize("opened", [False, True])
def test_another_account_reads_no_login(opened: bool) -> None:
    # Not below pytest's own folder, which nobody else may enter.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        home = Home(folder=Path(name) / "home")
        home.create()
        secrets.create_login(home)
        secrets.mlflow_login(home)
        if opened:  # whoever opens the folders by mistake has not opened the files
            for folder in (home.folder, home.secrets):
                folder.chmod(0o755)
        for path in (home.login, home.mlflow_login):
            done = subprocess.run(
                ["cat", str(path)], capture_output=True, text=True, check=False, **run_as(65534, 65534)
            )
            assert (done.returncode, done.stdout) == (1, "")
            assert "Permission denied" in done.stderr


def test_mlflows_login_stays_the_same_and_is_not_airflows(home: Home) -> None:
    secrets.create_login(home)
    user, password = secrets.mlflow_login(home)
    assert (user, password) == secrets.mlflow_login(home)
    assert password != secrets.login(home)[1]
    assert len(password) >= 32


def test_keys_stay_the_same(home: Home) -> None:
    assert secrets.airflow_keys(home) == secrets.airflow_keys(home)


def test_the_fernet_key_has_32_bytes(home: Home) -> None:
    assert len(base64.urlsafe_b64decode(secrets.airflow_keys(home).fernet_key)) == 32


def test_the_signing_secret_is_long_enough_for_hs512(home: Home) -> None:
    assert len(secrets.airflow_keys(home).jwt_secret.encode()) >= 64


def test_the_login_is_in_the_form_that_airflow_reads(home: Home) -> None:
    secrets.create_login(home)

    assert json.loads(home.login.read_text()) == dict([secrets.login(home)])
    assert secrets.users(home) == ("admin",)


def test_a_missing_login_names_the_next_step(home: Home) -> None:
    with pytest.raises(StackError, match="make up"):
        secrets.login(home)
