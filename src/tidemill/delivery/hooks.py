"""Every channel but mail: Slack, Teams, Matrix, a webhook and a hundred others, through Apprise.

Apprise says True or False, and writes why into its log, addresses and all. So its log is read here, scrubbed, and goes
no further; and so does the log of the HTTP library, which writes paths, and some services have their token there.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from tidemill.delivery.addresses import Address
from tidemill.delivery.messages import Message
from tidemill.errors import ChannelUnavailable, SettingsError
from tidemill.records import Severity

__all__ = ["send_hook"]

TALKATIVE = ("apprise", "urllib3", "requests")
KINDS = {Severity.FAIL: "failure", Severity.WARN: "warning", None: "success"}


class _Listener(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())


def send_hook(message: Message, address: Address) -> None:
    """Hand a message to a service.

    Raises
    ------
    SettingsError
        If Apprise does not understand the address.
    ChannelUnavailable
        If the service cannot be reached, or refuses it; without the address' secrets.
    """
    from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType

    with _overheard() as listener:
        # Nothing on disk: its store would keep tokens.
        asset = AppriseAsset(storage_mode="memory", async_mode=False, app_id="Tidemill", app_desc="Tidemill")
        service = Apprise(asset=asset)
        if not service.add(address.url):
            raise SettingsError(
                f"The address of channel {address.channel!r} is not one that Apprise knows; it is not shown, since it may"
                " hold a password.",
                "Write one such as slack://…, json://host/path or mailto://…; the list is in Apprise's documentation.",
            )
        taken = service.notify(
            message.text,
            title=message.title,
            notify_type=NotifyType(KINDS[message.severity]),
            body_format=NotifyFormat.TEXT,
        )
    if not taken:
        said = address.scrub(" ".join(" ".join(listener.heard).split()))
        raise ChannelUnavailable(
            f"Channel {address.channel!r} did not take a message: {said[:300] or 'no reason given'}",
            "The message waits in the outbox and is sent again.",
        )


@contextmanager
def _overheard() -> Iterator[_Listener]:
    listener = _Listener()
    loggers = [logging.getLogger(name) for name in TALKATIVE]
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
