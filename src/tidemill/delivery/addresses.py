"""Where a channel leads, as a URL from the environment or from Airflow; its secrets never leave this object by accident.

``smtp://`` and ``smtps://`` are mail servers of our own mailer; every other scheme is Apprise's.
"""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from tidemill.errors import SettingsError

__all__ = ["Address", "MailServer"]

HIDDEN = "***"
LEAST_SECRET = 4  # shorter parts, such as 'to' or '25', stand in ordinary sentences too
PORTS = {"smtp": 587, "smtps": 465}
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """A channel's name and URL; shown, it is its name alone."""

    channel: str
    """Name of the channel."""
    url: str = field(repr=False)
    """The URL, with whatever secrets it holds."""

    def __repr__(self) -> str:
        return f"Address({self.channel!r})"

    @property
    def is_mail(self) -> bool:
        """Whether it is a mail server."""
        return self.url.partition("://")[0].lower() in PORTS

    def scrub(self, text: str) -> str:
        """Replace every part of the URL that may be a secret.

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
        # Apprise writes tokens where a URL has its host; only of a mail server the host is known to be one.
        hosts = [] if self.is_mail else parts.netloc.replace("@", ":").split(":")
        found = {item for piece in (*pieces, *hosts) for item in (piece, unquote(piece))}
        return {self.url, *(item for item in found if len(item) >= LEAST_SECRET)}


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """How to reach a mail server, and for whom."""

    host: str
    """Host."""
    port: int
    """Port."""
    implicit_tls: bool
    """TLS from the first byte (``smtps``)."""
    starttls: bool
    """TLS before anything is said; refused if the server has none."""
    user: str | None = field(repr=False)
    """Login, if there is one."""
    password: str | None = field(repr=False)
    """Password."""
    sender: str
    """Who the mail is from."""
    recipients: tuple[str, ...]
    """Who it goes to; empty for the alerts' owners."""

    @classmethod
    def parse(cls, address: Address) -> Self:
        """Read ``smtp://user:password@host:587?from=a@example.com&to=b@example.com,c@example.com``.

        Raises
        ------
        SettingsError
            If something is missing or malformed; the URL is not shown.
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
                f"Channel {address.channel!r} would send its password over the wire in clear.",
                "Leave out tls=off, or the login.",
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
        f"The address of channel {channel!r} is not valid; it is not shown, since it may hold a password.",
        "Write smtp://user:password@host:587?from=a@example.com&to=b@example.com, with tls=off for a server without TLS.",
    )
