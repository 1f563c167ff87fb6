"""Addresses of channels: URLs from the environment or from Airflow that never show their secrets.

Our own mailer handles ``smtp://`` and ``smtps://``, and Apprise every other scheme.
"""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from tidemill.errors import SettingsError

__all__ = ["Address", "MailServer"]

HIDDEN = "***"
MIN_SECRET_LENGTH = 4  # shorter parts, such as 'to' or '25', also occur in ordinary sentences
PORTS = {"smtp": 587, "smtps": 465}
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """A channel's name and URL; its ``repr`` shows only the name."""

    channel: str
    """The channel, as the spec names it."""
    url: str = field(repr=False)
    """The URL, which may contain secrets."""

    def __repr__(self) -> str:
        return f"Address({self.channel!r})"

    @property
    def is_mail(self) -> bool:
        """Whether it is a mail server."""
        return self.url.partition("://")[0].lower() in PORTS

    def scrub(self, text: str) -> str:
        """Return a text without any part of the URL that may be a secret.

        Examples
        --------
        >>> Address("chat", "slack://TokenA/TokenB/TokenC").scrub("refused by TokenA/TokenB/TokenC")
        'refused by ***/***/***'
        """
        for secret in sorted(self._secrets(), key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text

    def _secrets(self) -> set[str]:
        try:
            parts = urlsplit(self.url)
        except ValueError:
            return {self.url}
        values = [value for _, value in parse_qsl(parts.query)]
        pieces = [*parts.path.split("/"), parts.fragment, parts.username or "", parts.password or "", *values]
        # Apprise puts tokens in the place of the host; only a mail server's host is certainly no secret.
        hosts = [] if self.is_mail else parts.netloc.replace("@", ":").split(":")
        found = {item for piece in (*pieces, *hosts) for item in (piece, unquote(piece))}
        return {self.url, *(item for item in found if len(item) >= MIN_SECRET_LENGTH)}


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """How to reach a mail server, with sender and recipients."""

    host: str
    """Host name or IP address."""
    port: int
    """TCP port."""
    implicit_tls: bool
    """TLS from the first byte (``smtps``)."""
    starttls: bool
    """TLS before any command; an error if the server has none."""
    user: str | None = field(repr=False)
    """Login; None without one."""
    password: str | None = field(repr=False)
    """Password; None without a login."""
    sender: str
    """The sender's address."""
    recipients: tuple[str, ...]
    """The recipients' addresses; if empty, mails go to the alerts' owners."""

    @classmethod
    def parse(cls, address: Address) -> Self:
        """Parse ``smtp://user:password@host:587?from=a@example.com&to=b@example.com,c@example.com``.

        Raises
        ------
        SettingsError
            If a part is missing or malformed; the URL is not shown.
        """
        parts = _split(address)
        options = dict(parse_qsl(parts.query))
        unknown = sorted(set(options) - {"from", "to", "tls"})
        sender = options.get("from", "")
        secure = parts.scheme.lower() == "smtps"
        host = parts.hostname or ""
        if unknown or not host or "@" not in sender or options.get("tls", "required") not in ("required", "off"):
            raise _malformed(address.channel)
        login = parts.username is not None
        off = options.get("tls") == "off"
        if login and off and host not in LOOPBACK:
            raise SettingsError(
                f"Channel {address.channel!r} would send its password unencrypted.",
                "Remove tls=off, or the login.",
            )
        return cls(
            host=host,
            port=parts.port or PORTS[parts.scheme.lower()],
            implicit_tls=secure,
            starttls=not secure and not off,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password or "") if login else None,
            sender=sender,
            recipients=tuple(item.strip() for item in options.get("to", "").split(",") if item.strip()),
        )


def _split(address: Address) -> SplitResult:
    try:
        parts = urlsplit(address.url)
        assert parts.port is None or parts.port
    except ValueError:
        raise _malformed(address.channel) from None
    return parts


def _malformed(channel: str) -> SettingsError:
    return SettingsError(
        f"The address of channel {channel!r} is not valid. It is not shown, because it may contain a password.",
        "Write smtp://user:password@host:587?from=a@example.com&to=b@example.com, with tls=off for a server without TLS.",
    )
