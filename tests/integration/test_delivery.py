"""Alerts on their way, to a real mail server and a real web server: once, in a thread, and nothing lost or doubled."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from tidemill.delivery.sending import send_waiting, try_channel
from tidemill.doctor.findings import Health
from tidemill.doctor.ledger import check_outbox
from tidemill.errors import ChannelUnavailable, FatalError
from tidemill.faults import VARIABLE
from tidemill.monitoring.alerts.persistence import Persistence, decide_changes
from tidemill.records import Alert, AlertChange, Examination, MetricValue, SentRef, Severity
from tidemill.warehouse.alerts.outbox import LEASE
from tidemill.warehouse.alerts.state import Acknowledgement, Alerts
from tidemill.warehouse.connections import transaction
from tidemill.warehouse.ledger import Measurement
from tidemill.workspace import Workspace

from .data import SPEC, Mill
from .sinks import HookSink, MailSink, hook_sink, mail_sink

NOON = datetime(2024, 3, 25, 12, tzinfo=UTC)
SECRET = "s3cret-Token-xyz"


@dataclass
class Watched:
    """A model whose alerts are sent to one channel, at an hour that the test sets."""

    mill: Mill
    workspace: Workspace
    channels: list[tuple[str, Severity]]
    now: datetime = NOON
    runs: dict[str, int] = field(default_factory=dict)

    def examine(self, day: int, *findings: Alert) -> tuple[AlertChange, ...]:
        key = f"2024-03-{day:02}"
        examination = Examination(partition=key, parts=("drift", "performance"), findings=findings)
        return Alerts(self.workspace.connection("tidemill")).update(
            self.mill.model,
            examination,
            lambda opened, examined: decide_changes(
                opened, examined, persistence=lambda _: Persistence(), owner=lambda _: "owner@example.com"
            ),
            channels=self.channels,
            run_id=self.mill.start_run(key, "alert"),
            now=self.now,
        )

    def send(self) -> SentRef:
        return send_waiting(self.workspace, model=self.mill.model, now=lambda: self.now)

    def waiting(self) -> list[tuple[str, int]]:
        return self.mill.sql(
            "SELECT state, attempts FROM tidemill.alert_message WHERE model = '{m}' ORDER BY message_id"
        )


@pytest.fixture
def mails() -> Iterator[MailSink]:
    with mail_sink() as sink:
        yield sink


@pytest.fixture
def hooks() -> Iterator[HookSink]:
    with hook_sink() as sink:
        yield sink


@pytest.fixture
def watch(mill: Mill) -> Callable[..., Watched]:
    def make(url: str, channel: str = "", least: Severity = Severity.WARN) -> Watched:
        name = channel or f"ch_{mill.model}"  # of its own: the outbox is one for all models of the session
        workspace = replace(mill.workspace, channel=lambda _: url)
        return Watched(mill=mill, workspace=workspace, channels=[(name, least)])

    return make


@pytest.fixture
def mailed(watch: Callable[..., Watched], mails: MailSink) -> Watched:
    return watch(mails.url)


def drift(value: float = 0.5, rule: str = "drift:dep_hour", severity: Severity = Severity.WARN) -> Alert:
    message = f"Feature has drifted: stability index {value}."
    return Alert(rule=rule, severity=severity, message=message, value=value, threshold=0.2)


# --- the life of an alert


def test_an_alert_arrives_once_worsens_and_resolves_in_its_thread(mailed: Watched, mails: MailSink) -> None:
    for day, findings in enumerate([[drift()], [drift()], [drift(0.9)], [], []], 1):
        mailed.examine(day, *findings)
        mailed.send()
        mailed.send()
    first, worse, over = mails.mails
    assert (worse["In-Reply-To"], over["In-Reply-To"]) == (first["Message-ID"], first["Message-ID"])
    assert (worse["References"], over["References"]) == (first["Message-ID"], first["Message-ID"])
    assert {str(mail["Subject"]) for mail in (worse, over)} == {f"Re: {first['Subject']}"}
    assert len({mail["Message-ID"] for mail in mails.mails}) == 3


def test_a_mail_says_what_since_when_how_bad_what_it_means_and_what_to_do(mailed: Watched, mails: MailSink) -> None:
    mailed.examine(1, drift())
    mailed.send()
    (mail,) = mails.mails
    texts = [mail.get_body((kind,)).get_content() for kind in ("plain", "html")]
    for said in (
        "stability index 0.5",
        "Since 2024-03-01",
        "owner@example.com",
        "quality may fall",
        "docs/runbook.md#drift",
    ):
        assert said in texts[0]
        assert said.replace("Since", "since") in texts[1]


def test_a_mail_carries_the_head_of_the_audit(mailed: Watched, mails: MailSink) -> None:
    mailed.examine(1, drift())
    mailed.mill.ledger.append_audit("test", mailed.mill.model, {})
    ((head, digest),) = mailed.mill.sql("SELECT audit_id, hash FROM tidemill.audit ORDER BY audit_id DESC LIMIT 1")
    mailed.send()
    (mail,) = mails.mails
    texts = [mail.get_body((kind,)).get_content() for kind in ("plain", "html")]
    assert [f"Audit head: row {head}, {digest}" in text for text in texts] == [True, True]


def test_a_mail_shows_the_course_of_the_figure(mailed: Watched, mails: MailSink) -> None:
    run_id = mailed.mill.start_run("2024-03-01", "drift")
    for day in (1, 2, 3):
        figure = MetricValue(name="null_share", value=day / 10, feature="dep_hour", n=60)
        mailed.mill.ledger.record_metrics(
            Measurement(
                model=mailed.mill.model,
                partition=f"2024-03-{day:02}",
                part="drift",
                release_id=None,
                as_of=NOON,
                run_id=run_id,
            ),
            [figure],
        )
    mailed.examine(3, drift(rule="nulls:dep_hour"))
    mailed.send()
    (picture,) = [part for part in mails.mails[0].walk() if part.get_content_type() == "image/png"]
    assert picture.get_content()[1:4] == b"PNG"
    assert f"cid:{picture['Content-ID'].strip('<>')}" in mails.mails[0].get_body(("html",)).get_content()


def test_twenty_alerts_of_a_partition_are_one_message(mailed: Watched, mails: MailSink) -> None:
    mailed.examine(1, *[drift(rule=f"drift:f{number}") for number in range(20)])
    mailed.send()
    (mail,) = mails.mails
    assert "and 19 more" in mail["Subject"]


def test_a_mail_without_recipients_goes_to_the_owner(mailed: Watched, mails: MailSink) -> None:
    mailed.examine(1, drift())
    mailed.send()
    assert mails.recipients == [["owner@example.com"]]


def test_examining_a_partition_again_sends_nothing_new(mailed: Watched, mails: MailSink) -> None:
    for _ in range(3):
        mailed.examine(1, drift())
        mailed.send()
    assert len(mails.mails) == 1


def test_a_channel_for_alerts_that_need_action_gets_no_warnings_but_every_resolution(
    watch: Callable[..., Watched], mails: MailSink
) -> None:
    watched = watch(mails.url, least=Severity.FAIL)
    days = [[drift()], [drift(severity=Severity.FAIL)], [], []]
    for day, findings in enumerate(days, 1):
        watched.examine(day, *findings)
        watched.send()
    texts = [mail.get_body(("plain",)).get_content() for mail in mails.mails]
    assert ["(worsened)" in texts[0], "(resolved)" in texts[1], len(texts)] == [True, True, 2]


# --- a dead channel


def test_with_the_sink_down_for_an_hour_nothing_is_lost_or_doubled(watch: Callable[..., Watched]) -> None:
    with mail_sink() as sink:
        url, port = sink.url, sink.port
    watched = watch(url)  # nobody listens there now
    for minute in range(0, 60, 5):
        if minute % 20 == 0:
            watched.examine(1 + minute // 20, drift(rule=f"drift:f{minute}"))
        watched.now = NOON + timedelta(minutes=minute)
        assert watched.send().n_sent == 0
    assert [state for state, _ in watched.waiting()] == ["waiting"] * 3
    with mail_sink(port) as sink:
        for minute in range(60, 180, 5):
            watched.now = NOON + timedelta(minutes=minute)
            watched.send()
        assert len(sink.mails) == 3
    assert [state for state, _ in watched.waiting()] == ["sent"] * 3


def test_a_whole_life_with_the_sink_down_for_an_hour_is_three_mails_in_one_thread(
    watch: Callable[..., Watched],
) -> None:
    with mail_sink() as before:
        watched = watch(before.url)
        watched.examine(1, drift())
        watched.send()
    worse, over = [drift(0.9)], list[Alert]()
    for minute, findings in ((0, worse), (20, over), (40, over)):  # nobody listens while it gets worse, and ends
        watched.now = NOON + timedelta(minutes=minute)
        watched.examine(2 + minute // 20, *findings)
        for five in range(0, 20, 5):
            watched.now = NOON + timedelta(minutes=minute + five)
            assert watched.send().n_sent == 0
    with mail_sink(before.port) as after:
        for minute in range(60, 180, 5):
            watched.now = NOON + timedelta(minutes=minute)
            watched.send()
    first, worsened, resolved = [*before.mails, *after.mails]
    assert (len(before.mails), [state for state, _ in watched.waiting()]) == (1, ["sent"] * 3)
    assert {mail["In-Reply-To"] for mail in (worsened, resolved)} == {first["Message-ID"]}
    texts = [mail.get_body(("plain",)).get_content() for mail in (worsened, resolved)]
    assert ["(worsened)" in texts[0], "(resolved)" in texts[1]] == [True, True]


def test_a_sender_uses_the_ledgers_clock_by_default(mailed: Watched, mails: MailSink) -> None:
    mailed.now = mailed.mill.ledger.now()
    mailed.examine(1, drift())
    assert send_waiting(mailed.workspace, model=mailed.mill.model).n_sent == 1
    ((behind,),) = mailed.mill.sql("SELECT clock_timestamp() - sent_at FROM tidemill.alert_message WHERE model = '{m}'")
    assert timedelta(0) <= behind < timedelta(minutes=1)


def test_what_waited_goes_out_in_order(watch: Callable[..., Watched]) -> None:
    with mail_sink() as sink:
        url, port = sink.url, sink.port
    watched = watch(url)
    for day, findings in enumerate([[drift()], [drift(0.9)], [], []], 1):
        watched.examine(day, *findings)
        watched.send()
    with mail_sink(port) as sink:
        watched.now += timedelta(hours=2)
        assert watched.send().n_sent == 3
        assert [str(mail["Subject"])[:3] == "Re:" for mail in sink.mails] == [False, True, True]


def test_attempts_at_a_dead_channel_become_rarer(watch: Callable[..., Watched]) -> None:
    with mail_sink() as sink:
        url = sink.url
    watched = watch(url)
    watched.examine(1, drift())
    for minute in range(0, 24 * 60, 5):
        watched.now = NOON + timedelta(minutes=minute)
        watched.send()
    ((state, attempts),) = watched.waiting()
    assert state == "waiting"
    assert attempts < 35  # 1, 2, 4 … 32 minutes, then hourly


def test_a_refusal_says_why_and_names_the_channel(mailed: Watched, mails: MailSink) -> None:
    mails.refusal = "451 the disk is full"
    mailed.examine(1, drift())
    (problem,) = mailed.send().problems
    assert mailed.channels[0][0] in problem
    assert "the disk is full" in problem


def test_one_message_that_is_refused_does_not_hold_up_the_others(mailed: Watched, mails: MailSink) -> None:
    mails.refusal = "550 not this one"
    mailed.examine(1, drift())
    mailed.send()
    mails.refusal = ""
    mailed.examine(2, drift(), drift(rule="drift:other"))
    mailed.now += timedelta(hours=1)
    assert mailed.send().n_sent == 2


def test_the_doctor_sees_a_message_that_waits_for_long(watch: Callable[..., Watched]) -> None:
    watched = watch("smtp://127.0.0.1:9?from=a@example.com&tls=off")
    watched.examine(1, drift())
    watched.send()
    watched.mill.sql("UPDATE tidemill.alert_message SET created_at = now() - interval '2 hours' WHERE model = '{m}'")
    with transaction(watched.workspace.connection("tidemill")) as cursor:
        finding = check_outbox(cursor)
    watched.mill.sql("UPDATE tidemill.alert_message SET state = 'sent' WHERE model = '{m}'")
    assert (finding.severity, watched.channels[0][0] in finding.message) == (Health.WARN, True)


# --- crashes and races


CHILD = """
import sys
from datetime import datetime
from dataclasses import replace
from pathlib import Path
from tidemill.delivery.sending import send_waiting
from tidemill.workspace import Workspace

ledger, url, model, now = sys.argv[1:]
workspace = Workspace(models=Path("."), sql=Path("."), storage=Path("."), tracking_uri=None,
                      connection=lambda name: ledger, channel=lambda name: url)
send_waiting(workspace, model=model, now=lambda: datetime.fromisoformat(now))
"""


def send_in_a_process(watched: Watched, fault: str) -> int:
    arguments = [watched.workspace.connection("tidemill"), watched.workspace.channel(""), watched.mill.model,
                 watched.now.isoformat()]  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], env=os.environ | {VARIABLE: fault}, timeout=60, check=False
    ).returncode


SETTLING = """
import sys
from datetime import UTC, datetime
from tidemill.monitoring.alerts.persistence import Persistence, decide_changes
from tidemill.records import Alert, Examination, Severity
from tidemill.warehouse.alerts.state import Alerts

ledger, model, run_id = sys.argv[1:]
found = Alert(rule="drift:dep_hour", severity=Severity.WARN, message="m", value=0.5, threshold=0.2)
Alerts(ledger).update(
    model, Examination(partition="2024-03-01", parts=("drift",), findings=(found,)),
    lambda opened, examined: decide_changes(
        opened, examined, persistence=lambda _: Persistence(), owner=lambda _: "a@example.com"),
    channels=[("dead_end", Severity.WARN)], run_id=int(run_id), now=datetime.now(UTC))
"""


def test_killed_while_settling_nothing_has_changed_and_again_it_opens_once(mill: Mill) -> None:
    arguments = [mill.workspace.connection("tidemill"), mill.model, str(mill.start_run("2024-03-01", "alert"))]

    def update_in_a_process(fault: str) -> list[int]:
        subprocess.run([sys.executable, "-c", SETTLING, *arguments], env=os.environ | {VARIABLE: fault}, check=False)
        tables = ("examination", "alert", "alert_message")
        return [mill.sql(f"SELECT count(*) FROM tidemill.{name} WHERE model = '{{m}}'")[0][0] for name in tables]

    assert update_in_a_process("alerts-before-commit:kill") == [0, 0, 0]
    assert update_in_a_process("") == [1, 1, 1]
    assert update_in_a_process("") == [2, 1, 1]
    mill.sql("UPDATE tidemill.alert_message SET state = 'sent' WHERE model = '{m}'")  # nobody is there to take it


def test_killed_before_sending_it_is_sent_later(mailed: Watched, mails: MailSink) -> None:
    mailed.examine(1, drift())
    assert send_in_a_process(mailed, "message-claimed:kill") == -signal.SIGKILL
    assert mailed.send().n_sent == 0  # it is still the dead one's
    mailed.now += LEASE
    mailed.send()
    assert len(mails.mails) == 1


def test_killed_between_sending_and_recording_the_second_copy_is_recognisable(mailed: Watched, mails: MailSink) -> None:
    mailed.examine(1, drift())
    assert send_in_a_process(mailed, "message-sent:kill") == -signal.SIGKILL
    mailed.now += LEASE
    mailed.send()
    first, second = mails.mails
    assert first["Message-ID"] == second["Message-ID"]
    assert first.as_bytes() == second.as_bytes()
    assert mailed.waiting() == [("sent", 2)]


def test_two_senders_at_once_send_each_message_once(mailed: Watched, mails: MailSink) -> None:
    for day in range(1, 9):
        mailed.examine(day, drift(rule=f"drift:f{day}"), *[drift(rule=f"drift:f{n}") for n in range(1, day)])
    with ThreadPoolExecutor(4) as pool:
        sent = [item.result().n_sent for item in [pool.submit(mailed.send) for _ in range(4)]]
    assert sum(sent) == len(mails.mails) == len({mail["Message-ID"] for mail in mails.mails}) == 8


# --- everything but mail


def test_a_webhook_is_notified(watch: Callable[..., Watched], hooks: HookSink) -> None:
    watched = watch(f"json://127.0.0.1:{hooks.port}/hook")
    watched.examine(1, drift())
    watched.send()
    (body,) = hooks.bodies
    assert "drift dep_hour" in body
    assert "docs/runbook.md#drift" in body


def test_a_webhook_that_is_down_is_notified_later(watch: Callable[..., Watched], hooks: HookSink) -> None:
    hooks.status = 503
    watched = watch(f"json://127.0.0.1:{hooks.port}/hook")
    watched.examine(1, drift())
    watched.send()
    hooks.status = 200
    watched.now += timedelta(minutes=1)
    watched.send()
    assert len(hooks.bodies) == 1


# --- secrets


@pytest.mark.parametrize("kind", ["json", "smtp"])
def test_no_secret_of_an_address_is_logged_kept_or_shown(
    watch: Callable[..., Watched], hooks: HookSink, mails: MailSink, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hooks.status, mails.refusal = 500, f"554 no such thing as {SECRET}"
    urls = {
        "json": f"json://user:{SECRET}@127.0.0.1:{hooks.port}/{SECRET}?+X-Token={SECRET}",
        "smtp": mails.url.replace("//", f"//user:{SECRET}@"),
    }
    watched = watch(urls[kind])
    watched.examine(1, drift())
    shown = str(watched.send())
    kept = str(watched.mill.sql("SELECT * FROM tidemill.alert_message WHERE model = '{m}'"))
    with pytest.raises(ChannelUnavailable) as error:
        try_channel(watched.workspace, watched.channels[0][0])
    for text in (shown, kept, caplog.text, str(error.value), repr(error.value)):
        assert SECRET not in text


def test_a_channel_can_be_tried(watch: Callable[..., Watched], mails: MailSink) -> None:
    watched = watch(mails.url + "&to=ann@example.com")
    try_channel(watched.workspace, "post")
    assert mails.mails[0]["To"] == "ann@example.com"


# --- from the chain


def test_a_monitored_day_is_sent_with_a_link_to_its_page(serving: Mill, mails: MailSink) -> None:
    serving.write(spec=SPEC + "owner: ann@example.com\nalerts: [{channel: post}]\n")
    served = replace(serving, workspace=replace(serving.workspace, channel=lambda _: mails.url))
    served.sql("UPDATE {t} SET distance_km = NULL WHERE parcel_id LIKE '20240325-%%' AND parcel_id NOT LIKE '%%0'")
    served.predict("2024-03-25")
    records = served.monitor("2024-03-25")
    (mail,) = mails.mails
    text = mail.get_body(("plain",)).get_content()
    assert records["notify"]["n_sent"] == 1
    assert mails.recipients == [["ann@example.com"]]
    assert "nulls:distance_km" in text
    assert records["report"]["uri"] in text


def test_a_dead_channel_fails_only_the_last_step(serving: Mill) -> None:
    serving.write(spec=SPEC + "owner: ann@example.com\nalerts: [{channel: post}]\n")
    served = replace(serving, workspace=replace(serving.workspace, channel=lambda _: "smtp://127.0.0.1:9?from=a@b.c"))
    served.sql("UPDATE {t} SET distance_km = NULL WHERE parcel_id LIKE '20240325-%%' AND parcel_id NOT LIKE '%%0'")
    served.predict("2024-03-25")
    with pytest.raises(ChannelUnavailable, match="wait for their channel"):
        served.monitor("2024-03-25")
    assert served.last_run()["step"] == "notify"
    assert len(Alerts(served.workspace.connection("tidemill")).open(served.model)) > 0
    served.sql("UPDATE tidemill.alert_message SET state = 'sent' WHERE model = '{m}'")


def test_an_alert_is_acknowledged_by_its_number_until_it_gets_worse(mailed: Watched) -> None:
    mailed.examine(1, drift())
    store = Alerts(mailed.workspace.connection("tidemill"))
    (alert,) = store.open(mailed.mill.model)
    known = store.acknowledge(alert.alert_id, Acknowledgement(by="ann", reason="The source is being fixed."), now=NOON)
    assert known is not None
    assert (known.acknowledged_by, known.acknowledged_at, known.acknowledged_reason) == (
        "ann",
        NOON,
        "The source is being fixed.",
    )
    mailed.examine(2, drift())
    assert [item.acknowledged_by for item in store.open(mailed.mill.model)] == ["ann"]
    with pytest.raises(FatalError, match="would already be over"):
        store.acknowledge(alert.alert_id, Acknowledgement(by="ann", reason="Known.", until=NOON), now=NOON)
    assert store.acknowledge(alert.alert_id, Acknowledgement(by="ann", reason="x"), now=NOON, model="other") is None
    for until, knows in (("now()", None), ("now() + interval '1 hour'", "ann")):
        mailed.mill.sql(f"UPDATE tidemill.alert SET acknowledged_until = {until} WHERE model = '{{m}}'")
        assert [item.acknowledged_by for item in store.open(mailed.mill.model)] == [knows]
    mailed.examine(3, drift(0.9))
    (worse,) = store.open(mailed.mill.model)
    assert (worse.acknowledged_by, worse.acknowledged_at, worse.acknowledged_reason) == (None, None, "")
    assert store.acknowledge(-1, Acknowledgement(by="ann", reason="Known."), now=NOON) is None
