import base64
import json
from pathlib import Path

import pytest

from tidemill.errors import StackError
from tidemill.local import secrets
from tidemill.local.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(folder=tmp_path / "home")
    made.create()
    return made


def test_every_secret_is_readable_by_its_owner_alone(home: Home) -> None:
    secrets.create_login(home)
    secrets.airflow_keys(home)

    assert {path.stat().st_mode & 0o777 for path in home.secrets.iterdir()} == {0o600}


def test_keys_stay_the_same(home: Home) -> None:
    assert secrets.airflow_keys(home) == secrets.airflow_keys(home)


def test_the_fernet_key_has_32_bytes(home: Home) -> None:
    assert len(base64.urlsafe_b64decode(secrets.airflow_keys(home).fernet_key)) == 32


def test_the_signing_secret_is_long_enough_for_hs512(home: Home) -> None:
    assert len(secrets.airflow_keys(home).jwt_secret.encode()) >= 64


def test_the_login_is_in_the_form_that_airflow_reads(home: Home) -> None:
    secrets.create_login(home)

    assert json.loads(home.login.read_text()) == dict([secrets.login(home)])


def test_a_missing_login_names_the_next_step(home: Home) -> None:
    with pytest.raises(StackError, match="make up"):
        secrets.login(home)
