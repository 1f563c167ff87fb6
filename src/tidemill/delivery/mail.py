"""Mails: HTML with pictures and plain text, in the thread of the first mail about the same alerts.

The Message-ID is derived from the message's key. A second copy, after a crash between sending and recording, has the same
ID, so mail servers and readers recognise it as a duplicate.
"""

import smtplib
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from tidemill.delivery.addresses import Address, MailServer
from tidemill.delivery.messages import Message
from tidemill.errors import ChannelUnavailable, SettingsError

__all__ = ["build_mail", "message_id", "send_mail"]

TIMEOUT_S = 20  # seconds for each answer of the server


def message_id(key: str, server: MailServer) -> str:
    """Return the Message-ID of a message's key."""
    return f"<{key}@{server.sender.rpartition('@')[2].strip('>')}>"


def build_mail(
    message: Message,
    server: MailServer,
    *,
    key: str,
    created_at: datetime,
    thread: Sequence[tuple[str, str]] = (),
    pictures: Mapping[str, bytes] | None = None,
) -> EmailMessage:
    """Build a mail; equal arguments result in equal mails.

    Parameters
    ----------
    server : MailServer
        Sender and recipients; without recipients it goes to the owners of the alerts.
    created_at : datetime
        When it was added to the outbox.
    thread : sequence of (str, str), default ()
        Key and subject of the first messages about the alerts, oldest first.
    pictures : mapping of str to bytes, optional
        PNG files by the names in the HTML.

    Raises
    ------
    SettingsError
        If there is no recipient.
    """
    recipients = server.recipients or tuple(owner for owner in message.owners if "@" in owner)
    if not recipients:
        raise SettingsError(
            "A mail about alerts has no recipient: the channel has none, and the owner is not an e-mail address.",
            "Add &to=… to the channel's address, or name an owner in the spec.",
        )
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"] = server.sender, ", ".join(recipients)
    mail["Subject"] = f"Re: {thread[0][1]}" if thread else message.title
    mail["Date"], mail["Message-ID"] = format_datetime(created_at), message_id(key, server)
    mail["Auto-Submitted"] = "auto-generated"  # prevents out-of-office replies
    if thread:
        known = [message_id(root, server) for root, _ in thread]
        mail["In-Reply-To"], mail["References"] = known[0], " ".join(known)
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    page = mail.get_body(("html",))
    assert isinstance(page, EmailMessage)
    for name, png in (pictures or {}).items():
        page.add_related(png, "image", "png", cid=f"<{name}>", filename=name, disposition="inline")
    # The boundaries would otherwise be random.
    for number, part in enumerate(item for item in mail.walk() if item.is_multipart()):
        part.set_boundary(f"{key}.{number}")
    return mail


def send_mail(mail: EmailMessage, server: MailServer, address: Address) -> None:
    """Send a mail to its server.

    Raises
    ------
    ChannelUnavailable
        If the server cannot be reached or refuses the mail; without the address's secrets.
    """
    with _translated(address), _session(server) as session:
        session.send_message(mail)


@contextmanager
def _session(server: MailServer) -> Iterator[smtplib.SMTP]:
    tls = ssl.create_default_context()
    session = (
        smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=tls)
        if server.implicit_tls
        else smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
    )
    try:
        if server.starttls:
            session.starttls(context=tls)
        if server.user is not None:
            session.login(server.user, server.password or "")
        yield session
        # QUIT is not sent: once the server has accepted the mail, a later error must not look like a refusal.
    finally:
        session.close()


@contextmanager
def _translated(address: Address) -> Iterator[None]:
    try:
        yield
    except (smtplib.SMTPException, OSError) as error:
        reason = address.scrub(" ".join(str(error).split()) or type(error).__name__)
        raise ChannelUnavailable(
            f"Channel {address.channel!r} did not accept a mail: {type(error).__name__}: {reason[:300]}.",
            "The message stays in the outbox and is sent again.",
        ) from None
