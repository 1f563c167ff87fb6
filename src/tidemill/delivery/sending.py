"""Emptying the outbox: claim, send and record each message, and retry failed ones later."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tidemill.delivery.addresses import Address, MailServer
from tidemill.delivery.hooks import send_hook
from tidemill.delivery.mail import build_mail, send_mail
from tidemill.delivery.messages import Links, Message, subject
from tidemill.delivery.pictures import draw
from tidemill.errors import ChannelUnavailable, SettingsError
from tidemill.faults import fault_point
from tidemill.records import SentRef
from tidemill.warehouse.alerts.outbox import Outbox, WaitingMessage
from tidemill.warehouse.ledger import Ledger
from tidemill.workspace import LEDGER, Workspace

__all__ = ["send_waiting", "try_channel"]

DEAD_AFTER = 2  # consecutive refusals: one may be the message's fault, two are the channel's


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failures:
    """The refusals of a channel in this round."""

    n: int
    """Number of consecutive refusals."""
    problem: str
    """Its last answer."""


def send_waiting(
    workspace: Workspace, *, model: str | None = None, now: Callable[[], datetime] | None = None
) -> SentRef:
    """Send all due messages in order; those of a dead channel wait, longer each time.

    Parameters
    ----------
    workspace : Workspace
        Ledger, storage, and the channels' addresses.
    model : str, optional
        Restricts the messages to one model.
    now : callable, optional
        The clock; by default the ledger's, because several machines send in turns.

    Returns
    -------
    SentRef
        Numbers of sent and waiting messages, with a sentence for each failing channel.
    """
    url = workspace.connection(LEDGER)
    clock = now or Ledger(url).now
    outbox, n_sent, after, failures = Outbox(url), 0, 0, dict[str, _Failures]()
    while True:
        dead = [channel for channel, item in failures.items() if item.n >= DEAD_AFTER]
        message = outbox.claim(clock(), model=model, without=dead, after=after)
        if message is None:
            break
        after = message.message_id
        fault_point("message-claimed")
        problem, known = _attempt(workspace, message), failures.get(message.channel)
        if problem is None:
            fault_point("message-sent")
            outbox.sent(message, clock())
            n_sent += 1
            failures.pop(message.channel, None)
            continue
        failures[message.channel] = _Failures(n=1 + (known.n if known else 0), problem=problem)
        again = outbox.failed(message, problem, clock())
        if failures[message.channel].n >= DEAD_AFTER:
            outbox.postpone(message.channel, again)
    problems = tuple(item.problem for item in failures.values())
    return SentRef(n_sent=n_sent, n_waiting=outbox.n_waiting(model), problems=problems)


def try_channel(workspace: Workspace, channel: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
    """Send a test message to a channel; a mail without recipients goes to its sender.

    It needs no ledger, so by default the mail's date is this machine's time.

    Raises
    ------
    SettingsError
        If the channel has no address, or an invalid one.
    ChannelUnavailable
        If it does not accept the message.
    """
    text = f"Channel {channel} of Tidemill works: alerts will arrive here."
    message = Message(title="Tidemill: a test", text=text, html=f"<p>{text}</p>", severity=None, owners=())
    address = Address(channel, workspace.channel(channel))
    if not address.is_mail:
        send_hook(message, address)
        return
    server, moment = MailServer.parse(address), now()
    message = replace(message, owners=(server.sender,))
    send_mail(build_mail(message, server, key=f"test.{moment.timestamp():.0f}", created_at=moment), server, address)


def _attempt(workspace: Workspace, message: WaitingMessage) -> str | None:
    """Try to send a message; return the reason if that fails."""
    try:
        _send(workspace, message, Address(message.channel, workspace.channel(message.channel)))
    except (ChannelUnavailable, SettingsError) as error:
        return error.problem
    return None


def _send(workspace: Workspace, message: WaitingMessage, address: Address) -> None:
    links = Links(page=_page(workspace, message), runbook=workspace.runbook)
    if not address.is_mail:
        send_hook(Message.compose(message, links), address)
        return
    server = MailServer.parse(address)
    pictures = draw(Ledger(workspace.connection(LEDGER)), message)
    mail = build_mail(
        Message.compose(message, links, tuple(pictures)),
        server,
        key=message.key,
        created_at=message.created_at,
        thread=[(key, subject(message.model, events)) for key, events in message.roots],
        pictures=pictures,
    )
    send_mail(mail, server, address)


def _page(workspace: Workspace, message: WaitingMessage) -> str | None:
    uri = Outbox(workspace.connection(LEDGER)).page(message.model, message.partition)
    return None if uri is None else workspace.page(uri)
