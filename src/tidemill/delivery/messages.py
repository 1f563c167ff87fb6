"""The content of a message: a subject, plain text and HTML about all changes of a partition's alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from tidemill.monitoring.alerts.families import FAMILIES
from tidemill.records import AlertEvent, Severity
from tidemill.report.html import environment
from tidemill.report.theme import COLOURS, FONT
from tidemill.warehouse.alerts.outbox import Told, WaitingMessage

__all__ = ["Links", "Message", "subject"]

PREFIXES = {
    AlertEvent.OPENED: "",
    AlertEvent.WORSENED: "Worse: ",
    AlertEvent.REMINDED: "Still: ",
    AlertEvent.RESOLVED: "Resolved: ",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """The links of a message."""

    page: str | None
    """The partition's monitoring page; None if there is none."""
    runbook: str
    """The runbook, without an anchor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message for any kind of channel."""

    title: str
    """Its subject, one line."""
    text: str
    """Its content as plain text."""
    html: str
    """Its content as HTML, which refers to a picture as ``cid:<name>``."""
    severity: Severity | None
    """Greatest severity of unresolved alerts; None if all are resolved."""
    owners: tuple[str, ...]
    """The owners of the alerts."""

    @classmethod
    def compose(cls, message: WaitingMessage, links: Links, pictures: Sequence[str] = ()) -> Self:
        """Compose a message."""
        unresolved = [event for event in message.events if event.event is not AlertEvent.RESOLVED]
        worst = min((event.severity for event in unresolved), default=None)  # 'fail' sorts before 'warn'
        headline = _headline(message)
        values = {
            "headline": headline,
            "message": message,
            "events": [(event, _what(event), _means(event)) for event in message.events],
            "links": links,
            "pictures": pictures,
            "colours": {name: light for name, (light, _) in COLOURS.items()},
            "font": FONT,
        }
        return cls(
            title=PREFIXES[_most_important(message.events)] + subject(message.model, message.events),
            text=_text(message, headline, links),
            html=environment().get_template("alerts.html").render(**values),
            severity=worst,
            owners=tuple(dict.fromkeys(event.owner for event in message.events if event.owner)),
        )


def subject(model: str, events: Sequence[Told]) -> str:
    """Return a subject with the worst of several events and the number of the others.

    A thread keeps the subject of its first message, so the subject names the alerts and not their changes.
    """
    first = events[0]
    more = f" and {len(events) - 1} more" if len(events) > 1 else ""
    line = f"{model}: {_what(first)}{more}, since {first.first_partition}"
    return " ".join(line.split())  # a line break in a feature's name would end a mail's header


def _headline(message: WaitingMessage) -> str:
    n_resolved = sum(event.event is AlertEvent.RESOLVED for event in message.events)
    n_fail = sum(e.severity is Severity.FAIL and e.event is not AlertEvent.RESOLVED for e in message.events)
    n_warn = len(message.events) - n_resolved - n_fail
    parts = [
        f"{n_fail} alert{'s need' if n_fail > 1 else ' needs'} action today" if n_fail else "",
        f"{n_warn} alert{'s need' if n_warn > 1 else ' needs'} a look" if n_warn else "",
        f"{n_resolved} alert{'s are' if n_resolved > 1 else ' is'} resolved" if n_resolved else "",
    ]
    return f"{message.model}, partition {message.partition}: {', '.join(part for part in parts if part)}."


def _text(message: WaitingMessage, headline: str, links: Links) -> str:
    lines = [headline, ""]
    for event in message.events:
        lines += [
            f"{event.severity.upper()} {event.rule} ({event.event})",
            f"  {event.message}" if event.event is not AlertEvent.RESOLVED else f"  Resolved. It was: {event.message}",
            f"  Since {event.first_partition}. Owner: {event.owner or 'none'}.",
        ]
        if event.event is not AlertEvent.RESOLVED:
            lines += [f"  {_means(event)}", f"  What to do: {links.runbook}#{_family(event)}"]
        lines.append("")
    if links.page:
        lines += [f"The partition's page: {links.page}", ""]
    anchor = [f"Audit head: {message.audit_head}"] if message.audit_head else []
    return "\n".join([*lines, f"Tidemill, message {message.key}", *anchor])


def _most_important(events: Sequence[Told]) -> AlertEvent:
    return min((event.event for event in events), key=list(PREFIXES).index)


def _family(event: Told) -> str:
    return event.rule.partition(":")[0]


def _what(event: Told) -> str:
    family, _, of = event.rule.partition(":")
    title = FAMILIES[family].title if family in FAMILIES else family
    return f"{title} {of}".strip()


def _means(event: Told) -> str:
    family = _family(event)
    return FAMILIES[family].means if family in FAMILIES else ""
