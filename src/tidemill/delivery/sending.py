"""The outbox emptied: each message claimed, sent and recorded, and what failed sent again later."""

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

DEAD_AFTER = 2  # messages refused in a row: one may be at fault itself, two are the channel


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trouble:
    """What went wrong with a channel in this round."""

    n: int
    """Messages that it refused in a row."""
    problem: str
    """Its last answer."""


def send_waiting(
    workspace: Workspace, *, model: str | None = None, now: Callable[[], datetime] | None = None
) -> SentRef:
    """Send every message that is due, in order; those of a dead channel wait, longer each time.

    Parameters
    ----------
    workspace : Workspace
        Ledger, storage, and where the channels lead.
    model : str, optional
        Only messages about this model.
    now : callable, optional
        The clock; by default the ledger's, since senders on several machines take turns.

    Returns
    -------
    SentRef
        How many went out and how many wait, with a sentence for each channel in trouble.
    """
    url = workspace.connection(LEDGER)
    clock = now or Ledger(url).now
    outbox, n_sent, after, trouble = Outbox(url), 0, 0, dict[str, _Trouble]()
    while True:
        dead = [channel for channel, item in trouble.items() if item.n >= DEAD_AFTER]
        message = outbox.claim(clock(), model=model, without=dead, after=after)
        if message is None:
            break
        after = message.message_id
        fault_point("message-claimed")
        problem, known = _attempt(workspace, message), trouble.get(message.channel)
        if problem is None:
            fault_point("message-sent")
            outbox.sent(message, clock())
            n_sent += 1
            trouble.pop(message.channel, None)
            continue
        trouble[message.channel] = _Trouble(n=1 + (known.n if known else 0), problem=problem)
        again = outbox.failed(message, problem, clock())
        if trouble[message.channel].n >= DEAD_AFTER:
            outbox.postpone(message.channel, again)
    problems = tuple(item.problem for item in trouble.values())
    return SentRef(n_sent=n_sent, n_waiting=outbox.n_waiting(model), problems=problems)


def try_channel(workspace: Workspace, channel: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
    """Send a message that says that the channel works; a mail goes to its sender if no recipient is named.

    It asks no ledger, not even for the time: by default it is this machine's that stands in the mail.

    Raises
    ------
    SettingsError
        If the channel has no address, or one that is not valid.
    ChannelUnavailable
        If it does not take the message.
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
    """Try to send a message; gives the reason if that failed."""
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
