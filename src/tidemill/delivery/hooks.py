"""Channels other than mail: Slack, Teams, Matrix, webhooks and a hundred others, through Apprise.

Apprise returns True or False, and logs the reason together with the address. So its log is captured and scrubbed here,
and goes no further. The same applies to the log of the HTTP library: it contains paths, where some services have their
token.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from tidemill.delivery.addresses import Address
from tidemill.delivery.messages import Message
from tidemill.errors import ChannelUnavailable, SettingsError
from tidemill.records import Severity

__all__ = ["send_hook"]

CAPTURED = ("apprise", "urllib3", "requests")
KINDS = {Severity.FAIL: "failure", Severity.WARN: "warning", None: "success"}


class _Listener(logging.Handler):
    """Collects log messages."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def send_hook(message: Message, address: Address) -> None:
    """Send a message to a service.

    Raises
    ------
    SettingsError
        If Apprise does not know the address's scheme.
    ChannelUnavailable
        If the service cannot be reached or refuses the message; without the address's secrets.
    """
    from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType

    with _captured_logs() as listener:
        # In memory, because its store on disk would contain tokens.
        asset = AppriseAsset(storage_mode="memory", async_mode=False, app_id="Tidemill", app_desc="Tidemill")
        service = Apprise(asset=asset)
        if not service.add(address.url):
            raise SettingsError(
                f"Apprise does not know the address of channel {address.channel!r}. It is not shown, because it may"
                " contain a password.",
                "Write one such as slack://…, json://host/path or mailto://…; the list is in Apprise's documentation.",
            )
        taken = service.notify(
            message.text,
            title=message.title,
            notify_type=NotifyType(KINDS[message.severity]),
            body_format=NotifyFormat.TEXT,
        )
    if not taken:
        reason = address.scrub(" ".join(" ".join(listener.messages).split()))
        raise ChannelUnavailable(
            f"Channel {address.channel!r} did not accept a message: {reason[:300] or 'no reason given'}",
            "The message stays in the outbox and is sent again.",
        )


@contextmanager
def _captured_logs() -> Iterator[_Listener]:
    listener = _Listener()
    loggers = [logging.getLogger(name) for name in CAPTURED]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.propagate = False
        logger.setLevel(logging.WARNING)
        logger.addHandler(listener)
    try:
        yield listener
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(listener)
            logger.setLevel(level)
            logger.propagate = propagate
