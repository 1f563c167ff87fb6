"""``tidemill alerts``: what is open, who knows, what waits."""

import pytest
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.errors import FatalError, SettingsError

from .data import Mill
from .test_steps import watch


@pytest.fixture
def alarmed(serving: Mill, monkeypatch: pytest.MonkeyPatch) -> Mill:
    """A small model with an open alert, and a shell that knows where everything is."""
    serving.sql("UPDATE {t} SET distance_km = NULL WHERE parcel_id LIKE '20240325-%%' AND parcel_id NOT LIKE '%%0'")
    watch(serving, "2024-03-25")
    monkeypatch.setenv("TIDEMILL_MODELS", str(serving.workspace.models))
    monkeypatch.setenv("TIDEMILL_STORAGE", str(serving.workspace.storage))
    monkeypatch.setenv("TIDEMILL_CONN_TIDEMILL", serving.workspace.connection("tidemill"))
    monkeypatch.setattr("tidemill.cli.console.out._width", 200)  # whatever width it was made with
    return serving


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["alerts", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_open_alerts_are_listed_and_acknowledged(alarmed: Mill) -> None:
    assert "2024-03-25" in run(alarmed.model)
    ((number,),) = alarmed.sql("SELECT alert_id FROM tidemill.alert WHERE model = '{m}' AND rule LIKE 'nulls%%'")
    for reason in ([], ["--reason", " "]):
        with pytest.raises(FatalError, match="needs a reason"):
            run(alarmed.model, "--acknowledge", str(number), "--by", "ann", *reason)
    why = "the source is being fixed"
    assert "ann" in run(alarmed.model, "--acknowledge", str(number), "--by", "ann", "--reason", why)
    audited = alarmed.sql("SELECT details FROM tidemill.audit WHERE model = '{m}' AND event = 'acknowledge'")
    assert audited == [({"alert_id": number, "by": "ann", "reason": why},)]


def test_an_alert_that_is_not_open_cannot_be_acknowledged(alarmed: Mill) -> None:
    assert "no alert 0 is open" in run(alarmed.model, "--acknowledge", "0", "--reason", "known")


def test_what_waits_is_sent(alarmed: Mill) -> None:
    assert "0 message(s) sent, 0 waiting." in run(alarmed.model, "--send")


def test_a_channel_without_an_address_says_what_to_set(alarmed: Mill) -> None:
    with pytest.raises(SettingsError, match="TIDEMILL_ALERT_POST"):
        run("--try", "post")
